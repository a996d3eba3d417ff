"""Large vocabularies of real RootSIFT: seconds and memory of a whole fit, its start included.

    CBIR_DATA=... python -m benchmarks.speed_vocabulary

20,000 and 100,000 words, 3 iterations, a process of their own each.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time

import numpy as np

from benchmarks import schema
from benchmarks._photos import ukbench_bags
from cbir.collection.report import peak_memory
from cbir.vocabulary import KMeans

N_ITER = 3


def fit(n_words: int, n_threads: int) -> dict[str, float]:
    """What one fit took, by step."""
    x = np.ascontiguousarray(ukbench_bags(1000).descriptors)
    before = peak_memory()
    moments = [time.perf_counter()]
    words = KMeans(n_words, n_iter=N_ITER, max_points_per_word=0, n_threads=n_threads)
    words.fit(x, on_assignment=lambda n: moments.append(time.perf_counter()))
    return {
        "n_words": n_words,
        "n_points": len(x),
        "iteration_s": float(np.median(np.diff(moments[1:]))),
        "whole_s": time.perf_counter() - moments[0],
        "more_mib": (peak_memory() - before) / 2**20,
        "inertia_per_point": words.inertia_ / len(x),
        "n_repaired": words.n_repaired_,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--words", type=int, nargs="+", default=[20_000, 100_000])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(fit(arguments.only, arguments.threads)))
        return
    ukbench_bags(1000)  # extracted once, outside
    rows = []
    for n in arguments.words:
        line = [sys.executable, "-m", "benchmarks.speed_vocabulary", "--only", str(n)]
        done = subprocess.run(
            [*line, "--threads", str(arguments.threads)],
            cwd=schema.ROOT,
            check=True,
            capture_output=True,
            text=True,
        )
        took = json.loads(done.stdout)
        seconds = np.array([took.pop("whole_s")])
        rows.append(schema.timing_row("fit", seconds, threads=arguments.threads, **took))
    print(schema.table(rows))
    config = {"data": "ukbench1000, RootSIFT", "n_iter": N_ITER, "init": "k-means++", "seed": 0}
    print("wrote", schema.write("speed_vocabulary", rows, config))


if __name__ == "__main__":
    main()
