"""Rendered UKBench-like sets: N objects, four photographs of each, made from a seed.

For machines that have no data: everything can be built, searched and scored on them, at any size.
An object is one to five textured solids (a carton, a book, a can, a bottle, a ball, a toy, ...) in
a room; each of its views moves the camera (about, up, nearer, turned), the lamp, the exposure and
the white balance, then adds defocus or shake, sensor noise and JPEG. Palettes, rooms and clutter
come from small pools shared by all objects, and every third object takes the colours of the one
before it, so that neither colour nor background identifies an object.

Object i draws from a generator seeded by (seed, i) only: the same files come out for any number of
threads, and a set of 20 objects is the beginning of the set of 200.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cbir._checks import check_int, threads
from cbir.datasets import render_textures as textures
from cbir.datasets.render_objects import random_object, solid_box
from cbir.datasets.render_scene import Atlas, Scene, Solid, look_at, trace
from cbir.errors import ParameterError, StorageError

_POOL = 0x706F6F6C  # the stream of what all objects share


@dataclass(frozen=True)
class Pools:
    """What objects of one set share: surroundings, and faces of the clutter."""

    surfaces: list[NDArray[np.uint8]]
    clutter: list[Atlas]


def render(
    folder: str | Path,
    n_objects: int,
    *,
    seed: int = 0,
    size: tuple[int, int] = (320, 240),
    views: int = 4,
    n_threads: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Write ``n_objects * views`` photographs named ``ukbench00000.jpg`` onwards; object = number
    // views.

    Parameters
    ----------
    folder : made if missing. Files of the same names are replaced.
    n_objects : how many objects.
    seed : the same seed gives the same bytes, whatever `n_threads`.
    size : (width, height) in pixels, each at least 32.
    views : photographs per object; 4 is what UKBench has.
    n_threads : 0 takes all CPUs this process may use.
    progress : called with (objects done, objects in all).

    Returns
    -------
    The paths in order. Raises ParameterError on arguments out of range, StorageError when a file
    can't be written.
    """
    who = "render"
    check_int(n_objects, who=who, name="n_objects", low=1, high=25_000)
    check_int(views, who=who, name="views", low=1, high=100)
    check_int(seed, who=who, name="seed", low=0)
    if len(size) != 2 or min(size) < 32 or max(size) > 4096:
        raise ParameterError(
            f"{who}: size={tuple(size)}, allowed is (width, height), each 32 to 4096"
        )
    folder = Path(folder)
    pools = _pools(seed, size)

    def one(index: int) -> list[Path]:
        paths = []
        for view, photo in enumerate(_photographs(seed, index, pools, size, views)):
            path = folder / f"ukbench{index * views + view:05d}.jpg"
            path.write_bytes(photo)
            paths.append(path)
        return paths

    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(threads(n_threads, who=who)) as pool:
            for done, paths in enumerate(pool.map(one, range(n_objects)), start=1):
                written += paths
                if progress:
                    progress(done, n_objects)
    except OSError as error:
        raise StorageError(f"{who}: can't write to {folder}: {error}") from error
    return written


def _tile(size: tuple[int, int]) -> int:
    """Edge of a texture: a little finer than the picture shows it."""
    return int(np.clip(max(size) * 0.8, 64, 1024))


def _pools(seed: int, size: tuple[int, int]) -> Pools:
    rng = np.random.default_rng([seed, _POOL])
    tile = _tile(size)
    surfaces = [textures.surroundings(rng, tile) for _ in range(40)]
    clutter = []
    for _ in range(24):
        colours = textures.palette(rng)
        clutter.append(
            Atlas.of([textures.packaging(rng, colours, tile // 2, tile // 2) for _ in range(3)])
        )
    return Pools(surfaces, clutter)


def _photographs(
    seed: int, index: int, pools: Pools, size: tuple[int, int], views: int
) -> list[bytes]:
    """All views of one object, as JPEG files."""
    rng = np.random.default_rng([seed, index])
    # Every third object borrows the palette of its neighbour: same colours, another thing.
    colours = textures.palette(np.random.default_rng([seed, index - (index % 3 == 2), 1]))
    solids = random_object(rng, colours, _tile(size))
    same_place = rng.random() < 0.7
    around, height = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 0.9)
    place = _place(rng, pools, around)
    photos = []
    for view in range(views):
        if view and not same_place:
            place = _place(rng, pools, around)
        photos.append(_photograph(rng, solids, place, (around, height), view, size))
    return photos


def _place(rng: np.random.Generator, pools: Pools, around: float) -> tuple[Solid, list[Solid]]:
    """A room and what stands about in it, behind the object and beside it as seen from `around`."""
    surfaces = [pools.surfaces[i] for i in rng.integers(len(pools.surfaces), size=2)]
    half = np.array([rng.uniform(3, 7), 4, rng.uniform(3, 7)], np.float32)
    room = Solid(
        "box",
        np.array([0, 4, 0], np.float32),
        half,
        np.eye(3, dtype=np.float32),
        Atlas.of(surfaces),
    )
    room.gloss, room.taper = 0.0, float(rng.uniform(1.0, 2.5))
    clutter = []
    for _ in range(int(rng.integers(0, 5))):
        height = rng.uniform(0.15, 0.55)
        side = around + np.pi + rng.uniform(-1.9, 1.9)
        away = rng.uniform(1.25, 2.4)
        at = np.array([np.sin(side) * away, height, np.cos(side) * away])
        atlas = pools.clutter[rng.integers(len(pools.clutter))]
        kind = ("box", "box", "frustum", "ellipsoid")[rng.integers(4)]
        width, depth = rng.uniform(0.15, 0.5, 2)
        if kind != "box":
            depth = width
        solid = solid_box(at, (width, height, depth), rng.uniform(0, 2 * np.pi), atlas)
        solid.kind = kind
        clutter.append(solid)
    return room, clutter


def _photograph(
    rng: np.random.Generator,
    solids: list[Solid],
    place: tuple[Solid, list[Solid]],
    where: tuple[float, float],
    view: int,
    size: tuple[int, int],
) -> bytes:
    """One view: move the camera and the lamp, trace, and do to the picture what a camera does."""
    room, clutter = place
    around, height = where
    top = max(float(s.centre[1] + s.half[1]) for s in solids)
    wide = max(
        float(np.hypot(s.centre[0], s.centre[2]) + np.hypot(s.half[0], s.half[2])) for s in solids
    )
    swing = 0.0 if view == 0 else rng.choice([-1, 1]) * rng.uniform(0.15, 0.55)
    azimuth, elevation = around + swing, np.clip(height + rng.normal(0, 0.13), 0.2, 1.1)
    away = max(top, wide) * rng.uniform(1.9, 2.6)
    eye = np.array(
        [
            np.sin(azimuth) * np.cos(elevation),
            np.sin(elevation),
            np.cos(azimuth) * np.cos(elevation),
        ]
    )
    target = np.array([0, top / 2, 0]) + rng.normal(0, 0.08, 3)
    roll = rng.normal(0, 0.12) + (rng.choice([-1, 1]) * np.pi / 2 if rng.random() < 0.06 else 0)
    camera = look_at(target + eye * away, target, float(roll), float(rng.uniform(1.0, 1.35)))
    # A camera behind a wall sees nothing: widen the room.
    room.half = np.maximum(room.half, np.abs(camera.position[[0, 1, 2]]) + 0.5).astype(np.float32)
    room.half[1] = room.centre[1]
    lamp_side = azimuth + rng.uniform(-1.6, 1.6)
    lamp = np.array([np.sin(lamp_side), rng.uniform(0.6, 2.0), np.cos(lamp_side)])
    warmth = rng.normal(0, 0.07)
    scene = Scene(
        # Turned to `around`, so that the front of the object faces the first camera.
        [_turned(s, around) for s in solids] + clutter,
        room,
        (lamp / np.linalg.norm(lamp)).astype(np.float32),
        np.array([1 + warmth, 1, 1 - warmth], np.float32),
        float(rng.uniform(0.35, 0.7)),
    )
    width, height = size
    fine = trace(scene, camera, width * 5 // 4, height * 5 // 4)
    linear = cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA)
    return _develop(rng, linear)


def _turned(solid: Solid, angle: float) -> Solid:
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]], np.float32)
    return Solid(
        solid.kind,
        turn @ solid.centre,
        solid.half,
        solid.turn @ turn.T,
        solid.atlas,
        solid.gloss,
        solid.taper,
    )


def _develop(rng: np.random.Generator, linear: NDArray[Any]) -> bytes:
    """Lens, sensor and file: blur, vignette, exposure, white balance, tone, noise, JPEG."""
    height, width = linear.shape[:2]
    scale = width / 320
    blur = rng.random()
    if blur < 0.35:  # out of focus
        linear = cv2.GaussianBlur(linear, (0, 0), rng.uniform(0.5, 1.3) * scale)
    elif blur < 0.55:  # shaken
        length = max(3, int(rng.uniform(3, 6) * scale) | 1)
        kernel = np.zeros((length, length), np.float32)
        angle = rng.uniform(0, np.pi)
        reach = np.array([np.cos(angle), np.sin(angle)]) * (length // 2)
        middle = length // 2
        start, end = (middle + np.rint(sign * reach).astype(int) for sign in (-1, 1))
        cv2.line(kernel, (int(start[0]), int(start[1])), (int(end[0]), int(end[1])), 1.0)
        linear = cv2.filter2D(linear, -1, kernel / kernel.sum())
    y, x = np.ogrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    linear = (
        linear * (1 - rng.uniform(0.0, 0.3) * (x * x + y * y) / 2).astype(np.float32)[:, :, None]
    )
    # The meter of the camera aims at mid grey and misses by half a stop.
    exposure = 0.26 / max(float(np.mean(linear)), 1e-3) * 2 ** rng.normal(0, 0.25)
    balance = np.exp(rng.normal(0, 0.04, 3)).astype(np.float32)
    tone = np.sqrt(np.clip(1 - np.exp(-1.35 * linear * exposure * balance), 0, 1))
    noise = rng.standard_normal(tone.shape, np.float32) * np.float32(rng.uniform(0.003, 0.02))
    pixels = np.clip((tone + noise) * 255, 0, 255).astype(np.uint8)
    ok, file = cv2.imencode(
        ".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(65, 96))]
    )
    assert ok
    return file.tobytes()
