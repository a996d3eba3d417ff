"""What commands print on stdout: tables for people, one line of JSON for machines."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def one_line(text: str) -> str:
    r"""Escape what isn't printable: a newline or a stray byte in a file name stays visible.

    >>> one_line("two\nlines")
    'two\\nlines'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def print_json(value: Any) -> None:
    """Print `value` as one line of JSON; NaN and infinity, which JSON lacks, become null."""
    print(json.dumps(_plain(value), allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, Path):
        return value.as_posix()
    if hasattr(value, "tolist"):  # NumPy scalars and arrays
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def print_table(
    rows: Sequence[Sequence[str]],
    *,
    head: Sequence[str] = (),
    left: Sequence[int] = (),
    indent: str = "",
) -> None:
    """Print rows of text in aligned columns, to the right except the columns in `left`."""
    lines = [list(head), *map(list, rows)] if head else list(map(list, rows))
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))] if lines else []
    for line in lines:
        cells = (
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        print((indent + "  ".join(cells)).rstrip())


def human_bytes(n: float) -> str:
    """Say a number of bytes as people do, in powers of 1024.

    >>> human_bytes(17_514_010)
    '16.7 MiB'
    """
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n < 1024:
            return f"{n:.0f} {unit}" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1024
    return f"{n:.1f} TiB"
