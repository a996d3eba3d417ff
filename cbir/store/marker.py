"""The file that says "this folder is a collection": only beside it is anything written or swept.

A folder is taken over when it does not exist or is empty; one that holds anything else and no
marker belongs to somebody else, whatever its entries are called. The marker is the first thing that
is written and never changes: ``cbir collection, format 2``.
"""

from __future__ import annotations

import re
from pathlib import Path

from cbir.errors import FormatError, ParameterError
from cbir.store.atomic import TEMPORARY, atomic_write, make_folder, remove_tree, storage_errors

MARKER = "CBIR"
FORMAT_VERSION = 2
_TEXT = re.compile(r"cbir collection, format (\d{1,9})\n")
_OWN_TEMPORARY = re.compile(re.escape(TEMPORARY) + rf"\d+-{MARKER}")


def check_marker(folder: Path) -> None:
    """Make sure that `folder` is a collection of this format.

    Raises
    ------
    FormatError if it isn't, if it was made by the first release's layout (to be built anew), or by
    a later cbir.
    """
    marker = folder / MARKER
    try:
        text = marker.read_text(encoding="ascii")
    except (FileNotFoundError, NotADirectoryError):
        raise FormatError(_missing(folder)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{marker}: cannot be read ({error})") from error
    match = _TEXT.fullmatch(text)
    if match is None:
        raise FormatError(f"{marker}: says {text[:40]!r}, not ours or altered")
    if int(match[1]) != FORMAT_VERSION:
        raise FormatError(
            f"{marker}: format version {int(match[1])}, this cbir reads {FORMAT_VERSION}"
        )


def claim(folder: Path) -> None:
    """Make `folder` a collection, if it is one already, is empty, or isn't there.

    Raises
    ------
    ParameterError if it holds other things: nothing in it is touched. FormatError for a marker of
    another format; StorageError.
    """
    with storage_errors(folder):
        if folder.is_file():
            raise ParameterError(f"{folder}: is a file and no collection; name a new folder")
        make_folder(folder)
        names = sorted(one.name for one in folder.iterdir())
    if MARKER in names:
        check_marker(folder)
        return
    # A writer killed before its marker had a name leaves a temporary of the marker and no more.
    others = [name for name in names if not _OWN_TEMPORARY.fullmatch(name)]
    if others:
        if _is_first_format(folder):
            raise FormatError(_missing(folder))
        raise ParameterError(
            f"{folder}: holds other things ({others[0]}) and is no collection; name a new folder"
        )
    atomic_write(folder / MARKER, f"cbir collection, format {FORMAT_VERSION}\n".encode())
    for name in names:
        remove_tree(folder / name)


def _is_first_format(folder: Path) -> bool:
    return (folder / "catalogue.sqlite").is_file() and (folder / "CURRENT").is_file()


def _missing(folder: Path) -> str:
    if not folder.is_dir():
        return f"{folder}: no such collection; build it first"
    if _is_first_format(folder):
        return (
            f"{folder}: a collection of an older format, which this cbir does not read; "
            "build it anew into another folder"
        )
    return f"{folder}: no collection here (the file {MARKER} is missing)"
