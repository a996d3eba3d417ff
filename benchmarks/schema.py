"""The one way a measurement is written down: rows of numbers, and all that is needed to judge them.

A result that doesn't say under which commit, on which CPU, at which SIMD level, with how many
threads, which versions and which settings it was taken is void: nobody can repeat it. `write`
collects those facts itself, `validate` refuses a file without them, and
`tests/benchmarks/test_schema.py` holds every file of ``benchmarks/results/`` to it.

A row is a flat mapping of a name to a number or text, for instance the one of `timing_row`::

    {"name": "vlad_encode", "threads": 1, "median_s": 0.031, "iqr_s": 0.001, "repeats": 9}
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import math
import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cbir import _core, installation

SCHEMA = 1
ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "results"
# Distributions whose version can move a number; the ones that are absent are left out.
DISTRIBUTIONS = (
    "numpy",
    "scipy",
    "opencv-contrib-python",
    "pillow",
    "h5py",
    "faiss-cpu",
    "scikit-learn",
    "threadpoolctl",
)

Row = Mapping[str, Any]


class SchemaError(ValueError):
    """A result lacks something without which it is void."""


def environment() -> dict[str, Any]:
    """Facts of this machine and this checkout, as plain values ready for JSON."""
    facts = installation.config()
    versions = {"python": platform.python_version(), "cbir": facts["cbir"]}
    for name in DISTRIBUTIONS:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "commit": commit(),
        "cpu": facts["cpu"],
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count() or 1,
        "simd_level": _core.simd_level(),
        "compiler": _core.compiler,
        "openblas_coretype": os.environ.get("OPENBLAS_CORETYPE", ""),
        "versions": versions,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def commit() -> str:
    """Hash of the checkout's commit, with ``-dirty`` where tracked files differ from it."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    try:
        # Results themselves are written by a run, so they don't make it dirty.
        changed = git(
            "status", "--porcelain", "--untracked-files=no", "--", ".", ":!benchmarks/results"
        )
        return git("rev-parse", "HEAD") + ("-dirty" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        raise SchemaError(
            f"benchmarks: {ROOT} is no git checkout, so the result has no commit"
        ) from None


def document(name: str, rows: Sequence[Row], config: Mapping[str, Any]) -> dict[str, Any]:
    """The complete result, checked. `config` needs ``threads`` unless every row has its own."""
    result = {
        "schema": SCHEMA,
        "name": name,
        "environment": environment(),
        "config": _plain(config),
        "rows": [_plain(row) for row in rows],
    }
    validate(result)
    return result


def write(
    name: str, rows: Sequence[Row], config: Mapping[str, Any], *, folder: Path = RESULTS
) -> Path:
    """Write ``folder/name.json`` and give its path.

    Parameters
    ----------
    name : file name without ending, for instance ``"speed_vlad"``.
    rows : one mapping per measured case.
    config : every setting that is not in a row: sizes, seeds, data set, ``threads``.

    Raises
    ------
    SchemaError if anything without which a result is void is missing.
    """
    result = document(name, rows, config)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    temporary = path.with_suffix(".json.tmp")
    temporary.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    temporary.replace(path)
    return path


def validate(result: Mapping[str, Any]) -> None:
    """Refuse a void result.

    Raises
    ------
    SchemaError that names the first thing missing or wrong.
    """
    if result.get("schema") != SCHEMA:
        raise SchemaError(f"schema is {result.get('schema')!r}, expected {SCHEMA}")
    name = result.get("name")
    if not isinstance(name, str) or not name.replace("_", "").replace("-", "").isalnum():
        raise SchemaError(f"name is {name!r}, expected letters, digits, - and _")
    facts = result.get("environment")
    if not isinstance(facts, Mapping):
        raise SchemaError(f"{name}: no environment")
    for key in ("commit", "cpu", "simd_level", "compiler", "date"):
        if not isinstance(facts.get(key), str) or not facts[key].strip():
            raise SchemaError(f"{name}: environment says no {key}")
    if len(str(facts["commit"]).removesuffix("-dirty")) < 40:
        raise SchemaError(f"{name}: commit {facts['commit']!r} is not a full hash")
    if not isinstance(facts.get("versions"), Mapping) or "numpy" not in facts["versions"]:
        raise SchemaError(f"{name}: environment says no versions")
    config, rows = result.get("config"), result.get("rows")
    if not isinstance(config, Mapping) or not config:
        raise SchemaError(f"{name}: no config")
    if not isinstance(rows, Sequence) or isinstance(rows, str) or not rows:
        raise SchemaError(f"{name}: no rows")
    for i, row in enumerate(rows):
        if not isinstance(row, Mapping) or not row:
            raise SchemaError(f"{name}: row {i} is {row!r}, expected a mapping")
        threads = row.get("threads", config.get("threads"))
        if not isinstance(threads, int) or threads < 1:
            raise SchemaError(f"{name}: row {i} has threads={threads!r}, expected 1 or more")
        for key, value in row.items():
            if isinstance(value, float) and not math.isfinite(value):
                raise SchemaError(f"{name}: row {i} has {key}={value}")


def measure(
    cases: Mapping[str, Callable[[], Any]], *, repeats: int = 9, warm_up: int = 1
) -> dict[str, np.ndarray]:
    """Seconds per call of each case, shape (repeats,), interleaved: round i runs every case once.

    Drift of the machine (frequency, neighbours) then falls on all cases alike, and round i of one
    case is paired with round i of another. The order turns by one from round to round, so that no
    case always runs on a cache that the same neighbour has left behind.
    """
    names = list(cases)
    for name in names * warm_up:
        cases[name]()
    seconds = {name: np.zeros(repeats) for name in names}
    for i in range(repeats):
        shift = i % len(names)
        for name in names[shift:] + names[:shift]:
            start = time.perf_counter()
            cases[name]()
            seconds[name][i] = time.perf_counter() - start
    return seconds


def timing_row(name: str, seconds: np.ndarray, **more: Any) -> dict[str, Any]:
    """A row from the repeats of one case: median and interquartile range."""
    low, median, high = np.percentile(seconds, [25, 50, 75])
    return {
        "name": name,
        "median_s": float(median),
        "iqr_s": float(high - low),
        "repeats": len(seconds),
        **more,
    }


def speedup(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Median over the rounds of theirs / ours; above 1 we are faster."""
    return float(np.median(np.asarray(theirs) / np.asarray(ours)))


def table(rows: Sequence[Row], columns: Sequence[str] | None = None) -> str:
    """Rows as a Markdown table; floats with four significant digits."""
    columns = list(columns or dict.fromkeys(key for row in rows for key in row))
    cells = [[_cell(row.get(column, "")) for column in columns] for row in rows]
    widths = [max(map(len, [c, *(line[i] for line in cells)])) for i, c in enumerate(columns)]
    lines = [columns, ["-" * w for w in widths], *cells]
    return "\n".join(
        "| " + " | ".join(text.ljust(w) for text, w in zip(line, widths, strict=True)) + " |"
        for line in lines
    )


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _plain(value: Any) -> Any:
    """NumPy scalars, arrays and paths as what JSON knows."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if isinstance(value, Path):
        return value.as_posix()
    return value
