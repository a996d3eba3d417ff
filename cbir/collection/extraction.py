"""From files to feature parts, in three steps with queues between them.

::

    read, hash, decode  --queue-->  describe  --queue-->  parts
    (threads over images)           (batches)             (in order, a file at a time)

Features that like one picture at a time (SIFT, colour) are described in the threads that decode;
those that like batches (a network on a device) get `batch_size` decoded pictures at once, while the
threads go on decoding. A few images per thread are in flight and the features of one part are held,
so memory does not grow with the number of images.

What is described already is taken over by content: features that the collection holds of a file
with the same bytes (a picture that was renamed, or removed and added again), and those that a
killed build left behind, wherever the pictures sort in now. Taken over or described, the parts that
are written are the same bytes.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import cbir
from cbir.collection.scanning import Candidate, Progress, bounded_map, settled_time
from cbir.errors import CbirError, FormatError, ImageError
from cbir.pipeline import Pipeline, one_opencv_thread
from cbir.store import (
    Catalogue,
    FeaturePart,
    ImageRow,
    Layout,
    PartRow,
    Stored,
    read_features,
    read_hashes,
)
from cbir.types import Image, LocalFeatures

PART_IMAGES = 256  # images per part
PART_BYTES = 256 << 20  # and fewer where their features are large
PARTS_HELD = 2  # parts in memory to take features from


@dataclass
class Extracted:
    """What an extraction gave: a row for each candidate, in order, and the parts written."""

    rows: list[ImageRow] = field(default_factory=list)
    parts: list[PartRow] = field(default_factory=list)


@dataclass
class _Described:
    """A picture on its way through the steps; `error` set means that it stays out."""

    candidate: Candidate
    hash: bytes = b""
    bytes: int = 0
    mtime_ns: int = 0
    size: tuple[int, int] = (0, 0)
    image: Image | None = None  # until the last feature is described
    stored: dict[str, Stored] = field(default_factory=dict)
    error: str | None = None
    passing: bool = False

    def fail(self, error: BaseException) -> None:
        """Keep the reason, and whether it may pass."""
        self.error = _said(error)
        self.passing = _may_pass(error)
        self.stored, self.image = {}, None


class Known:
    """Features that lie in parts already, by the content they are of; used from many threads.

    A part is read and checked in full when it is first asked; the last few are held, of the others
    rows are read one by one.
    """

    def __init__(self, layout: Layout, catalogue: Catalogue, left: Iterable[Path]) -> None:
        self._layout = layout
        self._catalogue = catalogue if catalogue.generation.number else None
        self._left: dict[str, dict[bytes, tuple[Path, int]]] = {}
        self._paths = list(left)
        self._held: OrderedDict[Path, FeaturePart] = OrderedDict()
        self._checked: dict[Path, tuple[list[bytes], list[list[int]]]] = {}  # hashes, sizes
        self._turn = threading.Lock()

    def open(self, features: Iterable[str]) -> None:
        """Look which files the parts left behind by a killed writer are of."""
        for feature in features:
            known = self._left.setdefault(feature, {})
            for path in self._paths:
                if path.parent.name != feature[:16]:
                    continue
                try:
                    hashes = read_hashes(path, feature_hash=feature)
                except FormatError:
                    continue  # in no catalogue and of no use
                known.update({h: (path, row) for row, h in enumerate(hashes)})

    def take(self, digest: bytes, features: Iterable[str]) -> tuple[Any, dict[str, Stored]]:
        """(width and height or None, features) of a file's content, as far as they are known."""
        size, found = None, {}
        published = self._catalogue.place_of(digest) if self._catalogue is not None else None
        for feature in features:
            at = self._left[feature].get(digest)
            if at is None and published is not None:
                at = self._layout.part(feature, published[0]), published[1]
            if at is None:
                continue
            with self._turn:
                taken = self._read(*at, feature, digest)
            if taken is not None:
                size, found[feature] = taken
        return size, found

    def _read(
        self, path: Path, row: int, feature: str, digest: bytes
    ) -> tuple[tuple[int, int], Stored] | None:
        """Size and features of a row of a part; None if they are not those of that content."""
        if path not in self._checked:
            self._check(path, feature)
        hashes, sizes = self._checked[path]
        if not 0 <= row < len(hashes) or hashes[row] != digest:
            return None
        width, height = sizes[row]
        if path in self._held:
            self._held.move_to_end(path)
            return (width, height), self._held[path].stored(row)
        try:
            return (width, height), read_features(path, [row], feature_hash=feature)[0][1]
        except FormatError:
            return None

    def _check(self, path: Path, feature: str) -> None:
        try:
            part = FeaturePart.read(path, feature_hash=feature)
        except FormatError:
            self._checked[path] = [], []  # it is believed no more than anything else on disk
            return
        self._checked[path] = [one.tobytes() for one in part.hashes], part.sizes.tolist()
        self._held[path] = part
        if len(self._held) > PARTS_HELD * len(self._left):
            self._held.popitem(last=False)


def extract(
    candidates: list[Candidate],
    pipeline: Pipeline,
    layout: Layout,
    known: Known,
    *,
    first_id: int,
    first_part: int,
    n_threads: int,
    strict: bool,
    progress: Progress,
) -> Extracted:
    """Describe pictures into feature parts; ids in the order given, from `first_id`.

    Raises
    ------
    ImageError at the first picture that fails, if `strict`; StorageError.
    """
    known.open(pipeline.features)
    writer = _PartWriter(pipeline, layout, first_part)
    result = Extracted(parts=writer.parts)
    with one_opencv_thread():
        for n, one in enumerate(_described(candidates, pipeline, known, n_threads)):
            if strict and one.error:
                raise ImageError(f"{one.candidate.file}: {one.error}")
            part, row = (0, 0) if one.error else writer.put(first_id + n, one)
            result.rows.append(
                ImageRow(
                    id=first_id + n,
                    path=one.candidate.path,
                    hash=one.hash,
                    bytes=one.bytes,
                    mtime_ns=one.mtime_ns,
                    width=one.size[0],
                    height=one.size[1],
                    state="failed" if one.error else "ok",
                    error=one.error,
                    passing=one.passing,
                    part=part,
                    row=row,
                )
            )
            progress("features", n + 1, len(candidates))
        writer.flush()
    return result


def _described(
    candidates: list[Candidate], pipeline: Pipeline, known: Known, n_threads: int
) -> Iterator[_Described]:
    """Decode in threads, describe there or in batches; results in order."""
    batched = {h: f for h, f in pipeline.features.items() if f.batch_size > 1}
    most = max((f.batch_size for f in batched.values()), default=1)
    looked = bounded_map(
        lambda one: _look(one, pipeline, known, batched), candidates, n_threads, ahead=2 * most
    )
    if not batched:
        yield from looked
        return
    waiting: list[_Described] = []
    for one in looked:
        waiting.append(one)
        if len(waiting) == most:
            yield from _in_batches(waiting, batched)
            waiting = []
    yield from _in_batches(waiting, batched)


def _look(
    candidate: Candidate, pipeline: Pipeline, known: Known, batched: dict[str, Any]
) -> _Described:
    """Read, hash, decode, and describe with the features that take one picture at a time."""
    one = _Described(candidate, error=candidate.error)
    if one.error:
        return one
    try:
        data, one.bytes, one.mtime_ns = _read(candidate.file)
        one.hash = hashlib.sha256(data).digest()
        size, one.stored = known.take(one.hash, pipeline.features)
        if len(one.stored) == len(pipeline.features):
            one.size = size
            return one
        picture = pipeline.decode(data)
        one.size = picture.width, picture.height
        for key, feature in pipeline.features.items():
            if key not in one.stored and key not in batched:
                one.stored[key] = feature.extract(picture.image)
        if len(one.stored) < len(pipeline.features):
            one.image = picture.image
    except _failures() as error:
        one.fail(error)
    return one


def _in_batches(waiting: list[_Described], batched: dict[str, Any]) -> list[_Described]:
    """Describe the pictures of a full queue with the features that take many at a time."""
    for key, feature in batched.items():
        todo = [one for one in waiting if one.image is not None and key not in one.stored]
        for start in range(0, len(todo), feature.batch_size):
            some = todo[start : start + feature.batch_size]
            images = [one.image for one in some if one.image is not None]
            try:
                described = feature.extract_batch(images)
            except _failures():
                # One picture may be to blame for all: ask for each by itself.
                described = [_alone(feature, one) for one in some]
            for one, stored in zip(some, described, strict=True):
                if stored is not None:
                    one.stored[key] = stored
    for one in waiting:
        one.image = None
    return waiting


def _alone(feature: Any, one: _Described) -> Stored | None:
    try:
        stored: Stored = feature.extract_batch([one.image])[0]
    except _failures() as error:
        one.fail(error)
        return None
    return stored


class _PartWriter:
    """Gathers described pictures and writes a part of each feature when it is full."""

    def __init__(self, pipeline: Pipeline, layout: Layout, first: int) -> None:
        self._features = list(pipeline.features)
        self._layout = layout
        self._next = first
        self._ids: list[int] = []
        self._items: list[_Described] = []
        self._bytes = 0
        self.parts: list[PartRow] = []

    def put(self, image_id: int, one: _Described) -> tuple[int, int]:
        """Take a picture; give the part and row that it will have."""
        size = sum(_nbytes(stored) for stored in one.stored.values())
        if len(self._items) == PART_IMAGES or (self._items and self._bytes + size > PART_BYTES):
            self.flush()
        self._ids.append(image_id)
        self._items.append(one)
        self._bytes += size
        return self._next, len(self._items) - 1

    def flush(self) -> None:
        """Write what is gathered."""
        if not self._items:
            return
        for feature in self._features:
            part = FeaturePart.of(
                self._ids,
                [one.candidate.label or "" for one in self._items],
                [one.hash for one in self._items],
                [one.size for one in self._items],
                [one.stored[feature] for one in self._items],
            )
            row = write_part(part, self._layout, feature, self._next)
            self.parts.append(row)
        self._next += 1
        self._ids, self._items, self._bytes = [], [], 0


def write_part(part: FeaturePart, layout: Layout, feature: str, number: int) -> PartRow:
    """Write a part and give the row that names it. Raises StorageError."""
    checksum = part.write(
        layout.part(feature, number), feature_hash=feature, cbir_version=cbir.__version__
    )
    size = layout.part(feature, number).stat().st_size
    return PartRow(feature, number, len(part), part.n_rows, size, checksum)


def _read(file: str) -> tuple[bytes, int, int]:
    """Content, size and time of a file. Raises OSError, and ImageError for a pipe."""
    with open(file, "rb") as stream:  # noqa: PTH123
        info = os.fstat(stream.fileno())
        if not stat.S_ISREG(info.st_mode):
            raise ImageError("is no regular file")
        data = stream.read()
    return data, len(data), settled_time(info.st_mtime_ns)


def _failures() -> tuple[type[BaseException], ...]:
    """What one broken picture may raise; it never stops a build."""
    import cv2

    return (CbirError, OSError, ValueError, MemoryError, cv2.error)


def _said(error: BaseException) -> str:
    if isinstance(error, OSError) and not isinstance(error, CbirError):
        return f"cannot be read ({error.strerror or error})"
    return str(error) or type(error).__name__


def _may_pass(error: BaseException | None) -> bool:
    """Whether the machine was to blame and not the picture: no memory, a disk that can't be read.

    Decoding works on bytes that were read already, so what it says of files is about the picture.
    """
    if isinstance(error, OSError) and not isinstance(error, CbirError):
        return True
    while error is not None:
        if isinstance(error, MemoryError) or "Insufficient memory" in str(error):
            return True
        error = error.__cause__
    return False


def _nbytes(stored: Stored) -> int:
    if isinstance(stored, LocalFeatures):
        return int(stored.keypoints.nbytes + stored.descriptors.nbytes)
    return int(np.asarray(stored).nbytes)
