"""The house rules that a machine can check: names, sizes, layers, docstrings, examples."""

import doctest
import importlib
import inspect
import pkgutil
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import cbir

ROOT = Path(__file__).parents[1]
CONCEPTS = sorted(
    p.name
    for p in (ROOT / "csrc").iterdir()
    if p.is_dir() and p.name not in ("core", "simd", "bindings") and any(p.glob("*.cpp"))
)
MODULES = sorted(
    m.name
    for m in pkgutil.walk_packages(cbir.__path__, "cbir.")
    if not m.name.endswith(("__main__", "_core"))
)


def tracked():
    """Files git knows; all files where there is no git (an unpacked archive)."""
    if shutil.which("git") and (ROOT / ".git").exists():
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        return [
            ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()
        ]
    return [p for folder in ("cbir", "csrc", "tests") for p in (ROOT / folder).rglob("*.*")]


@pytest.mark.parametrize("concept", CONCEPTS)
def test_one_concept_one_name(concept):
    homes = [
        f"csrc/bindings/{concept}.cpp",
        f"csrc/{concept}/{concept}.h",
        f"cbir/reference/{concept}.py",
        f"benchmarks/micro/bench_{concept}.py",
    ]
    missing = [home for home in homes if not (ROOT / home).is_file()]
    missing += [
        pattern
        for pattern in (f"cbir/*/{concept}.py", f"tests/*/test_{concept}.py")
        if not [p for p in ROOT.glob(pattern) if p.parent.name != "reference"]
    ]
    assert not missing, f"{concept} lacks {missing}"


def test_no_file_is_too_long():
    kinds = {".py", ".pyx", ".cpp", ".h", ".toml", ".css", ".html", ".md"}
    long = {
        p.relative_to(ROOT).as_posix(): n
        for p in tracked()
        if p.suffix in kinds and (n := len(p.read_text(encoding="utf-8").splitlines())) > 500
    }
    assert not long, "split them"


def test_nothing_generated_or_large_is_in_git():
    generated = re.compile(
        r"\.(so|o|a|pyd|pyc|c|npy|npz|h5|sqlite|jpg|onnx|egg-info)$|(^|/)(build|dist|\.venv|demo)/"
    )
    names = [p.relative_to(ROOT).as_posix() for p in tracked()]
    assert not [n for n in names if generated.search(n)]
    assert not [n for n in names if (ROOT / n).stat().st_size > 500_000]
    assert not [
        n for n in names if n.startswith("datasets/") and not n.endswith(("README.md", "ignore"))
    ]


def test_import_is_light():
    heavy = ["torch", "onnxruntime", "ray", "fastapi", "matplotlib", "cv2", "h5py"]
    code = f"import cbir, sys; print(*[m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert not loaded & {"torch", "onnxruntime", "ray", "fastapi", "matplotlib"}, loaded


def test_layers_hold():
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    module = importlib.import_module(name)
    result = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_public_names_are_documented(name):
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} has no docstring"
    bare = []
    for key, thing in vars(module).items():
        if key.startswith("_") or getattr(thing, "__module__", None) != name:
            continue
        if inspect.isfunction(thing) and not thing.__doc__:
            bare.append(key)
        if inspect.isclass(thing):
            bare += [key] if not thing.__doc__ else []
            bare += [
                f"{key}.{k}"
                for k, f in vars(thing).items()
                if inspect.isfunction(f)
                and not k.startswith("_")
                and not inspect.getdoc(getattr(thing, k))
            ]
    assert not bare


def test_packages_ship_their_data():
    """Every file in cbir/ that isn't code is matched by package-data."""
    with (ROOT / "pyproject.toml").open("rb") as stream:
        patterns = tomllib.load(stream)["tool"]["setuptools"]["package-data"]["cbir"]
    code = {".py", ".pyx", ".pxd"}
    data = {
        p.relative_to(ROOT / "cbir")
        for p in tracked()
        if p.is_relative_to(ROOT / "cbir") and p.suffix not in code
    }
    assert not [p.as_posix() for p in data if not any(p.match(pattern) for pattern in patterns)]


def test_the_build_stays_at_the_floor():
    # -march=native makes a wheel that dies on the next machine; -ffast-math breaks NaN checks.
    text = (ROOT / "setup.py").read_text()
    flags = text.split("extra_compile_args")[1].split("extra_link_args")[0]
    assert not re.search(r"-march|-Ofast|-ffast-math|-mavx", flags)
