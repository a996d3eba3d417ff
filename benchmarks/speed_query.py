"""One query after the other, from file to answer: decode, SIFT, words, search.

    CBIR_DATA=... taskset -c 0 python -m benchmarks.speed_query [COLLECTION.cbir]

320x240 photographs of ukbench1000 asked of a collection of all 1,000, one thread, through
`Collection.search`. Without COLLECTION one is built first (20,000 words). Target: p50 under 60 ms
on one core. The split is taken in the same run, query by query, from the pipeline's own steps.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks import _commands, schema
from benchmarks._photos import data_folder
from cbir import Collection

N_QUERIES = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("collection", type=Path, nargs="?")
    parser.add_argument("--words", type=int, default=20_000)
    arguments = parser.parse_args()
    images = data_folder() / "ukbench1000" / "images"
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.collection
        if path is None:
            path = Path(folder) / "uk.cbir"
            changes = [f"vocabulary.n_words={arguments.words}"]
            _commands.run("build", _commands.build(images, path, "bow", changes, "ukbench"))
        collection = Collection.open(path)
        queries = sorted(images.glob("*.jpg"))[:: 1000 // N_QUERIES]
        seconds = measure(collection, queries)
    rows = []
    for name, s in seconds.items():
        p50, p95 = np.percentile(s, [50, 95]) * 1e3
        rows.append(schema.timing_row(name, s, threads=1, p50_ms=float(p50), p95_ms=float(p95)))
    print(schema.table(rows, ["name", "p50_ms", "p95_ms", "repeats"]))
    config = {
        "data": "ukbench1000",
        "recipe": collection.recipe.to_dict(),
        "k": 4,
        "n_queries": len(queries),
        "target_p50_ms": 60,
    }
    print("wrote", schema.write("speed_query", rows, config))


def measure(collection: Collection, queries: list[Path]) -> dict[str, np.ndarray]:
    """Seconds of each query, whole and by step; the steps are a second pass over the same file."""
    pipeline, clock = collection.pipeline, time.perf_counter
    names = ("whole", "decode", "features", "vector", "rest")
    seconds = {name: np.zeros(len(queries)) for name in names}
    for query in queries[:5]:  # warm-up
        collection.search(query, 4, n_threads=1)
    for i, query in enumerate(queries):
        marks = [clock()]
        collection.search(query, 4, n_threads=1)
        marks.append(clock())
        picture = pipeline.decode(query)
        marks.append(clock())
        described = pipeline.features_of(picture)
        marks.append(clock())
        pipeline.query([described])
        marks.append(clock())
        whole, *steps = np.diff(marks)
        for name, value in zip(names, (whole, *steps, whole - sum(steps)), strict=True):
            seconds[name][i] = max(value, 0.0)
    return seconds


if __name__ == "__main__":
    main()
