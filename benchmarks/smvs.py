"""DVD covers of Stanford Mobile Visual Search: does the right cover come first?

    CBIR_DATA=... python -m benchmarks.smvs [--canon FOLDER] [--set KEY=VALUE ...]

Index ``reference/`` (100 clean covers), ask with ``canon/`` (100 photographs of them by a phone:
perspective, glare, clutter). Photograph NNN has exactly one right answer, cover NNN. The reference
covers alone teach the vocabulary and the idf; no photograph is seen before it is asked.

The recipe `bow` brings covers (500 pixels) and photographs (1,024) to one scale and keeps the 1,000
strongest keypoints of each.
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

SETTINGS = ["vocabulary.n_words=10000"]
TARGET = 90


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="bow")
    parser.add_argument("--set", action="append", default=[], dest="changes", metavar="KEY=VALUE")
    parser.add_argument("--canon", type=Path, help="photographs to ask with")
    parser.add_argument("--name", default="smvs", help="of the file in results/")
    arguments = parser.parse_args()
    folder = data_folder() / "smvs_dvd"
    queries = sorted((arguments.canon or folder / "canon").glob("*.jpg"))
    changes = [*SETTINGS, *arguments.changes]
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary) / "covers.cbir"
        line = _commands.build(folder / "reference", out, arguments.recipe, changes)
        built = _commands.run("build", line)
        collection = Collection.open(out)
        ranks, seconds = [], []
        for query in queries:
            start = time.perf_counter()
            found = collection.search(query, collection.ntotal, n_threads=1)
            seconds.append(time.perf_counter() - start)
            stems = [Path(p).stem for p in collection.paths(found.I[0])]
            ranks.append(stems.index(query.stem))
    first = np.array(ranks)
    row = schema.timing_row("query", np.array(seconds), threads=1) | {
        "recipe": arguments.recipe,
        "right_cover_first": int((first == 0).sum()),
        "in_first_4": int((first < 4).sum()),
        "queries": len(queries),
        "target": TARGET,
        "mrr": float((1 / (first + 1)).mean()),
        "build_s": built["wall_s"],
    }
    columns = ["recipe", "right_cover_first", "in_first_4", "queries", "target", "mrr", "build_s"]
    print(schema.table([row], columns))
    missed = [q.stem for q, r in zip(queries, ranks, strict=True) if r]
    print("missed:", " ".join(missed) or "none")
    config = {"data": "smvs_dvd", "set": changes, "missed": missed, "queries": "canon"}
    print("wrote", schema.write(arguments.name, [row], config))


if __name__ == "__main__":
    main()
