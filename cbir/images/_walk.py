"""Find the pictures of a folder.

The order is that of the relative POSIX paths by code point: the same on every machine, whatever the
locale and however the file system lists its entries. Two names that differ only in Unicode form
(NFC, NFD) are two pictures; equal names in two folders are two pictures: a path is never shortened
to its last part.

What is left out: names that begin with a dot (files and folders), other extensions, and collections
(``*.cbir``), which hold no pictures but may lie among them. What is left out *and said*, in
`Scan.skipped`: folders that may not be listed, and pipes, sockets and devices, which could block
whoever opens them. Names whose bytes are not valid UTF-8 are given as Python gives them (with
surrogates); whoever stores paths must refuse them, as a build does.

Symbolic links to files count as files. Links to folders are followed, after everything that is
reached without them; behind them no folder is entered that was seen already. So loops end, and a
picture reached by two ways keeps the path without the link.

Cost: one listing per folder, one stat per picture (so that whoever asks whether it has changed
needs none of its own) and, where there are links, one stat per link.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cbir.errors import ImageError
from cbir.images._decode import EXTENSIONS, shown

logger = logging.getLogger(__name__)


class Scan(NamedTuple):
    """What `scan` found: pictures, and what it could not take, with the reason.

    `sizes` and `times` are bytes and mtime in ns of each path, both -1 where the file could not be
    looked at (a link to nothing). `unreachable` are the folders, and links that lead nowhere, below
    which nothing could be seen: what was found there before need not be gone.
    """

    paths: list[str]
    skipped: list[tuple[str, str]]
    sizes: list[int]
    times: list[int]
    unreachable: list[tuple[str, str]]


def walk(root: str | Path, *, extensions: Sequence[str] = EXTENSIONS) -> list[str]:
    """Relative POSIX paths of all pictures under `root`, in code point order.

    What had to be left out for a reason is logged as a warning; `scan` returns it.

    Raises
    ------
    ImageError if `root` is missing, is a file or may not be listed.
    """
    found = scan(root, extensions=extensions)
    for name, reason in found.skipped:
        logger.warning("left out: %s: %s", name, reason)
    return found.paths


def scan(root: str | Path, *, extensions: Sequence[str] = EXTENSIONS) -> Scan:
    """As `walk`, with what had to be left out: pairs of a printable name and a reason.

    Parameters
    ----------
    root : folder; a symbolic link to one is taken.
    extensions : with their dots, compared without regard to case.

    Raises
    ------
    ImageError if `root` is missing, is a file or may not be listed.
    """
    # A bare string would be looped over letter by letter and find nothing.
    wanted = tuple(e.lower() for e in ([extensions] if isinstance(extensions, str) else extensions))
    top = os.fspath(root)
    found: list[tuple[str, int, int]] = []
    skipped: list[tuple[str, str]] = []
    unreachable: list[tuple[str, str]] = []
    seen: set[tuple[int, int]] = set()
    folders: list[str] = [""]
    links: list[str] = []
    behind_link = False
    try:
        start = os.stat(top)  # noqa: PTH116
        _list_folder(top, "")
    except NotADirectoryError as error:
        raise ImageError(
            f"{shown(top)} is a file, expected a folder of images; name its folder"
        ) from error
    except FileNotFoundError as error:
        raise ImageError(
            f"{shown(top)} does not exist, expected a folder of images; check the path"
        ) from error
    except (OSError, ValueError) as error:
        raise ImageError(
            f"{shown(top)} can't be listed ({error}); check its permissions"
        ) from error
    seen.add((start.st_dev, start.st_ino))

    while folders or links:
        if folders:
            folder = folders.pop()
        else:
            # Links are taken smallest path first, so which of two links wins does not hang on the
            # listing.
            links.sort(reverse=True)
            folder = links.pop()
            behind_link = True
            try:
                target = os.stat(os.path.join(top, folder))  # noqa: PTH116, PTH118
            except OSError as error:
                unreachable.append((folder, f"the link can't be followed ({error.strerror})"))
                continue
            if (target.st_dev, target.st_ino) in seen:
                continue
            seen.add((target.st_dev, target.st_ino))
        try:
            entries = _list_folder(top, folder)
        except OSError as error:
            reason = f"the folder can't be listed ({error.strerror})"
            skipped.append((shown(folder), reason))
            unreachable.append((folder, reason))
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = f"{folder}/{entry.name}" if folder else entry.name
            is_folder = _is_folder(entry)
            if is_folder and entry.name.lower().endswith(".cbir"):
                continue
            if entry.is_symlink() and not os.path.exists(entry.path):  # noqa: PTH110
                unreachable.append((path, "the link leads nowhere"))  # to a file or to a folder
            if not is_folder and not entry.name.lower().endswith(wanted):
                continue
            if not is_folder and not _may_be_file(entry):
                skipped.append((shown(path), "no regular file (a pipe, socket or device)"))
            elif not is_folder:
                found.append((path, *_looks(entry)))
            elif entry.is_symlink():
                links.append(path)
            else:
                try:
                    # Not entry.stat(): on some systems it has no inode number.
                    info = os.stat(entry.path)  # noqa: PTH116
                except OSError as error:
                    unreachable.append((path, f"the folder can't be looked at ({error.strerror})"))
                    continue
                if behind_link and (info.st_dev, info.st_ino) in seen:
                    continue
                seen.add((info.st_dev, info.st_ino))
                folders.append(path)
    found.sort()
    return Scan(
        paths=[path for path, _, _ in found],
        skipped=sorted(skipped),
        sizes=[size for _, size, _ in found],
        times=[time for _, _, time in found],
        unreachable=sorted(unreachable),
    )


def _list_folder(top: str, folder: str) -> list[os.DirEntry[str]]:
    with os.scandir(os.path.join(top, folder) if folder else top) as entries:  # noqa: PTH118
        return list(entries)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: listed as a file, and refused when it is decoded
        return False


def _may_be_file(entry: os.DirEntry[str]) -> bool:
    """Regular files; and links to nothing, which are refused by name when they are decoded."""
    try:
        return entry.is_file() or not Path(entry.path).exists()
    except OSError:
        return True


def _looks(entry: os.DirEntry[str]) -> tuple[int, int]:
    """Bytes and mtime in ns of the file, a link followed; -1 and -1 where that can't be done."""
    try:
        info = entry.stat()
    except OSError:
        return -1, -1
    return info.st_size, info.st_mtime_ns
