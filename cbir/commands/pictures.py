"""Which collection, and which pictures, the arguments of a command mean."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cbir.commands.running import UsageError
from cbir.errors import FormatError, ParameterError

if TYPE_CHECKING:
    from cbir.collection import Collection

STDIN = Path("-")


def one_of(argument: Path | None, option: Path | None, flag: str) -> Path:
    """Give the collection that was named once, as an argument or by its walk-through flag."""
    given = [path for path in (argument, option) if path is not None]
    if len(given) != 1:
        raise UsageError(f"name one collection, as COLLECTION or with {flag}.")
    return given[0]


def open_collection(path: Path, others: Sequence[Path] = ()) -> Collection:
    """Open a collection, or say what stands in its place.

    Parameters
    ----------
    path : what stands where the collection belongs.
    others : the arguments after it, to find out that the two were swapped.

    Raises
    ------
    FormatError naming `path`.
    """
    must_be_folder(path, others)
    from cbir.collection import Collection

    return Collection.open(path)


def must_be_folder(path: Path, others: Sequence[Path] = ()) -> None:
    """Refuse what can't be a collection because it isn't even a folder."""
    if path.is_dir():
        return
    what = "is a file, not a collection" if path.exists() else "there is no such collection"
    swapped = next((one for one in others if one.is_dir()), None)
    cure = (
        f"the collection comes first, then the images: {swapped} {path}"
        if swapped is not None
        else "'cbir build IMAGES -o COLLECTION' makes one"
    )
    raise FormatError(f"{path}: {what}; {cure}")


def listed_pictures(arguments: Sequence[Path], files_from: Path | None) -> Path | list[Path]:
    """Give the one folder, or the files, that the arguments of `build` and `add` mean.

    Parameters
    ----------
    arguments : a folder, or files; a single ``-`` reads a list from stdin.
    files_from : a file that lists pictures, one a line or with NUL between them; ``-`` is stdin.

    Raises
    ------
    UsageError where nothing, or both, were given; ParameterError for an empty list, or where a file
    that was named isn't there. A list may name files that have gone since it was made.
    """
    given = list(arguments)
    if given == [STDIN] and files_from is None:
        given, files_from = [], STDIN
    if bool(given) == (files_from is not None):
        raise UsageError("give images once: a folder, files, '-' or --files-from.")
    if files_from is not None:
        return read_list(files_from)
    if lost := next((path for path in given if not os.path.lexists(path)), None):
        raise ParameterError(f"{lost}: there is no such file or folder; nothing was done")
    if len(given) == 1 and not given[0].is_file():
        return given[0]
    if folder := next((path for path in given if path.is_dir()), None):
        raise UsageError(f"{folder} is a folder: give one folder, or files, not both.")
    return given


def read_list(source: Path) -> list[Path]:
    """Read paths, one a line, or with NUL between them as ``find -print0`` writes them."""
    try:
        raw = sys.stdin.buffer.read() if source == STDIN else source.read_bytes()
    except OSError as error:
        raise ParameterError(f"--files-from {source}: {error.strerror}") from None
    names = raw.split(b"\0") if b"\0" in raw else [line.rstrip(b"\r") for line in raw.split(b"\n")]
    paths = [Path(os.fsdecode(name)) for name in names if name]
    if not paths:
        where = "stdin" if source == STDIN else str(source)
        raise ParameterError(f"{where}: lists no images; one path a line is expected")
    return paths


def id_of_file(collection: Collection, file: Path) -> int | None:
    """Give the id of the image of the collection that `file` is, None where it is none.

    A picture below the image root is known by its path relative to it, any other by its absolute
    path; both are tried as written and with links followed.
    """
    root = Path(collection.image_root)
    for absolute, base in (
        (Path(os.path.abspath(file)), Path(os.path.abspath(root))),  # noqa: PTH100  links stay
        (file.resolve(), root.resolve()),
    ):
        inside = absolute.is_relative_to(base)
        name = (absolute.relative_to(base) if inside else absolute).as_posix()
        if (found := int(collection.find([name])[0])) >= 0:
            return found
    return None
