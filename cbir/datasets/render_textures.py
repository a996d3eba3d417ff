"""Procedural surfaces for the rendered sets: packaging, fabrics, wood, pictures, print.

Each texture is drawn as a printer would: a ground from a palette, two to four layers (blobs,
stripes, noise, a drawing, a landscape), text-like print, and fine grain, so that local detectors
find corners and blobs at many scales. Palettes come from a short list shared by all objects: two
objects of a set often have the same colours, which is what keeps a colour histogram from solving
it. Drawn with OpenCV; about 3 ms for 256 x 256.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Texture = NDArray[np.uint8]
Painter = Callable[[np.random.Generator, Texture, NDArray[Any]], None]

# sRGB, ground first. Twelve palettes for any number of objects: colour alone must not tell objects
# apart.
PALETTES = np.array(
    [
        [(196, 30, 40), (250, 240, 220), (245, 190, 40), (40, 30, 30), (120, 20, 30)],
        [(30, 70, 140), (235, 240, 245), (230, 60, 50), (120, 170, 220), (20, 30, 60)],
        [(60, 120, 60), (240, 235, 210), (225, 180, 60), (30, 60, 40), (150, 190, 110)],
        [(235, 225, 205), (150, 90, 50), (70, 45, 30), (200, 160, 110), (120, 130, 110)],
        [(40, 40, 45), (220, 220, 220), (190, 50, 45), (120, 120, 125), (230, 180, 60)],
        [(240, 240, 238), (40, 60, 100), (200, 70, 60), (150, 155, 160), (60, 60, 60)],
        [(225, 120, 40), (250, 235, 200), (90, 50, 30), (180, 60, 30), (60, 90, 90)],
        [(110, 80, 140), (235, 220, 235), (220, 150, 170), (60, 40, 80), (240, 200, 90)],
        [(40, 130, 140), (235, 240, 230), (230, 110, 80), (20, 60, 70), (160, 200, 190)],
        [(170, 140, 100), (90, 65, 45), (220, 200, 165), (60, 70, 60), (140, 60, 40)],
        [(230, 185, 60), (60, 50, 40), (200, 60, 40), (250, 240, 215), (70, 110, 70)],
        [(205, 140, 150), (245, 235, 230), (130, 60, 70), (90, 110, 130), (60, 50, 55)],
    ],
    np.float64,
)
_FONTS = (
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
    cv2.FONT_HERSHEY_SIMPLEX,
)
_SYLLABLES = [
    a + b for a in ("k", "n", "r", "t", "v", "m", "s", "dr", "l", "st") for b in ("a", "ol", "en")
]


def palette(rng: np.random.Generator) -> NDArray[Any]:
    """Draw one of the shared palettes, slightly varied and in a new order: (5, 3) sRGB, 0 to
    255.
    """
    colours = PALETTES[rng.integers(len(PALETTES))] + rng.normal(0, 8, (5, 3))
    if rng.random() < 0.4:
        colours = colours[rng.permutation(5)]
    varied: NDArray[Any] = np.clip(colours, 0, 255)
    return varied


def noise(rng: np.random.Generator, shape: tuple[int, int], octaves: int = 5) -> NDArray[Any]:
    """Fractal value noise (h, w) float32 in 0..1: octaves of random grids, each twice as fine, half
    as strong.
    """
    h, w = shape
    total = np.zeros((h, w), np.float32)
    for octave in range(octaves):
        cells = 2 ** (octave + 1)
        grid = rng.random((max(2, cells * h // max(h, w)) + 1, cells + 1), np.float32)
        total += cv2.resize(grid, (w, h), interpolation=cv2.INTER_CUBIC) * 0.5**octave
    low, high = float(total.min()), float(total.max())
    return (total - low) / max(high - low, 1e-6)


def _colour(
    rng: np.random.Generator, colours: NDArray[Any], shade: float = 18
) -> tuple[float, ...]:
    picked = colours[rng.integers(len(colours))] + rng.normal(0, shade)
    return tuple(float(c) for c in np.clip(picked, 0, 255))


def _point(rng: np.random.Generator, image: Texture, margin: float = 0.0) -> tuple[int, int]:
    h, w = image.shape[:2]
    x, y = rng.uniform(-margin, 1 + margin, 2)
    return int(x * w), int(y * h)


def paint_blobs(rng: np.random.Generator, image: Texture, colours: NDArray[Any]) -> None:
    """Ellipses of many sizes, filled or outlined."""
    size = max(image.shape)
    for _ in range(int(rng.integers(8, 40))):
        axes = tuple(int(v) for v in np.maximum(2, size * 0.13 * rng.random(2) ** 1.6))
        width = -1 if rng.random() < 0.7 else max(1, size // 100)
        angle = float(rng.uniform(0, 180))
        cv2.ellipse(
            image,
            _point(rng, image),
            axes,
            angle,
            0,
            360,
            _colour(rng, colours),
            width,
            cv2.LINE_AA,
        )


def paint_stripes(rng: np.random.Generator, image: Texture, colours: NDArray[Any]) -> None:
    """Bands of uneven width, at any angle, or crossed to a tartan."""
    h, w = image.shape[:2]
    for angle in rng.uniform(0, np.pi, 1 if rng.random() < 0.6 else 2):
        y, x = np.mgrid[0:h, 0:w].astype(np.float32)
        along = (x * np.cos(angle) + y * np.sin(angle)) / max(h, w)
        edges = np.sort(rng.uniform(-1, 1.5, int(rng.integers(6, 30))))
        chosen = np.array([_colour(rng, colours) for _ in range(len(edges) + 1)])
        bands = chosen[np.searchsorted(edges, along.ravel())].reshape(h, w, 3)
        alpha = rng.uniform(0.35, 1.0)
        image[:] = (image * (1 - alpha) + bands * alpha).astype(np.uint8)


def paint_noise(rng: np.random.Generator, image: Texture, colours: NDArray[Any]) -> None:
    """Marble, clouds or camouflage: fractal noise through the palette."""
    field = noise(rng, image.shape[:2], int(rng.integers(4, 8)))
    if rng.random() < 0.5:
        field = np.abs(np.sin(field * rng.uniform(6, 25)))
    levels = np.linspace(0, 1, len(colours))
    mixed = np.stack([np.interp(field, levels, colours[:, c]) for c in range(3)], axis=2)
    alpha = rng.uniform(0.4, 0.9)
    image[:] = (image * (1 - alpha) + mixed * alpha).astype(np.uint8)


def paint_drawing(rng: np.random.Generator, image: Texture, colours: NDArray[Any]) -> None:
    """Polygons, stars and flowing lines: a cartoon, a logo."""
    h, w = image.shape[:2]
    size = max(h, w)
    for _ in range(int(rng.integers(3, 9))):
        centre = np.array(_point(rng, image))
        n = int(rng.integers(3, 12))
        angles = np.sort(rng.uniform(0, 2 * np.pi, n))
        radii = size * rng.uniform(0.04, 0.2) * rng.uniform(0.4, 1, n)
        shape = (centre + np.stack([np.cos(angles), np.sin(angles)], 1) * radii[:, None]).astype(
            np.int32
        )
        cv2.fillPoly(image, [shape], _colour(rng, colours), cv2.LINE_AA)
        if rng.random() < 0.6:
            cv2.polylines(
                image, [shape], True, _colour(rng, colours), max(1, size // 120), cv2.LINE_AA
            )
    for _ in range(int(rng.integers(2, 8))):
        t = np.linspace(0, 1, 30)
        knots = rng.uniform(-0.1, 1.1, (4, 2)) * (w, h)
        weights = np.stack([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3], 1)
        curve = (weights @ knots).astype(np.int32)
        width = int(rng.integers(1, max(2, size // 40)))
        cv2.polylines(image, [curve], False, _colour(rng, colours), width, cv2.LINE_AA)


def paint_landscape(rng: np.random.Generator, image: Texture, colours: NDArray[Any]) -> None:
    """A picture as on a book cover: sky, sun, ranges of hills, trees or houses."""
    h, w = image.shape[:2]
    top, bottom = (np.array(_colour(rng, colours, 30)) for _ in range(2))
    ramp = np.linspace(0, 1, h)[:, None, None]
    image[:] = np.clip(top * (1 - ramp) + bottom * ramp, 0, 255).astype(np.uint8)
    cv2.circle(
        image,
        _point(rng, image[: h // 2]),
        int(h * rng.uniform(0.05, 0.15)),
        _colour(rng, colours),
        -1,
    )
    base = rng.uniform(0.3, 0.55)
    for _ in range(int(rng.integers(2, 5))):
        ridge = noise(rng, (2, w), 6)[0] - 0.5
        y = (h * (base + rng.uniform(0.1, 0.35) * ridge)).astype(np.int32)
        outline = np.concatenate([np.stack([np.arange(w), y], 1), [[w, h], [0, h]]]).astype(
            np.int32
        )
        tone = _colour(rng, colours, 35)
        cv2.fillPoly(image, [outline], tone)
        for x in rng.integers(0, w, int(rng.integers(0, 14))):
            size = int(h * rng.uniform(0.02, 0.1))
            dark = tuple(c * 0.6 for c in tone)
            cv2.rectangle(
                image, (int(x), int(y[x]) - size), (int(x) + size // 2, int(y[x])), dark, -1
            )
        base += rng.uniform(0.1, 0.2)


def paint_text(rng: np.random.Generator, image: Texture, colours: NDArray[Any]) -> None:
    """Print: a headline on a plate, and lines of small type or a bar code."""
    h, w = image.shape[:2]
    font = _FONTS[rng.integers(len(_FONTS))]
    headline = "".join(rng.choice(_SYLLABLES, int(rng.integers(2, 4)))).capitalize()
    (text_w, text_h), _ = cv2.getTextSize(headline, font, 1.0, 2)
    scale = w * rng.uniform(0.5, 0.9) / text_w
    x = int((w - text_w * scale) * rng.random())
    y = int(rng.uniform(0.2, 0.85) * h)
    pad = int(text_h * scale * 0.5)
    if rng.random() < 0.6:
        plate = _colour(rng, colours)
        cv2.rectangle(image, (0, y - int(text_h * scale) - pad), (w, y + pad), plate, -1)
    thick = max(1, int(scale * rng.uniform(1.5, 4)))
    cv2.putText(image, headline, (x, y), font, scale, _colour(rng, colours, 40), thick, cv2.LINE_AA)
    ink = _colour(rng, colours, 40)
    left, line = int(rng.uniform(0.03, 0.5) * w), int(rng.uniform(0.1, 0.7) * h)
    small = w / 640 * rng.uniform(0.6, 1.3)
    for _ in range(int(rng.integers(2, 9))):
        words = " ".join("".join(rng.choice(_SYLLABLES, int(rng.integers(1, 4)))) for _ in range(4))
        cv2.putText(image, words, (left, line), font, small, ink, 1, cv2.LINE_AA)
        line += max(6, int(small * 34))
    if rng.random() < 0.3:
        bars = np.repeat(rng.random(48) < 0.5, 2)[: w // 3]
        y0, x0 = int(rng.uniform(0.6, 0.8) * h), int(rng.uniform(0, 0.6) * w)
        patch = image[y0 : y0 + h // 8, x0 : x0 + len(bars)]
        patch[:] = np.where(bars[None, : patch.shape[1], None], 25, 240)


_LAYERS: tuple[Painter, ...] = (
    paint_blobs,
    paint_stripes,
    paint_noise,
    paint_drawing,
    paint_landscape,
)


def packaging(rng: np.random.Generator, colours: NDArray[Any], width: int, height: int) -> Texture:
    """Draw the face of a product: (height, width, 3) uint8 RGB."""
    image: Texture = np.empty((height, width, 3), np.uint8)
    image[:] = colours[0]
    for layer in rng.permutation(len(_LAYERS))[: int(rng.integers(2, 4))]:
        _LAYERS[layer](rng, image, colours)
    if rng.random() < 0.7:
        paint_text(rng, image, colours)
    return _grain(rng, image, rng.uniform(2, 9))


def plain(rng: np.random.Generator, colours: NDArray[Any], width: int, height: int) -> Texture:
    """Draw a side with little on it: one colour, a faint mottle, now and then print."""
    image: Texture = np.empty((height, width, 3), np.uint8)
    mottle = (noise(rng, (height, width)) - 0.5)[:, :, None] * rng.uniform(10, 60)
    image[:] = np.clip(_colour(rng, colours) + mottle, 0, 255)
    if rng.random() < 0.4:
        paint_text(rng, image, colours)
    return _grain(rng, image, rng.uniform(2, 7))


def surroundings(rng: np.random.Generator, size: int) -> Texture:
    """Draw a floor, table top or wall: wood, carpet, tiles, cloth or plaster; (size, size, 3)
    uint8.
    """
    tones = np.array(
        [
            (150, 110, 75),
            (190, 180, 165),
            (110, 110, 112),
            (165, 150, 130),
            (90, 75, 65),
            (215, 210, 200),
        ]
    )
    tone = tones[rng.integers(len(tones))] + rng.normal(0, 5, 3)
    kind = rng.integers(5)
    if kind == 0:  # planks
        fibre = cv2.resize(noise(rng, (size // 16 + 2, size), 7), (size, size)) - 0.5
        planks = np.repeat(rng.normal(0, 14, 8), size // 8 + 1)[:size, None]
        light = fibre * 70 + planks
        light[:: max(2, size // 8)] -= 45
    elif kind == 1:  # carpet
        light = rng.normal(0, 10, (size, size)) + (noise(rng, (size, size), 4) - 0.5) * 30
    elif kind == 2:  # tiles
        light = (noise(rng, (size, size), 7) - 0.5) * 40
        step = max(8, size // int(rng.integers(3, 8)))
        light[::step] -= 50
        light[:, ::step] -= 50
    elif kind == 3:  # checked cloth
        y, x = np.mgrid[0:size, 0:size] * (2 * np.pi / size)
        period = int(rng.integers(6, 16))
        light = (np.sign(np.sin(period * x)) + np.sign(np.sin(period * y))) * rng.uniform(8, 22)
        light = light + rng.normal(0, 4, light.shape)
    else:  # plaster
        light = (noise(rng, (size, size), 6) - 0.5) * rng.uniform(15, 60)
    image = np.clip(tone + light[:, :, None] * rng.uniform(0.25, 0.8), 0, 255).astype(np.uint8)
    return _grain(rng, image, 1.5)


def _grain(rng: np.random.Generator, image: Texture, strength: float) -> Texture:
    grain = rng.standard_normal(image.shape[:2], np.float32)[:, :, None] * np.float32(strength)
    return np.clip(image + grain, 0, 255).astype(np.uint8)
