"""What this installation is: version, SIMD level, threads, compiler, optional parts."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
from typing import Any

from cbir import _core
from cbir.errors import ParameterError

OPTIONAL_PARTS = {
    "deep": ("torch", "onnxruntime"),
    "web": ("fastapi", "uvicorn"),
    "distributed": ("ray",),
    "peers": ("faiss", "sklearn", "skimage"),
}


def set_simd_level(level: str) -> None:
    """Use `level` ("generic", "avx2", "avx512", "avx512v") for every kernel from now on.

    Raises
    ------
    ParameterError if the name is unknown or this CPU lacks the level.
    """
    try:
        _core.set_simd_level(level)
    except ValueError as error:
        raise ParameterError(f"set_simd_level: {error}") from None


def config() -> dict[str, Any]:
    """Facts about this installation, as plain values ready for JSON."""
    return {
        "cbir": importlib.metadata.version("cbir") if _is_installed() else "not installed",
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cpu": _cpu_name(),
        "simd_level": _core.simd_level(),
        "simd_levels": _core.simd_levels(),
        "threads": _core.available_threads(),
        "compiler": _core.compiler,
        "numpy": importlib.metadata.version("numpy"),
        "opencv": importlib.metadata.version("opencv-contrib-python"),
        "optional": {
            part: {m: importlib.util.find_spec(m) is not None for m in modules}
            for part, modules in OPTIONAL_PARTS.items()
        },
    }


def show_config() -> None:
    """Print version, SIMD level, threads, compiler and which optional parts are present."""
    facts = config()
    optional = facts.pop("optional")
    facts["simd_levels"] = ", ".join(facts["simd_levels"])
    for part, modules in optional.items():
        listed = ", ".join(f"{m} {'yes' if there else 'no'}" for m, there in modules.items())
        facts[f"[{part}]"] = listed
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:<{width}}  {value}")


def _is_installed() -> bool:
    try:
        importlib.metadata.version("cbir")
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor()
