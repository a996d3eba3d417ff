"""What one core can do at most, measured now: multiply-adds a second, and no-ops.

``_peak.cpp`` is compiled at the first use and kept in ``benchmarks/.cache``; it is no part of cbir.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import shutil
import subprocess
import time
from pathlib import Path

from cbir import _core

HERE = Path(__file__).resolve().parent
CSRC = HERE.parent / "csrc"


@functools.cache
def _library() -> ctypes.CDLL:
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        raise RuntimeError("benchmarks/_peak.cpp needs a C++ compiler (c++, g++ or clang++)")
    source = HERE / "_peak.cpp"
    parts = [source, CSRC / "simd" / "x86.h", CSRC / "simd" / "level.h", CSRC / "simd" / "target.h"]
    digest = hashlib.sha256(b"".join(p.read_bytes() for p in parts)).hexdigest()[:16]
    path = HERE / ".cache" / f"peak-{digest}.so"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        flags = ["-std=c++17", "-O3", "-ffp-contract=off", "-shared", "-fPIC", f"-I{CSRC}"]
        subprocess.run([compiler, *flags, source, "-o", path], check=True)
    library = ctypes.CDLL(str(path))
    for name in ("peak_generic", "peak_avx2", "peak_avx512", "no_ops"):
        if hasattr(library, name):
            function = getattr(library, name)
            function.argtypes, function.restype = [ctypes.c_int64], ctypes.c_double
    return library


def _rate(function, n: int) -> float:
    start = time.perf_counter()
    operations = function(n)
    return operations / (time.perf_counter() - start) / 1e9


def fma_peak() -> float:
    """Gflop/s (float32) that one core reaches at the level in use: the best of five short runs."""
    level = {"avx512v": "avx512"}.get(_core.simd_level(), _core.simd_level())
    run = getattr(_library(), f"peak_{level}")
    return max(_rate(run, 1 << 19) for _ in range(5))


def issue_rate() -> float:
    """No-ops per ns that one core issues, over about a millisecond.

    About half of its best where another hardware thread shares the core.
    """
    return _rate(_library().no_ops, 1 << 18)
