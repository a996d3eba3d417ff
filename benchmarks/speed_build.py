"""Build of ukbench1000 with 20,000 words: seconds by stage and peak memory, from an empty folder.

    CBIR_DATA=... python -m benchmarks.speed_build [--threads 1 2] [--repeats 3]

The clock holds everything a person waits for: start of Python, decoding, SIFT, k-means, assignment,
index, writing to disk and flushing it. Target on 2 cores: 120 s, peak memory under 2 GiB.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from benchmarks import _commands, schema
from benchmarks._photos import data_folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--words", type=int, default=20_000)
    arguments = parser.parse_args()
    images = data_folder() / "ukbench1000" / "images"
    changes = [f"vocabulary.n_words={arguments.words}"]
    rows = []
    for n in arguments.threads:
        reports = []
        for _ in range(arguments.repeats):
            with tempfile.TemporaryDirectory() as folder:
                line = _commands.build(images, Path(folder) / "uk.cbir", "bow", changes, "ukbench")
                reports.append(_commands.run("build", [*line, "--threads", str(n)], cores=n))
        stages = {
            f"{stage}_s": float(np.median([r["seconds"].get(stage, 0.0) for r in reports]))
            for stage in reports[0]["seconds"]
        }
        peak = float(np.median([r["peak_memory_bytes"] for r in reports])) / 2**20
        wall = np.array([r["wall_s"] for r in reports])
        last = reports[-1]
        rows.append(
            schema.timing_row("build", wall, threads=n, peak_mib=peak, **stages)
            | {"indexed": last["images"]["indexed"], "bytes_per_image": last["bytes_per_image"]}
        )
    print(schema.table(rows))
    config = {
        "data": "ukbench1000",
        "recipe": "bow",
        "set": changes,
        "start": "cold: a process and an empty folder each time",
        "target_s_on_2_cores": 120,
        "target_peak_mib": 2048,
    }
    print("wrote", schema.write("speed_build", rows, config))


if __name__ == "__main__":
    main()
