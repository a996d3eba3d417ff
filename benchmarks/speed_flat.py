"""Flat l2 beside faiss IndexFlatL2: 1,000,000 x 128 RootSIFT, 1,000 queries, k = 100.

CBIR_DATA=... python -m benchmarks.speed_flat [nb] [repeats]
"""

import sys

import faiss
import numpy as np

from benchmarks import schema
from benchmarks._rootsift import rootsift
from cbir import _core
from cbir.indexes import Flat

NQ, K = 1000, 100


def same_answer(x: np.ndarray, q: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> float:
    """Share of equal ids; stops if one differs that is not a tie in float32.

    faiss rounds |q|^2 - 2qx + |x|^2, so two rows whose distances agree to 1e-6 may change places.
    """
    for i, at in np.argwhere(ours != theirs):
        a, b = (((x[hits[i, at]].astype(float) - q[i]) ** 2).sum() for hits in (ours, theirs))
        if abs(a - b) > 2e-6:
            raise SystemExit(f"query {i}, place {at}: squared distance {a}, faiss has {b}")
    return float((ours == theirs).mean())


def main() -> None:
    nb = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    repeats = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    both = rootsift(nb + NQ)
    q, x = both[:NQ].copy(), both[NQ:].copy()
    del both
    index, peer = Flat(128), faiss.IndexFlatL2(128)
    index.add(x)
    peer.add(x)
    rows = []
    for threads in (1, 2):
        faiss.omp_set_num_threads(threads)
        answers = {}

        def ours(level: str, threads: int = threads, answers: dict = answers) -> None:
            before = _core.simd_level()
            _core.set_simd_level(level)
            answers[level] = index.search(q, K, n_threads=threads).I
            _core.set_simd_level(before)

        def theirs(answers: dict = answers) -> None:
            answers["faiss"] = peer.search(q, K)[1]

        best = _core.simd_levels()[-1]
        levels = [level for level in ("avx512", best) if level in _core.simd_levels()]
        cases = {f"cbir {level}": lambda level=level: ours(level) for level in levels}
        seconds = schema.measure({**cases, "faiss": theirs}, repeats=repeats)
        for level in levels:
            same = same_answer(x, q, answers[level], answers["faiss"])
            row = schema.timing_row(f"cbir {level}", seconds[f"cbir {level}"], threads=threads)
            row["same_ids"] = same
            row["speedup"] = schema.speedup(seconds[f"cbir {level}"], seconds["faiss"])
            rows.append(row)
        rows.append(schema.timing_row("faiss", seconds["faiss"], threads=threads))
        print(schema.table(rows), flush=True)
    config = {"nb": nb, "d": 128, "nq": NQ, "k": K, "metric": "l2", "data": "RootSIFT", "seed": 0}
    print(schema.write("speed_flat", rows, config))


if __name__ == "__main__":
    main()
