"""Free what removed images hold on disk: ``python -m cbir.compact OUT.cbir``.

Thin: `cbir.collection.Collection.compact` rewrites what holds removed rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from cbir.commands.output import human_bytes, one_line, print_json
from cbir.commands.pictures import open_collection
from cbir.commands.progress import set_up_logging
from cbir.commands.running import EXIT_OK, Json, Quiet, run


def compact(
    collection: Annotated[
        Path, typer.Argument(metavar="COLLECTION", help="The collection to make smaller.")
    ],
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Free what removed images hold on disk; answers stay the same."""
    set_up_logging(quiet=quiet)
    opened = open_collection(collection)
    before = sum(opened.info()["bytes"].values())
    opened.compact()
    after = sum(opened.info()["bytes"].values())
    if as_json:
        print_json({"collection": collection, "bytes_before": before, "bytes_after": after})
    else:
        freed = f"{human_bytes(after)}, {human_bytes(before - after)} freed"
        print(f"{one_line(str(collection))}: {freed}")
    return EXIT_OK


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code."""
    return run(compact, argv)
