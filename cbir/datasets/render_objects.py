"""The things that are photographed in a rendered set: each a few solids, standing on the floor at
the origin.

`random_object` draws one of the kinds below. A new kind is a function (rng, paint) -> list[Solid]
in `KINDS`; `paint(width, height)` gives a printed face, `paint(width, height, plain=True)` a quiet
one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbir.datasets import render_textures as textures
from cbir.datasets.render_scene import Atlas, Solid

Paint = Callable[..., NDArray[np.uint8]]


def random_object(rng: np.random.Generator, colours: NDArray[np.float64], tile: int) -> list[Solid]:
    """Draw an object; `tile` is the edge in pixels of a face one unit wide."""

    def paint(width: float, height: float, plain: bool = False) -> NDArray[np.uint8]:
        shape = [int(np.clip(tile * edge, 24, 2 * tile)) for edge in (width, height)]
        return (textures.plain if plain else textures.packaging)(rng, colours, *shape)

    solids = KINDS[rng.integers(len(KINDS))](rng, paint)
    for solid in solids:
        solid.gloss = float(rng.choice([0.0, 0.08, 0.25, 0.5]))
    return solids


def solid_box(
    centre: Sequence[float] | NDArray[Any],
    half: Sequence[float],
    angle: float,
    atlas: Atlas,
    lean: float = 0.0,
) -> Solid:
    """A box turned by `angle` about the vertical, leaning back by `lean` (radians)."""
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])
    cl, sl = np.cos(lean), np.sin(lean)
    back = np.array([[1, 0, 0], [0, cl, -sl], [0, sl, cl]])
    as32 = np.float32
    return Solid(
        "box", np.array(centre, as32), np.array(half, as32), (back @ turn).astype(as32), atlas
    )


def _faces(paint: Paint, half: Sequence[float], plain_sides: bool = True) -> Atlas:
    """Front, side and top of a box."""
    w, h, d = (2 * x for x in half)
    return Atlas.of([paint(w, h), paint(d, h, plain_sides), paint(w, d, plain_sides)])


def carton(rng: np.random.Generator, paint: Paint) -> list[Solid]:
    """A box of cereals, medicine, a game."""
    half = (rng.uniform(0.25, 0.7), rng.uniform(0.3, 0.8), rng.uniform(0.12, 0.45))
    return [
        solid_box(
            (0, half[1], 0), half, rng.normal(0, 0.3), _faces(paint, half, rng.random() < 0.4)
        )
    ]


def book(rng: np.random.Generator, paint: Paint) -> list[Solid]:
    """A book, record or picture, leaning back or lying flat."""
    half = (rng.uniform(0.4, 0.7), rng.uniform(0.45, 0.8), rng.uniform(0.02, 0.09))
    lean = rng.uniform(0.1, 0.5) if rng.random() < 0.6 else np.pi / 2 - 0.02
    height = half[1] * np.cos(lean) + half[2] * np.sin(lean)
    # The front is +z and must look up when the book lies: lean back is a negative turn about x.
    return [solid_box((0, height, 0), half, rng.normal(0, 0.3), _faces(paint, half), -lean)]


def _round(
    paint: Paint,
    radius: float,
    half_height: float,
    base: float,
    taper: float = 1.0,
    plain: bool = False,
) -> Solid:
    side = paint(2 * np.pi * radius, 2 * half_height, plain)
    atlas = Atlas.of([side, paint(2 * radius, 2 * radius, True)])
    solid = solid_box((0, base + half_height, 0), (radius, half_height, radius), 0.0, atlas)
    solid.kind, solid.taper = "frustum", taper
    return solid


def can(rng: np.random.Generator, paint: Paint) -> list[Solid]:
    """A tin or a jar, perhaps with a lid."""
    radius, half = rng.uniform(0.25, 0.5), rng.uniform(0.25, 0.6)
    parts = [_round(paint, radius, half, 0.0)]
    if rng.random() < 0.5:
        parts.append(_round(paint, radius * rng.uniform(0.85, 1.06), 0.06, 2 * half, 1.0, True))
    return parts


def bottle(rng: np.random.Generator, paint: Paint) -> list[Solid]:
    """Body with a label, shoulder, neck and cap."""
    radius, half, neck = rng.uniform(0.2, 0.34), rng.uniform(0.35, 0.6), rng.uniform(0.3, 0.5)
    shoulder = rng.uniform(0.1, 0.2)
    top = 2 * half + 2 * shoulder
    return [
        _round(paint, radius, half, 0.0),
        _round(paint, radius, shoulder, 2 * half, neck, True),
        _round(paint, radius * neck, 0.12, top, 1.0, True),
        _round(paint, radius * neck * 1.15, 0.05, top + 0.24, 1.0, True),
    ]


def cup(rng: np.random.Generator, paint: Paint) -> list[Solid]:
    """A cup, pot or lamp shade on a foot."""
    radius, half = rng.uniform(0.25, 0.45), rng.uniform(0.3, 0.5)
    foot = _round(paint, radius * 0.9, 0.04, 0.0, 1.0, True)
    return [foot, _round(paint, radius, half, 0.08, rng.uniform(0.6, 1.5))]


def _ball(
    paint: Paint, centre: Sequence[float], half: Sequence[float], plain: bool = False
) -> Solid:
    solid = solid_box(centre, half, 0.0, Atlas.of([paint(2 * np.pi * half[0], 3 * half[1], plain)]))
    solid.kind = "ellipsoid"
    return solid


def ball(rng: np.random.Generator, paint: Paint) -> list[Solid]:
    """A ball, an egg, a pumpkin."""
    half = (rng.uniform(0.35, 0.6), rng.uniform(0.3, 0.6), rng.uniform(0.35, 0.6))
    return [_ball(paint, (0, half[1], 0), half)]


def toy(rng: np.random.Generator, paint: Paint) -> list[Solid]:
    """A figure: body, head, arms or ears."""
    body = rng.uniform(0.25, 0.42, 3)
    head = rng.uniform(0.17, 0.3)
    top = 2 * body[1] + head * 0.8
    if rng.random() < 0.5:
        parts = [_ball(paint, (0, body[1], 0), tuple(body))]
    else:
        parts = [solid_box((0, body[1], 0), tuple(body), 0.0, _faces(paint, tuple(body), False))]
    parts.append(_ball(paint, (0, top, 0), (head, head, head), rng.random() < 0.3))
    reach, size = rng.uniform(0.3, 0.5), rng.uniform(0.08, 0.16)
    high = rng.choice([body[1], top + head * 0.7])
    parts += [_ball(paint, (sign * reach, high, 0), (size, size, size), True) for sign in (-1, 1)]
    return parts


def pile(rng: np.random.Generator, paint: Paint) -> list[Solid]:
    """Two to four books or boxes on one another."""
    parts, base = [], 0.0
    for _ in range(int(rng.integers(2, 5))):
        half = (rng.uniform(0.35, 0.65), rng.uniform(0.08, 0.2), rng.uniform(0.3, 0.5))
        atlas = _faces(paint, half, rng.random() < 0.3)
        parts.append(
            solid_box((*rng.normal(0, 0.04, 1), base + half[1], 0), half, rng.normal(0, 0.3), atlas)
        )
        base += 2 * half[1]
    return parts


KINDS: tuple[Callable[[np.random.Generator, Paint], list[Solid]], ...] = (
    carton,
    carton,
    book,
    book,
    can,
    bottle,
    cup,
    ball,
    toy,
    pile,
)
