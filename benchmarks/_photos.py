"""Real photographs and their descriptors, for benchmarks where the distribution matters."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import numpy as np

from cbir import images
from cbir.features import Sift
from cbir.types import Bags

CACHE = Path(__file__).resolve().parent / ".cache"


def data_folder() -> Path:
    """Folder named by CBIR_DATA; the run ends with a message where it is missing."""
    folder = Path(os.environ.get("CBIR_DATA", ""))
    if not os.environ.get("CBIR_DATA") or not (folder / "ukbench1000" / "images").is_dir():
        sys.exit("needs real photographs: set CBIR_DATA to the folder that holds ukbench1000/")
    return folder


def ukbench_bags(n_images: int = 1000, **sift: float) -> Bags:
    """RootSIFT of the first images of ukbench1000, kept in ``benchmarks/.cache`` between runs."""
    folder = data_folder() / "ukbench1000" / "images"
    key = hashlib.sha256(f"{folder} {n_images} {sorted(sift.items())}".encode()).hexdigest()[:16]
    path = CACHE / f"rootsift-{key}.npz"
    if path.exists():
        with np.load(path) as kept:
            return Bags(kept["descriptors"], kept["offsets"])
    detector = Sift(**sift)
    paths = images.walk(folder)[:n_images]
    bags = Bags.of(detector.describe(images.decode(folder / p)).descriptors for p in paths)
    CACHE.mkdir(exist_ok=True)
    np.savez(path, descriptors=bags.descriptors, offsets=bags.offsets)
    return bags


def repeated(bags: Bags, n_images: int) -> Bags:
    """The same bags over and over until there are `n_images`."""
    return Bags.of((bags[i % len(bags)] for i in range(n_images)), d=bags.d)
