"""Files and folders that are either there in full or not there at all.

The order is always: write under a temporary name beside the target, flush the file to disk, rename,
flush the folder that holds the name. A crash before the rename leaves a stale temporary (removed by
the next writer), a crash after it leaves the finished thing; there is no moment in between, because
a rename inside one file system is atomic (POSIX rename(2)). Flushing the folder makes the rename
itself survive a power cut; a new folder is a name in the one above it and is flushed there.

An error of the disk (full, quota, read-only) becomes `StorageError`; the temporary is removed.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cbir.errors import StorageError

TEMPORARY = ".tmp-"  # prefix of every temporary name; a writer may delete whatever carries it
_FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))
Buffer = bytes | bytearray | memoryview


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn an OSError raised inside into `StorageError` naming `path` and what the system said."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        full = error.errno in _FULL
        raise cannot_write(path, error.strerror or str(error), full=full) from error


def cannot_write(path: Path, reason: str, *, full: bool) -> StorageError:
    """The error that says so, and what to do about it."""
    cure = "Free some space or choose another disk" if full else "Mend that or choose another place"
    return StorageError(
        f"cannot write {path}: {reason}; what was stored before is untouched. "
        f"{cure} and run the same command again"
    )


def fsync_folder(folder: Path) -> None:
    """Flush the names in a folder to disk; nothing to do on Windows, which can't open folders."""
    if os.name == "nt":
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it that are missing, so that a power cut leaves them there."""
    if folder.is_dir():
        return
    try:
        folder.mkdir(exist_ok=True)
    except FileNotFoundError:
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
    with suppress(PermissionError):  # one may be allowed to make names and not to list them
        fsync_folder(folder.parent)


def write_file(path: Path, chunks: Iterable[Buffer]) -> None:
    """Write a new file from pieces and flush it to disk; no rename: for temporary folders."""
    with path.open("wb") as file:
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())


def temporary_for(path: Path) -> Path:
    """Temporary sibling of `path`. The process id keeps two writers of unlocked folders apart."""
    return path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")


def atomic_write(path: Path | str, data: Buffer | Iterable[Buffer]) -> None:
    """Put `data` (bytes, or an iterable of bytes) at `path` in one step, replacing what was there.

    Raises
    ------
    StorageError if the disk is full or refuses; the file that was there before is then untouched.
    """
    path = Path(path)
    temporary = temporary_for(path)
    chunks = [data] if isinstance(data, bytes | bytearray | memoryview) else data
    with storage_errors(path):
        try:
            make_folder(path.parent)
            write_file(temporary, chunks)
            temporary.replace(path)
            fsync_folder(path.parent)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path | str) -> Iterator[Path]:
    """Give a temporary folder to fill; publish it as `path` when the block ends well.

    A folder can't be renamed over a full one, so an existing `path` is moved aside first: the only
    step here that a crash could fall into. A collection never does that: its generations have new
    names.
    """
    path = Path(path)
    temporary = temporary_for(path)
    aside = path.with_name(f"{TEMPORARY}{os.getpid()}-old-{path.name}")
    with storage_errors(path):
        try:
            make_folder(path.parent)
            remove_tree(temporary)
            temporary.mkdir()
            yield temporary
            for inner in (temporary, *(p for p in temporary.rglob("*") if p.is_dir())):
                fsync_folder(inner)
            if path.exists():
                remove_tree(aside)
                path.replace(aside)
            temporary.replace(path)
            fsync_folder(path.parent)
        finally:
            for leftover in (temporary, aside):
                with suppress(OSError):
                    remove_tree(leftover)


def remove_tree(path: Path) -> None:
    """Delete a file or a folder; nothing happens if it isn't there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
