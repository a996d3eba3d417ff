"""VLAD of 1,000 real images over 64 words against vectorised NumPy.

    CBIR_DATA=... python -m benchmarks.speed_vlad

Once whole, from descriptors to vectors, and once with the words of the descriptors given (rows
``encode``), which is what VLFeat calls encoding. The opponents: ``twin`` is `cbir.reference.vlad`
image by image (assignment and sums are matrix products, so BLAS does the work), ``batch`` the same
mathematics without a loop over images: one matrix product for all assignments, then sums by sorting
and `np.add.reduceat`. Both compute in float32, as we do. Results must agree before anything is
timed. Target: 10 times ``twin``, the faster opponent; what was reached is in benchmarks/README.md.
"""

from __future__ import annotations

import argparse

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks import schema
from benchmarks._photos import ukbench_bags
from cbir import _core
from cbir.aggregation import VLAD
from cbir.reference import vlad as reference
from cbir.types import Bags
from cbir.vocabulary import KMeans

TARGET = 10.0


def twin(bags: Bags, centroids: np.ndarray) -> np.ndarray:
    """The reference, one image at a time."""
    word_ids = np.concatenate([reference.assign(x, centroids) for x in bags])
    return reference.encode(bags.descriptors, bags.offsets, word_ids, centroids)


def batch(bags: Bags, centroids: np.ndarray) -> np.ndarray:
    """All images at once."""
    return batch_encode(bags, reference.assign(bags.descriptors, centroids), centroids)


def batch_encode(bags: Bags, word_ids: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    n_words, d = centroids.shape
    block = np.repeat(np.arange(len(bags)), np.diff(bags.offsets)) * n_words + word_ids
    order = np.argsort(block, kind="stable")
    residuals = bags.descriptors[order] - centroids[word_ids[order]]
    present, first = np.unique(block[order], return_index=True)
    blocks = np.zeros((len(bags) * n_words, d), np.float32)
    blocks[present] = np.add.reduceat(residuals, first)
    blocks = reference.unit(np.sign(blocks) * np.sqrt(np.abs(blocks)))
    return reference.unit(blocks.reshape(len(bags), -1))


def encode(bags: Bags, word_ids: np.ndarray, centroids: np.ndarray, n_threads: int) -> np.ndarray:
    """Our kernel with the words given."""
    vectors = np.empty((len(bags), centroids.size), np.float32)
    steps = {"signed_sqrt": True, "intra": True, "l2": True}
    x, offsets = bags.descriptors, bags.offsets
    _core.vlad_encode(x, offsets, word_ids, centroids, **steps, n_threads=n_threads, out=vectors)
    return vectors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=9)
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
    x, word_ids = bags.descriptors, words.predict(bags.descriptors)
    np.testing.assert_array_equal(encode(bags, word_ids, centroids, 1), ours)
    rows = []
    for n in arguments.threads:
        pairs = {
            "transform": {
                "cbir": lambda n=n: vlad.transform(bags, n_threads=n),
                "twin": lambda: twin(bags, centroids),
                "batch": lambda: batch(bags, centroids),
            },
            "encode": {
                "cbir": lambda n=n: encode(bags, word_ids, centroids, n),
                "twin": lambda: reference.encode(x, bags.offsets, word_ids, centroids),
                "batch": lambda: batch_encode(bags, word_ids, centroids),
            },
        }
        for what, cases in pairs.items():
            with threadpool_limits(n):
                seconds = schema.measure(cases, repeats=arguments.repeats)
            for name, s in seconds.items():
                quotient = 1.0 if name == "cbir" else schema.speedup(seconds["cbir"], s)
                row = schema.timing_row(f"{what} {name}", s, threads=n, cbir_is_faster_by=quotient)
                rows.append(row)
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
