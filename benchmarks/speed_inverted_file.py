"""InvertedFile beside scipy.sparse column slices: 200,000 Zipf images x 500 words, 100,000 words.

python -m benchmarks.speed_inverted_file [n_images] [repeats]

50 queries: in one batch (``cbir``), and one call for each (``cbir one by one``), where the words
that most images have must come from memory for every query anew.
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import scipy.sparse

from benchmarks import schema
from cbir.indexes import InvertedFile
from cbir.types import SparseVectors

N_WORDS, PER_IMAGE, NQ, K = 100_000, 500, 50, 100
BYTES_PER_POSTING = 6


def zipf_bags(n: int, rng: np.random.Generator) -> SparseVectors:
    """`n` images of 500 words drawn with probability 1 / rank; weight sqrt(tf), unit rows."""
    bound = np.cumsum(1 / np.arange(1, N_WORDS + 1))
    words, weights, counts = [], [], []
    for begin in range(0, n, 5000):
        m = min(5000, n - begin)
        drawn = np.searchsorted(bound, rng.random((m, PER_IMAGE)) * bound[-1])
        key, tf = np.unique(drawn + np.arange(m)[:, None] * N_WORDS, return_counts=True)
        row = key // N_WORDS
        length = np.sqrt(np.bincount(row, tf, minlength=m))
        words.append((key % N_WORDS).astype(np.int32))
        weights.append((np.sqrt(tf) / length[row]).astype(np.float32))
        counts.append(np.bincount(row, minlength=m))
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(counts))]).astype(np.int64)
    return SparseVectors(np.concatenate(words), np.concatenate(weights), offsets, N_WORDS)


def scipy_search(columns: scipy.sparse.csc_matrix, q: SparseVectors, i: int) -> np.ndarray:
    words, weights = q[i]
    score = columns[:, words] @ weights
    best = np.argpartition(score, len(score) - K)[-K:]
    return best[np.lexsort([best, -score[best]])]


def alone(q: SparseVectors, i: int) -> SparseVectors:
    """Row `i`, as a batch of one."""
    words, weights = q[i]
    return SparseVectors(words, weights, np.array([0, len(words)]), N_WORDS)


def copy_bandwidth() -> float:
    """Bytes read and written per second by one core copying 256 MiB."""
    a = np.ones(1 << 26, np.float32)
    b, seconds = np.empty_like(a), []
    for _ in range(7):
        start = time.perf_counter()
        np.copyto(b, a)
        seconds.append(time.perf_counter() - start)
    return 2 * a.nbytes / float(np.median(seconds))


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    repeats = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    rng = np.random.default_rng(0)
    x, q = zipf_bags(n, rng), zipf_bags(NQ, rng)
    index = InvertedFile(N_WORDS, metric="ip")
    index.add(x)
    columns = scipy.sparse.csr_matrix((x.weights, x.word_ids, x.offsets), (n, N_WORDS)).tocsc()
    postings = int(np.bincount(x.word_ids, minlength=N_WORDS)[q.word_ids].sum())
    bandwidth = copy_bandwidth()

    def one(i: int) -> np.ndarray:
        return scipy_search(columns, q, i)

    rows = []
    for threads in (1, 2):
        answers: dict = {}

        def ours(threads: int = threads, answers: dict = answers) -> None:
            answers["cbir"] = index.search(q, K, n_threads=threads)

        def one_by_one(threads: int = threads) -> None:
            for i in range(NQ):
                index.search(alone(q, i), K, n_threads=threads)

        def theirs(threads: int = threads, answers: dict = answers) -> None:
            with ThreadPoolExecutor(threads) as pool:
                answers["scipy"] = list(pool.map(one, range(NQ)))

        seconds = schema.measure(
            {"cbir": ours, "cbir one by one": one_by_one, "scipy": theirs}, repeats=repeats
        )
        for i, theirs_ids in enumerate(answers["scipy"]):
            score = columns[:, q[i][0]].astype(np.float64) @ q[i][1]
            np.testing.assert_allclose(score[answers["cbir"].I[i]], score[theirs_ids], atol=1e-6)
        for name, s in seconds.items():
            row = schema.timing_row(name, s, threads=threads, ms_per_query=1e3 * np.median(s) / NQ)
            row["postings_per_s_per_core"] = postings / float(np.median(s)) / threads
            if name != "scipy":
                row["speedup"] = schema.speedup(s, seconds["scipy"])
                rate = row["postings_per_s_per_core"] * BYTES_PER_POSTING
                row["share_of_copy_bandwidth"] = rate / bandwidth
            rows.append(row)
        print(schema.table(rows), flush=True)
    config = {
        "n_images": n, "words_per_image": PER_IMAGE, "n_words": N_WORDS, "nq": NQ, "k": K,
        "nnz": len(x.word_ids), "postings_per_query": postings / NQ, "metric": "ip", "seed": 0,
        "copy_bandwidth_GB_per_s": bandwidth / 1e9, "index_bytes": index.nbytes,
    }  # fmt: skip
    print(schema.write("speed_inverted_file", rows, config))


if __name__ == "__main__":
    main()
