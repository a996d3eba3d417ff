"""RootSIFT of real photographs, for whatever must be measured on real descriptors."""

import os
import tempfile
from pathlib import Path

import cv2
import numpy as np

SETS = ("ukbench1000", "corel1k", "smvs_dvd")
LONGEST_SIDE = 640


def rootsift(n: int, seed: int = 0) -> np.ndarray:
    """`n` descriptors (n, 128) float32 in seeded random order, kept in the temporary folder.

    All keypoints that OpenCV's SIFT finds at contrast threshold 0.02 in the photographs of
    CBIR_DATA, which hold about 1.1 million.
    """
    kept = Path(tempfile.gettempdir()) / "cbir_rootsift_all.npy"
    if not kept.exists():
        np.save(kept, extract())
    x = np.load(kept, mmap_mode="r")
    if len(x) < n:
        raise SystemExit(f"{kept} holds {len(x)} descriptors, {n} are asked for")
    return np.array(x[np.sort(np.random.default_rng(seed).permutation(len(x))[:n])])[
        np.random.default_rng(seed + 1).permutation(n)
    ]


def extract() -> np.ndarray:
    root = Path(os.environ["CBIR_DATA"])
    sift = cv2.SIFT_create(contrastThreshold=0.02)
    found = []
    for path in (p for name in SETS for p in sorted((root / name).rglob("*.jpg"))):
        image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if image is None:
            continue
        scale = LONGEST_SIDE / max(image.shape)
        if scale < 1:
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        _, descriptors = sift.detectAndCompute(image, None)
        if descriptors is not None:
            sums = np.maximum(descriptors.sum(1, keepdims=True), 1e-9)
            found.append(np.sqrt(descriptors / sums, dtype=np.float32))
    return np.concatenate(found)
