"""Generate the stub of the compiled module: ``python tests/stubs.py`` writes cbir/_core.pyi.

Signatures come from pybind11's docstrings, so the stub says what the binding says. The test
(tests/test_stubs.py) compares what is in git with what this makes.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

STUB = Path(__file__).parents[1] / "cbir" / "_core.pyi"


def generate() -> str:
    """Text of the stub for the compiled module that Python finds."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pybind11_stubgen", "cbir._core", "-o", folder]
        done = subprocess.run(
            [*command, "--numpy-array-use-type-var"],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=STUB.parents[1],
        )
        if done.returncode:
            raise RuntimeError(f"pybind11-stubgen failed:\n{done.stderr}")
        text = (Path(folder) / "cbir" / "_core.pyi").read_text()
    # Values that differ from one build to the next don't belong into an interface.
    text = re.sub(r"(?m)^(\w+: str) = .*$", r"\1", text)
    return re.sub(r"[ \t]+\n", "\n", text).rstrip() + "\n"


if __name__ == "__main__":
    STUB.write_text(generate())
    print(STUB)
