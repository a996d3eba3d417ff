"""One writer per collection: a lock file that the operating system lets go when its holder dies.

A lock file that merely exists would outlive a killed writer. Here the file stays and what counts is
the lock the system holds on it (flock on POSIX, a locked byte on Windows); its text is the process
id of the holder, for the message only. It is empty while nobody writes.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from cbir.errors import LockError
from cbir.store.atomic import storage_errors

_LOCKED_BYTE = 1 << 20  # Windows makes locked bytes unreadable, so this one lies beyond the text


class WriterLock:
    """Hold the lock of a collection inside a ``with`` block; readers need none.

    Raises
    ------
    LockError naming the process that writes at the moment, StorageError if the file can't be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1

    def __enter__(self) -> WriterLock:
        with storage_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(fd)
        except OSError:
            holder = os.read(fd, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(fd)
            raise LockError(
                f"{self.path.parent}: process {holder} is writing to this collection; "
                "wait until it has finished"
            ) from None
        self._fd = fd
        with suppress(OSError):  # of a full disk: the lock holds without its text
            os.ftruncate(fd, 0)
            os.write(fd, str(os.getpid()).encode())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            os.ftruncate(self._fd, 0)
        os.close(self._fd)  # closing lets the lock go
        self._fd = -1


if sys.platform == "win32":
    import msvcrt

    def _lock(fd: int) -> None:
        os.lseek(fd, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(fd, 0, os.SEEK_SET)

else:
    import fcntl

    def _lock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
