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
    report = open_collection(collection).compact()
    if as_json:
        print_json({"collection": collection, "freed_bytes": report.freed_bytes})
    else:
        print(f"{one_line(str(collection))}: {human_bytes(report.freed_bytes)} freed")
    return EXIT_OK


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code."""
    return run(compact, argv)
