"""Small C++ programs over the native core, for what can't be brought about from Python."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def compiled(folder, name, *sources):
    """Compile tests/core/NAME.cpp with these files of csrc/; gives the program."""
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("needs a C++ compiler")
    program = folder / name
    files = [ROOT / "tests" / "core" / f"{name}.cpp", *(ROOT / "csrc" / s for s in sources)]
    flags = ["-std=c++17", "-O1", "-pthread", "-ffp-contract=off", "-DCBIR_DEBUG"]
    command = [compiler, *flags, f"-I{ROOT / 'csrc'}", *files, "-o", program]
    subprocess.run(command, check=True)
    return program
