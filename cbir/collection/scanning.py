"""Which pictures are new, changed or gone: a scan of files against the catalogue.

A file whose size and time of change are those of the catalogue is the same and not opened; with
`rehash` all are read. A file with another time is read and hashed: only another content makes it
another picture.

What can't be seen is not gone. A folder that may not be listed, a link to a disk that is not there,
a file that can't be read now: the images below stay as they are, and the report says so. A picture
whose file really isn't there any more stays too until somebody asks to `prune`.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple, TypeVar

from cbir.errors import ImageError, ParameterError
from cbir.images import EXTENSIONS, scan
from cbir.store import Catalogue, Comparison, Differs

Progress = Callable[[str, int, int], None]
_T = TypeVar("_T")
_R = TypeVar("_R")
_TICK_NS = 2_000_000_000  # the coarsest clock of a file system, FAT's
UNSURE = -1  # a time that never equals: look again next time


class Found(NamedTuple):
    """A file met by a scan; `path` is what the catalogue calls it, `error` why it is of no use."""

    path: str
    file: str
    bytes: int
    mtime_ns: int
    error: str | None = None


class Candidate(NamedTuple):
    """A picture to be described; `old` is the row that it replaces, if there is one."""

    path: str
    file: str
    label: str | None
    error: str | None = None
    old: int | None = None
    old_state: str = ""
    old_error: str | None = None


@dataclass
class Changes:
    """What a scan found.

    Attributes
    ----------
    seen : files found.
    new : pictures to describe, in order of the scan.
    times : (id, mtime_ns) of files that are the same and have another time.
    relabelled : id -> label that it has now.
    gone : ids of images whose file is not there any more.
    unreachable : (path, reason) of what could not be looked at and is left as it was.
    failed : (path, reason) of files found that failed before and are not tried again.
    retried : pictures whose failure may have passed.
    """

    seen: int = 0
    new: list[Candidate] = field(default_factory=list)
    times: list[tuple[int, int]] = field(default_factory=list)
    relabelled: dict[int, str | None] = field(default_factory=dict)
    gone: list[int] = field(default_factory=list)
    unreachable: list[tuple[str, str]] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    retried: int = 0


def bounded_map(
    function: Callable[[_T], _R], items: Iterable[_T], n_threads: int, ahead: int = 0
) -> Iterator[_R]:
    """``map`` with threads, in order; four items per thread (or `ahead`) are in flight at most."""
    if n_threads == 1:
        yield from map(function, items)
        return
    most = max(4 * n_threads, ahead)
    pool = ThreadPoolExecutor(n_threads, thread_name_prefix="cbir")
    waiting: deque[Future[_R]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


# ---- where files come from ----


def walk_folder(root: Path) -> tuple[list[Found], list[tuple[str, str]]]:
    """Pictures below a folder, and what in it could not be looked into: (path, reason).

    Raises
    ------
    ParameterError if there is none: more likely a wrong or unmounted folder than an empty one.
    """
    try:
        walked = scan(root)
    except ImageError as error:
        raise ParameterError(str(error)) from error
    if not walked.paths:
        raise ParameterError(f"{root}: holds no pictures; looked for {', '.join(EXTENSIONS)}")
    top = os.path.join(root, "")  # noqa: PTH118
    found = [
        _named(path, top + path, size, mtime)
        for path, size, mtime in zip(walked.paths, walked.sizes, walked.times, strict=True)
    ]
    return found, walked.unreachable


def look_at(files: Iterable[tuple[str, str]]) -> list[Found]:
    """(path, file) of files known by name; one that isn't there has bytes -1."""
    found = []
    for path, file in files:
        try:
            info = os.stat(file)  # noqa: PTH116
        except (OSError, ValueError):
            found.append(_named(path, file, -1, UNSURE))
            continue
        one = _named(path, file, info.st_size, info.st_mtime_ns)
        if not stat.S_ISREG(info.st_mode):  # opening a pipe would wait for ever
            one = one._replace(error="is no regular file")
        found.append(one)
    return found


def catalogue_folders(folder: Path, root: Path) -> list[str]:
    """How the catalogue may call a folder: below the image root relative, otherwise absolute.

    The same folder has several names where links lead to it. The first is the one for a file that
    is not known yet; by the others it may be known already.
    """
    top, real = root.resolve(), folder.resolve()
    names = []
    if real.is_relative_to(top):
        names.append(real.relative_to(top).as_posix())
    for above in (folder, *folder.parents):  # as it was named, from where the name enters the root
        if above.resolve() == top:
            names.append(folder.relative_to(above).as_posix())
    return list(dict.fromkeys([*names, real.as_posix(), folder.as_posix()]))


def is_elsewhere(path: str) -> bool:
    """Whether a picture lies outside the image root: its path is absolute."""
    return path.startswith("/") or (os.name == "nt" and Path(path).is_absolute())


# ---- what has changed ----


def compare(
    catalogue: Catalogue,
    found: list[Found],
    labels: list[str | None],
    *,
    n_threads: int,
    rehash: bool = False,
    unreachable: Iterable[tuple[str, str]] = (),
    root: Path | None = None,
    progress: Progress,
) -> Changes:
    """Compare files with a catalogue.

    Parameters
    ----------
    labels : of each file found.
    rehash : read every file, also where size and time are the same.
    unreachable : folders and links below which nothing could be seen.
    root : image root, if `found` is all there is: images whose file is neither among it nor there
        are gone.
    """
    changes = Changes(seen=len(found), unreachable=list(unreachable))
    rows = (
        (one.path, one.bytes, one.mtime_ns, label) for one, label in zip(found, labels, strict=True)
    )
    with Comparison(catalogue, rows) as compared:
        new = {n: (None, "", None) for n in compared.new()}
        differing = compared.differing(all_of_them=rehash)
        replaced = _sort_out(found, differing, changes, n_threads, progress)
        for one in replaced:
            new[one.n] = (one.id, one.state, one.error)  # type: ignore[assignment]
        changes.new = [
            Candidate(found[n].path, found[n].file, labels[n], found[n].error, *new[n])
            for n in sorted(new)
        ]
        changing = {one.id for one in replaced}
        changes.relabelled = {
            i: label for i, label in compared.relabelled().items() if i not in changing
        }
        tried = {found[one.n].path for one in replaced}
        changes.failed = [one for one in compared.failed() if one[0] not in tried]
        if root is not None:
            _tell_gone(compared.lacking(), root, changes)
    progress("scan", len(found), len(found))
    return changes


def _sort_out(
    found: list[Found],
    differing: list[Differs],
    changes: Changes,
    n_threads: int,
    progress: Progress,
) -> list[Differs]:
    """Rows to be replaced because their content is another one or may be usable now."""
    replaced: list[Differs] = []

    def look(one: Differs) -> tuple[bytes, int] | OSError | None:
        if one.passing or found[one.n].error is not None:
            return None
        try:
            return hash_file(found[one.n].file)
        except OSError as error:
            return error

    for done, (one, seen) in enumerate(
        zip(differing, bounded_map(look, differing, n_threads), strict=True)
    ):
        path = found[one.n].path
        if one.passing:
            replaced.append(one)
            changes.retried += 1
        elif isinstance(seen, OSError):
            # It was usable, or its content was known to be broken: neither is less true now.
            changes.unreachable.append((path, f"cannot be read ({seen.strerror or seen})"))
        elif seen is None:
            if one.error != found[one.n].error:
                replaced.append(one)
        elif seen[0] != one.hash:
            replaced.append(one)
        elif seen[1] != UNSURE and not one.same_stat:
            changes.times.append((one.id, seen[1]))
        progress("scan", done, len(found))
    return replaced


def _tell_gone(lacking: list[tuple[int, str]], root: Path, changes: Changes) -> None:
    """Tell images that are gone from those that are only out of reach, or that no walk comes by."""
    reasons = dict(changes.unreachable)
    said = set()
    for i, path in lacking:
        above = [str(one) for one in PurePosixPath(path).parents]
        hidden = next((one for one in above if one in reasons), None)
        if hidden is not None:
            said.add(hidden)
        elif not (root / path).exists():  # added by name, though hidden or of another extension
            changes.gone.append(i)
    # A link that leads nowhere is worth a word only where something was found below it before.
    changes.unreachable = [
        (path, reason)
        for path, reason in changes.unreachable
        if path in said or not reason.startswith("the link leads nowhere")
    ]


def hash_file(file: str) -> tuple[bytes, int]:
    """SHA-256 of a file, and the time to note for it. Raises OSError."""
    with open(file, "rb") as stream:  # noqa: PTH123
        before = os.fstat(stream.fileno())
        digest = hashlib.file_digest(stream, "sha256").digest()
    return digest, settled_time(before.st_mtime_ns)


def settled_time(mtime_ns: int) -> int:
    """The time to note for a file that was read just now: its own, if that can be relied on.

    A file changed within the last tick of its file system's clock may change again without getting
    another time; it is looked at again next time.
    """
    return mtime_ns if time.time_ns() - mtime_ns > _TICK_NS else UNSURE


def _named(path: str, file: str, size: int, mtime: int) -> Found:
    if path.isascii():
        return Found(path, file, size, mtime)
    try:
        path.encode()
    except UnicodeEncodeError:  # the catalogue is UTF-8
        shown = path.encode("utf-8", "backslashreplace").decode()
        return Found(shown, file, size, mtime, "its name is not UTF-8; rename it")
    return Found(path, file, size, mtime)
