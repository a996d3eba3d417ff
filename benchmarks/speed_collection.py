"""What a collection costs as it grows: opening it, asking it, and changing one picture of it.

    python -m benchmarks.speed_collection            # 10,000, 100,000 and 1,000,000 images

The collections are made up (`_synthetic.py`: 64-D rows of a `colour` recipe under `flat`, one
segment, as a first build leaves it). What is measured is real from there on: commands in processes
of their own, small pictures that are decoded and described, additions one after another with the
merges that they bring. The folder of `update` holds 100,000 files of a few bytes that the catalogue
knows by size and time, so none is opened.

Writes `results/speed_collection.json` and its curves, `results/speed_collection.svg`.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import _commands, schema
from benchmarks._synthetic import RECIPE, make_collection
from cbir import Collection
from cbir.indexes import Flat

SIZES = (10_000, 100_000, 1_000_000)
SEED = 0
REAL = 16  # pictures that are really there
LIMITS = {"open": 0.050, "search command": 1.0, "search": 0.040, "add": 0.3, "remove 1,000": 0.5}
OPEN = """
import json, sys, time
from cbir import Collection
from cbir.indexes import Flat
def most():  # not getrusage, which knows the process that this one was forked from
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return int(status["VmHWM"].split()[0]) / 1024
before = most()
start = time.perf_counter()
Collection.open(sys.argv[1])
took = time.perf_counter() - start
print(json.dumps({"s": took, "peak_mib": most(), "more_mib": most() - before}))
"""

MAPPED = """
import json, sys, time
import numpy as np
from cbir import indexes
index = indexes.load(sys.argv[1], mmap=True)
start = time.perf_counter()
index.search(np.full((1, 64), 0.5, np.float32), 12)
took = time.perf_counter() - start
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({"s": took} | {k: int(status[k].split()[0]) for k in ("VmHWM", "RssAnon")}))
"""


def pictures(folder: Path, n: int, *, seed: int) -> list[Path]:
    """Small pictures of random blocks."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    paths = [folder / f"{i:05d}.png" for i in range(n)]
    for path in paths:
        blocks = rng.integers(0, 256, (6, 8, 3), np.uint8)
        Image.fromarray(blocks).resize((160, 120), Image.Resampling.NEAREST).save(path)
    return paths


def opening(folder: Path) -> dict[str, float]:
    """Open in a new process, and how much memory that took beyond the imports."""
    found: dict[str, float] = json.loads(
        _commands.output([sys.executable, "-c", OPEN, str(folder)])
    )
    return found


def seconds(call: Any, repeats: int) -> list[float]:
    """Seconds of each call."""
    took = []
    for i in range(repeats):
        start = time.perf_counter()
        call(i)
        took.append(time.perf_counter() - start)
    return took


def measure(n: int, work: Path, repeats: int, adds: int) -> list[dict[str, Any]]:
    """All rows of one size."""
    folder, images = work / f"{n}.cbir", work / f"{n}"
    queries = pictures(images, REAL, seed=SEED)
    make_collection(folder, images, n, seed=SEED)
    opened = [opening(folder) for _ in range(repeats + 1)][1:]
    asked = ["search", [str(folder), str(queries[0]), "-k", "12"]]
    command = seconds(lambda i: _commands.run(*asked), repeats + 1)[1:]
    collection = Collection.open(folder)
    collection.search(queries[0], 12)
    inside = seconds(lambda i: collection.search(queries[i % REAL], 12), 5 * repeats)
    more = pictures(work / f"{n}-more", adds + 1, seed=1)
    collection.add(more[0])
    added = seconds(lambda i: collection.add(more[1 + i]), adds)
    ids = np.arange(n // 2, n // 2 + 1000, dtype=np.int64)
    removed = seconds(lambda i: collection.remove(ids - 1000 * i), min(repeats, n // 4000))
    reopened = [opening(folder) for _ in range(repeats)]
    names = ["open", "search command", "search", "add", "remove 1,000", "open after the changes"]
    timed = [
        [one["s"] for one in opened], command, inside, added, removed,
        [one["s"] for one in reopened],
    ]  # fmt: skip
    rows = [
        schema.timing_row(name, np.array(took), threads=2, images=n, worst_s=float(max(took)))
        for name, took in zip(names, timed, strict=True)
    ]
    for row, runs in ((rows[0], opened), (rows[-1], reopened)):
        for key in ("peak_mib", "more_mib"):
            row[key] = float(np.median([one[key] for one in runs]))
    for row in rows:
        if n == max(SIZES) and row["name"] in LIMITS:
            row["asked_s"] = LIMITS[row["name"]]
    shutil.rmtree(folder)
    return rows


def unchanged(n: int, work: Path, repeats: int) -> dict[str, Any]:
    """`update` of a folder of `n` files of which none has changed."""
    folder, images = work / "unchanged.cbir", work / "unchanged"
    files = {}
    for i in range(n):
        path = images / f"{i // 1000:04d}" / f"{i:07d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"%d" % i)
        stat = path.stat()
        files[path.relative_to(images).as_posix()] = (stat.st_size, stat.st_mtime_ns)
    make_collection(folder, images, n, seed=SEED, files=files)
    collection = Collection.open(folder)
    collection.update()  # notes where the folder lies
    before = collection.generation
    took = seconds(lambda i: collection.update(), repeats)
    if collection.generation != before:
        sys.exit("speed_collection: an update found a change where there was none")
    row = schema.timing_row("update, nothing changed", np.array(took), threads=2, images=n)
    return {**row, "asked_s": 2.0}


def mapped(work: Path, megabytes: int = 1000) -> dict[str, Any]:
    """Memory of a process that searches a mapped index of that size."""
    folder, n = work / "mapped", megabytes * 1_000_000 // 256
    index = Flat(64)
    index.add(np.random.default_rng(SEED).random((n, 64), np.float32))
    index.save(folder)
    del index
    runs = [
        json.loads(_commands.output([sys.executable, "-c", MAPPED, str(folder)])) for _ in "123"
    ]
    row = schema.timing_row(
        "search in a mapped index", np.array([r["s"] for r in runs]), threads=2, images=n
    )
    memory = {"index_mib": n * 264 / 2**20} | {
        name: float(np.median([r[key] for r in runs])) / 1024
        for name, key in (("peak_mib", "VmHWM"), ("own_mib", "RssAnon"))
    }
    return {**row, **memory}


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Curves of seconds over images, both logarithmic."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "cbir"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    names = dict.fromkeys(row["name"] for row in rows if row["images"] in SIZES)
    for name in names:
        points = [(r["images"], r["median_s"]) for r in rows if r["name"] == name]
        if len(points) == len(SIZES):
            axes.plot(*zip(*points, strict=True), marker="o", label=name)
    axes.set(xscale="log", yscale="log", xlabel="images in the collection", ylabel="seconds")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--adds", type=int, default=1000, help="single additions to the largest")
    parser.add_argument("--unchanged", type=int, default=100_000, help="files of the update")
    parser.add_argument("--folder", type=Path, help="where the collections are made")
    parser.add_argument("--dry", action="store_true", help="write no results")
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as made:
        work = Path(made)
        for n in arguments.sizes:
            adds = arguments.adds if n == max(arguments.sizes) else min(arguments.adds, 50)
            rows += measure(n, work, arguments.repeats, adds)
        rows.append(unchanged(arguments.unchanged, work, min(arguments.repeats, 5)))
        rows.append(mapped(work))
    columns = ["name", "images", "median_s", "iqr_s", "worst_s", "asked_s", "peak_mib", "more_mib"]
    print(schema.table(rows, columns))
    if not arguments.dry:
        config = {"recipe": RECIPE.to_dict(), "seed": SEED, "adds": arguments.adds}
        schema.write("speed_collection", rows, config)
        plot(rows, schema.RESULTS / "speed_collection.svg")


if __name__ == "__main__":
    main()
