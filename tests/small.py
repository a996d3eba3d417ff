"""Small pictures and recipes for the tests of pipeline and collection."""

import hashlib
import os
from pathlib import Path

import numpy as np
from PIL import Image

from cbir.recipe import Recipe

RECIPES = {
    "bow": Recipe.load("bow", ["vocabulary.n_words=16", "vocabulary.n_iter=3"]),
    "vlad": Recipe.load("vlad", ["vocabulary.n_words=4", "vocabulary.n_iter=3"]),
    "colour": Recipe.load("colour", ["feature.bins=[4, 4, 4]"]),
}


def picture(seed: int, size: int = 96) -> np.ndarray:
    """Coloured rectangles over one another: corners for SIFT, colours for a histogram."""
    rng = np.random.default_rng(seed)
    image = np.full((size, size + 8, 3), rng.integers(0, 255, 3), np.uint8)
    for _ in range(25):
        y, x, h, w = rng.integers(0, size - 12), rng.integers(0, size - 12), *rng.integers(6, 40, 2)
        image[y : y + h, x : x + w] = rng.integers(0, 255, 3)
    return image


def write_picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture(seed)).save(path)


def write_pictures(root: Path, n: int = 10) -> Path:
    """Pictures in two folders, one with a space, a line feed and an umlaut in its name."""
    for i in range(n):
        folder = "a" if i % 2 else "b ü"
        write_picture(root / folder / f"{i:03d}.png", i)
    return root


def settle(root: Path, seconds: int = 3600) -> None:
    """Make files look as if they had lain there for a while: their times can be relied on."""
    for path in sorted(root.rglob("*")):
        if path.is_file():
            before = path.stat().st_mtime_ns - seconds * 10**9
            os.utime(path, ns=(before, before))


def tree(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def content(folder: Path) -> dict[str, str]:
    """What must be equal in equal collections: all files but the catalogue, and its digest."""
    from cbir.collection import Collection

    report = Collection.check(folder)
    assert report.ok, report.problems
    files = tree(folder)
    for name in ("catalogue.sqlite", "lock"):
        files.pop(name, None)
    return {**files, "digest": report.digest}
