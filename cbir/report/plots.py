"""Plots as inline SVG, written by hand: they take the colours of the page, so they follow light and
dark.

No numbers are computed here beyond where to draw them. Text comes out escaped.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import numpy as np
from numpy.typing import ArrayLike

from cbir.errors import DimensionError

WIDTH, HEIGHT = 440, 270
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 14, 44


def _x(share: float) -> float:
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def _open(title: str, description: str) -> str:
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(title + ": " + description)}">'
    )


def _text(x: float, y: float, text: str, anchor: str = "middle", extra: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{extra}>{escape(text)}</text>'


def precision_recall_svg(recall: ArrayLike, precision: ArrayLike) -> str:
    """Draw precision over recall.

    Parameters
    ----------
    recall, precision : (n,) in [0, 1], recall rising.

    Returns
    -------
    svg : markup without any reference outside. Raises DimensionError where the lengths differ or
        are 0.
    """
    r, p = np.asarray(recall, np.float64), np.asarray(precision, np.float64)
    if r.ndim != 1 or r.shape != p.shape or len(r) == 0:
        raise DimensionError(f"precision_recall_svg: recall is {r.shape}, precision {p.shape}")
    parts = [
        _open("Precision against recall", f"precision {p[0]:.2f} at recall 0, {p[-1]:.2f} at 1")
    ]
    for i in range(5):
        at = i / 4
        label = f"{at:g}"
        kind = "axis" if i == 0 else "grid"
        parts.append(f'<path class="{kind}" d="M{_x(0):.1f} {_y(at):.1f}H{_x(1):.1f}"/>')
        parts.append(_text(LEFT - 8, _y(at) + 4, label, "end"))
        parts.append(_text(_x(at), HEIGHT - BOTTOM + 18, label))
    points = [f"{_x(a):.1f} {_y(b):.1f}" for a, b in zip(r, np.nan_to_num(p), strict=True)]
    line = "M" + "L".join(points)
    parts.append(
        f'<path class="area" d="{line}L{_x(r[-1]):.1f} {_y(0):.1f}L{_x(r[0]):.1f} {_y(0):.1f}Z"/>'
    )
    parts.append(f'<path class="line" d="{line}"/>')
    parts.append(_text(_x(0.5), HEIGHT - 6, "recall", extra=' class="name"'))
    turn = f' class="name" transform="rotate(-90 12 {_y(0.5):.1f})"'
    parts.append(_text(12, _y(0.5), "precision", extra=turn))
    return "".join(parts) + "</svg>"


def histogram_svg(counts: Mapping[str, int], name: str) -> str:
    """Draw one bar for each label, with its count and share.

    Parameters
    ----------
    counts : label -> how many, in the order to draw.
    name : what is counted along the axis.
    """
    total = max(1, sum(counts.values()))
    most = max([1, *counts.values()])
    shown = ", ".join(f"{label}: {count}" for label, count in counts.items())
    parts = [_open("Distribution of " + name, shown)]
    parts.append(f'<path class="axis" d="M{LEFT - 30} {_y(0):.1f}H{_x(1):.1f}"/>')
    slot = (WIDTH - RIGHT - (LEFT - 30)) / max(1, len(counts))
    for i, (label, count) in enumerate(counts.items()):
        middle = LEFT - 30 + slot * (i + 0.5)
        share = 0.86 * count / most
        height = max(_y(0) - _y(share), 1.5 if count else 0)
        left, width = middle - slot * 0.36, slot * 0.72
        tone = 0.35 + 0.65 * (i + 1) / len(counts)
        parts.append(
            f'<rect class="bar" x="{left:.1f}" y="{_y(0) - height:.1f}" width="{width:.1f}" '
            f'height="{height:.1f}" rx="3" opacity="{tone:.2f}"/>'
        )
        above = _y(0) - height - 8
        parts.append(_text(middle, above, f"{100 * count / total:.0f} %", extra=' class="value"'))
        parts.append(_text(middle, HEIGHT - BOTTOM + 18, label))
    parts.append(_text(WIDTH / 2, HEIGHT - 6, name, extra=' class="name"'))
    return "".join(parts) + "</svg>"
