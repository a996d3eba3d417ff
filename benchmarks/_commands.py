"""Run the commands as a person would, in a process of their own, and read what they print."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def run(command: str, arguments: Sequence[str], *, cores: int | None = None) -> dict[str, Any]:
    """Give the JSON object of ``python -m cbir.COMMAND ARGUMENTS --json``, and `wall_s` beside it.

    `cores` pins the process to that many of the CPUs this one may use. A failing command ends the
    run with what it wrote on stderr.
    """
    line = [sys.executable, "-m", f"cbir.{command}", *arguments, "--json", "--quiet"]
    pin = None
    if cores is not None:
        allowed = sorted(os.sched_getaffinity(0))
        if len(allowed) < cores:
            sys.exit(f"asked for {cores} cores, this process may use {len(allowed)}")

        def pin() -> None:
            os.sched_setaffinity(0, allowed[:cores])

    start = time.perf_counter()
    done = subprocess.run(
        line, cwd=ROOT, capture_output=True, text=True, check=False, preexec_fn=pin
    )
    wall = time.perf_counter() - start
    if done.returncode != 0:
        sys.exit(f"{' '.join(line)}: exit code {done.returncode}\n{done.stderr}")
    return {**json.loads(done.stdout), "wall_s": wall}


def output(line: Sequence[str]) -> str:
    """What a command line prints; a failing one ends the run."""
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{line[0]}: exit code {done.returncode}\n{done.stderr}")
    return done.stdout


def build(
    images: Path, out: Path, recipe: str, changes: Sequence[str] = (), labels: str = "none"
) -> list[str]:
    """Arguments of ``cbir.build``."""
    arguments = [str(images), "-o", str(out), "--recipe", recipe, "--labels", labels]
    for change in changes:
        arguments += ["--set", change]
    return arguments
