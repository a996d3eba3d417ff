"""Add pictures to a collection: ``python -m cbir.add OUT.cbir NEW.jpg ...``.

Thin: `cbir.collection.Collection.add` describes them and writes them as one segment.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from cbir.commands.changes import tell
from cbir.commands.pictures import listed_pictures, open_collection
from cbir.commands.progress import Progress, set_up_logging
from cbir.commands.running import Json, Quiet, Threads, run


def add(
    collection: Annotated[
        Path, typer.Argument(metavar="COLLECTION", help="The collection to add to.")
    ],
    images: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="IMAGES", help="A folder of images, or files; or - for a list on stdin."
        ),
    ] = None,
    files_from: Annotated[
        Path | None,
        typer.Option(
            "--files-from",
            metavar="FILE",
            help="Add the files listed in FILE, one a line (or NUL between); - is stdin.",
        ),
    ] = None,
    threads: Threads = 0,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first bad image instead of skipping it.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Add images to a collection.

    Images below the collection's image folder are known by their path in it, others by their
    absolute path.
    """
    pictures = listed_pictures(images or [], files_from)
    set_up_logging(quiet=quiet)
    opened = open_collection(collection, images or [])
    with Progress(quiet=quiet) as progress:
        report = opened.add(pictures, n_threads=threads, strict=strict, progress=progress)
    return tell(report, collection, as_json=as_json)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code."""
    return run(add, argv)
