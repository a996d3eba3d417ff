"""Bring a collection up to date with its folder: ``python -m cbir.update OUT.cbir``.

Thin: `cbir.collection.Collection.update` compares and describes what is new.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from cbir.commands.changes import tell
from cbir.commands.pictures import open_collection
from cbir.commands.progress import Progress, set_up_logging
from cbir.commands.running import Json, Quiet, Threads, run


def update(
    collection: Annotated[
        Path, typer.Argument(metavar="COLLECTION", help="The collection to bring up to date.")
    ],
    prune: Annotated[
        bool,
        typer.Option("--prune", help="Let images whose files have gone leave the collection."),
    ] = False,
    rehash: Annotated[
        bool,
        typer.Option(
            "--rehash", help="Read every file again, also where its size and time are unchanged."
        ),
    ] = False,
    threads: Threads = 0,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first bad image instead of skipping it.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Look at the folder of a collection again: index what is new or changed.

    Images whose files have gone stay until --prune: a disk that is away is not a folder that was
    emptied.
    """
    set_up_logging(quiet=quiet)
    opened = open_collection(collection)
    with Progress(quiet=quiet) as progress:
        report = opened.update(
            prune=prune, rehash=rehash, n_threads=threads, strict=strict, progress=progress
        )
    return tell(report, collection, as_json=as_json)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code."""
    return run(update, argv)
