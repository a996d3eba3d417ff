"""Take images out of a collection: ``python -m cbir.remove OUT.cbir holiday/17.jpg``.

Thin: `cbir.collection.Collection.remove` marks them. The files themselves are left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cbir.commands.changes import tell
from cbir.commands.pictures import STDIN, id_of_file, open_collection, read_list
from cbir.commands.progress import set_up_logging
from cbir.commands.running import Json, Quiet, UsageError, run
from cbir.errors import ParameterError

if TYPE_CHECKING:
    from cbir.collection import Collection


def remove(
    collection: Annotated[
        Path, typer.Argument(metavar="COLLECTION", help="The collection to remove from.")
    ],
    images: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="IMAGES",
            help="Images by their path in the collection or by their file; - for a list on stdin.",
        ),
    ] = None,
    ids: Annotated[
        list[int] | None,
        typer.Option("--id", min=0, metavar="N", help="An image by its id; repeatable."),
    ] = None,
    files_from: Annotated[
        Path | None,
        typer.Option("--files-from", metavar="FILE", help="Remove the images listed in FILE."),
    ] = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Take images out of a collection; their files stay where they are.

    A later update finds files that are still in the image folder, and adds them again. What
    removed images hold on disk, 'cbir compact' frees.
    """
    named = list(images or [])
    if named == [STDIN]:
        named, files_from = [], STDIN
    if files_from is not None:
        named += read_list(files_from)
    if not named and not ids:
        raise UsageError("name images, by path or with --id.")
    set_up_logging(quiet=quiet)
    opened = open_collection(collection, named)
    wanted = dict.fromkeys(ids or [])
    wanted.update(dict.fromkeys(find(opened, one) for one in named))
    return tell(opened.remove(list(wanted)), collection, as_json=as_json)


def find(collection: Collection, name: Path) -> int:
    """Give the id of an image by its path in the collection, or else by its file."""
    known = int(collection.find([name.as_posix()])[0])
    found = known if known >= 0 else id_of_file(collection, name)
    if found is None:
        raise ParameterError(f"remove: {name} is not in the collection; nothing was removed")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code."""
    return run(remove, argv)
