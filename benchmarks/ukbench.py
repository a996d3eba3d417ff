"""Ranking quality on UKBench: recipes in, one table and one JSON file out.

    CBIR_DATA=... python benchmarks/ukbench.py bow vlad colour
    python benchmarks/ukbench.py bow --set vocabulary.n_words=1000 --images FOLDER

Each recipe (a name or a TOML file) goes through the commands: ``cbir.build`` and ``cbir.evaluate``.
N-S is the mean number of the object's 4 images among the first 4 answers (Nister, Stewenius, CVPR
2006; the query itself is one of them), accuracy = N-S / 4. Query times are from file to answer on
one thread. `bytes_per_image` is what the index holds, `build_s` the whole command.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

if not __package__:  # run as a file: its neighbours are found from the folder above
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import _commands, schema
from benchmarks._photos import data_folder
from cbir import _core

# What the recipes of this project must reach on the first 1,000 images, through the commands.
RECIPES = ["bow", "vlad", "vlad-128", "colour", "bow-colour"]
TARGETS = {"bow": 3.50, "vlad": 3.48, "vlad-128": 3.41, "colour": 3.58, "bow-colour": 3.80}
COLUMNS = [
    "recipe",
    "N-S",
    "accuracy",
    "mAP",
    "target",
    "build_s",
    "query_p50_ms",
    "query_p95_ms",
    "bytes_per_image",
    "images",
]


def measure(images: Path, recipe: str, changes: list[str], threads: int) -> dict[str, Any]:
    """One row: build, evaluate."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "uk.cbir"
        many = ["--threads", str(threads)]
        built = _commands.run(
            "build", [*_commands.build(images, out, recipe, changes, "ukbench"), *many]
        )
        asked = _commands.run("evaluate", [str(out), "--protocol", "ukbench", *many])
    metrics, query = asked["metrics"], asked["query_ms"]
    row = {
        "recipe": recipe,
        "N-S": metrics["ns_score"],
        "accuracy": metrics["accuracy"],
        "mAP": metrics["map"],
        "build_s": built["wall_s"],
        "query_p50_ms": query["p50"],
        "query_p95_ms": query["p95"],
        "bytes_per_image": built["bytes_per_image"],
        "images": built["images"]["indexed"],
        "peak_mib": built["peak_memory_bytes"] / 2**20,
        "seconds": built["seconds"],
        "recipe_hash": asked["recipe"]["hash"],
        "threads": threads,
    }
    return row | ({"target": TARGETS[recipe]} if recipe in TARGETS and not changes else {})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipes", nargs="*", default=RECIPES)
    parser.add_argument("--set", action="append", default=[], dest="changes", metavar="KEY=VALUE")
    parser.add_argument("--images", type=Path, help="default: ukbench1000 of CBIR_DATA")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--name", default="ukbench", help="of the file in results/")
    arguments = parser.parse_args()
    images = arguments.images or data_folder() / "ukbench1000" / "images"
    threads = arguments.threads or _core.available_threads()
    rows = [measure(images, r, arguments.changes, threads) for r in arguments.recipes]
    print(schema.table(rows, COLUMNS))
    config = {"data": images.parent.name, "set": arguments.changes, "threads": threads}
    print("wrote", schema.write(arguments.name, rows, config))


if __name__ == "__main__":
    main()
