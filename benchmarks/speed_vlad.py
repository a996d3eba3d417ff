"""VLAD of 1,000 real images over 64 words, assignment included, against vectorised NumPy.

    CBIR_DATA=... taskset -c 0 python -m benchmarks.speed_vlad
    CBIR_DATA=... python -m benchmarks.speed_vlad --threads 1 2

The opponents: ``twin`` is `cbir.reference.vlad` image by image (assignment and sums are matrix
products, so BLAS does the work), ``batch`` the same mathematics without a loop over images: one
matrix product for all assignments, then sums by sorting and `np.add.reduceat`. Both compute in
float32, as we do. Results must agree before anything is timed.
"""

from __future__ import annotations

import argparse

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks import schema
from benchmarks._photos import ukbench_bags
from cbir.aggregation import VLAD
from cbir.reference import vlad as reference
from cbir.types import Bags
from cbir.vocabulary import KMeans

TARGET = 10.0


def twin(bags: Bags, centroids: np.ndarray) -> np.ndarray:
    """The reference, one image at a time."""
    rows = []
    for x in bags:
        word_ids = reference.assign(x, centroids)
        rows.append(reference.encode(x, np.array([0, len(x)]), word_ids, centroids))
    return np.concatenate(rows)


def batch(bags: Bags, centroids: np.ndarray) -> np.ndarray:
    """All images at once."""
    n_words, d = centroids.shape
    word_ids = reference.assign(bags.descriptors, centroids)
    block = np.repeat(np.arange(len(bags)), np.diff(bags.offsets)) * n_words + word_ids
    order = np.argsort(block, kind="stable")
    residuals = bags.descriptors[order] - centroids[word_ids[order]]
    present, first = np.unique(block[order], return_index=True)
    blocks = np.zeros((len(bags) * n_words, d), np.float32)
    blocks[present] = np.add.reduceat(residuals, first)
    blocks = reference.unit(np.sign(blocks) * np.sqrt(np.abs(blocks)))
    return reference.unit(blocks.reshape(len(bags), -1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--words", type=int, default=64)
    arguments = parser.parse_args()
    bags = ukbench_bags(1000)
    words = KMeans(arguments.words, n_iter=10, seed=0).fit(bags.descriptors)
    vlad, centroids = VLAD(words), words.centroids_
    ours = vlad.transform(bags)
    for other in (twin, batch):
        # A descriptor half-way between two words may go either way; whole vectors hardly move.
        similarity = np.einsum("ij,ij->i", ours, other(bags, centroids))
        assert np.median(similarity) > 0.99999 and similarity.min() > 0.99, similarity.min()
    rows = []
    for n in arguments.threads:
        with threadpool_limits(n):
            seconds = schema.measure(
                {
                    "cbir": lambda n=n: vlad.transform(bags, n_threads=n),
                    "twin": lambda: twin(bags, centroids),
                    "batch": lambda: batch(bags, centroids),
                },
                repeats=arguments.repeats,
            )
        for name, s in seconds.items():
            quotient = 1.0 if name == "cbir" else schema.speedup(seconds["cbir"], s)
            rows.append(schema.timing_row(name, s, threads=n, cbir_is_faster_by=quotient))
    print(schema.table(rows))
    config = {
        "data": "ukbench1000, RootSIFT",
        "n_images": len(bags),
        "n_descriptors": len(bags.descriptors),
        "n_words": arguments.words,
        "d": bags.d,
        "seed": 0,
        "target": TARGET,
    }
    print("wrote", schema.write("speed_vlad", rows, config))


if __name__ == "__main__":
    main()
