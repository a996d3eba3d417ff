"""Natural order of names: numbers inside a name compare as numbers."""

from __future__ import annotations

import re


def natural_key(name: str) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """Sort key; the name itself breaks ties such as ``a01`` and ``a1``.

    Examples
    --------
    >>> sorted(["b10.jpg", "b9.jpg", "a.jpg"], key=natural_key)
    ['a.jpg', 'b9.jpg', 'b10.jpg']
    """
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return tuple((0, int(p), "") if p[0] in "0123456789" else (1, 0, p) for p in parts), name
