"""From files to feature parts: read, hash, decode and describe, with threads over images.

Images are taken in a fixed order and cut into parts of `PART` images. At most a few images per
thread are in flight, and features of one part are held, so memory does not grow with the number of
images. A part that a killed build left behind is taken over if it stands for the same images with
the same content (its key), so a second run goes on where the first stopped and ends in the same
bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np

from cbir.errors import CbirError, FormatError, ImageError
from cbir.pipeline import Batch, Features, Pipeline
from cbir.store import FeaturePart, ImageRow, Layout
from cbir.types import Bags, LocalFeatures

PART = 256  # images per feature part
Progress = Callable[[str, int, int], None]
_T = TypeVar("_T")
_R = TypeVar("_R")


@dataclass(frozen=True)
class Found:
    """A picture file met on the way: `path` as the catalogue knows it, `file` as the disk does."""

    path: str
    file: Path
    hash: str = ""
    bytes: int = 0
    mtime_ns: int = 0
    label: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class _Described:
    found: Found
    features: Features | None = None
    width: int = 0
    height: int = 0


def bounded_map(function: Callable[[_T], _R], items: Iterable[_T], n_threads: int) -> Iterator[_R]:
    """``map`` with threads, results in order, at most four items per thread in flight."""
    if n_threads == 1:
        yield from map(function, items)
        return
    pool = ThreadPoolExecutor(n_threads, thread_name_prefix="cbir")
    waiting: deque[Future[_R]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) >= 4 * n_threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def scan(files: list[tuple[str, Path]], *, n_threads: int, progress: Progress) -> list[Found]:
    """Hash the content of each (path, file); a file that can't be read carries its error."""

    def look(item: tuple[str, Path]) -> Found:
        path, file = item
        try:
            path.encode()
        except UnicodeEncodeError:  # the catalogue is UTF-8
            shown = path.encode("utf-8", "backslashreplace").decode()
            return Found(shown, file, error="its name is not UTF-8; rename it")
        try:
            if file.exists() and not file.is_file():  # opening a pipe would wait for ever
                return Found(path, file, error="is no regular file")
            with file.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            status = file.stat()
        except OSError as error:
            return Found(path, file, error=f"cannot be read ({error.strerror or error})")
        return Found(path, file, digest, status.st_size, status.st_mtime_ns)

    found = []
    for one in bounded_map(look, files, n_threads):
        found.append(one)
        progress("scan", len(found), len(files))
    return found


def describe_parts(
    layout: Layout,
    pipeline: Pipeline,
    new: list[Found],
    *,
    first_id: int,
    first_part: int,
    version: str,
    n_threads: int,
    strict: bool,
    progress: Progress,
) -> list[ImageRow]:
    """Describe `new` into feature parts; give a catalogue row for each, ids in the order given.

    Raises
    ------
    ImageError at the first picture that fails, if `strict`; StorageError.
    """
    layout.remove_parts_above(first_part - 1 + -(-len(new) // PART))
    rows: list[ImageRow] = []
    for start in range(0, len(new), PART):
        chunk = new[start : start + PART]
        number = first_part + start // PART
        ids = list(range(first_id + start, first_id + start + len(chunk)))

        def step(done: int, start: int = start) -> None:
            progress("features", start + done, len(new))

        part = _left_behind(layout.part(number), _key(ids, chunk), pipeline)
        if part is None:
            described = []
            for one in bounded_map(lambda f: _describe(pipeline, f), chunk, n_threads):
                described.append(one)
                if strict and one.found.error:
                    raise ImageError(f"{one.found.file}: {one.found.error}")
                step(len(described))
            # The file may have changed between scan and now: what was described is what counts.
            chunk = [one.found for one in described]
            part = _part(ids, described)
            part.key = _key(ids, chunk)
            part.write(
                layout.part(number),
                recipe_hash=pipeline.recipe.features_hash,
                cbir_version=version,
            )
        elif strict and part.failed:
            bad = min(part.failed)
            raise ImageError(f"{chunk[ids.index(bad)].file}: {part.failed[bad]}")
        step(len(chunk))
        rows += _rows(ids, chunk, part, number)
    return rows


def stored_batches(
    layout: Layout, pipeline: Pipeline, numbers: Iterable[int]
) -> Iterator[tuple[FeaturePart, Batch]]:
    """Read parts one after another, each as what the pipeline's aggregation takes."""
    for number in numbers:
        part = FeaturePart.read(layout.part(number), recipe_hash=pipeline.recipe.features_hash)
        stored = part.descriptors if part.offsets is not None else part.features
        assert stored is not None
        if not len(part.image_ids):
            continue  # every picture of the part failed
        if stored.shape[1] != pipeline.feature.d:
            raise FormatError(
                f"{layout.part(number)}: d={stored.shape[1]}, expected {pipeline.feature.d}"
            )
        yield part, pipeline.batch(stored, part.offsets)


def n_descriptors(batch: Batch) -> int:
    """Descriptors in a batch."""
    return len(batch.descriptors) if isinstance(batch, Bags) else len(batch)


def _describe(pipeline: Pipeline, found: Found) -> _Described:
    if found.error:
        return _Described(found)
    try:
        data = found.file.read_bytes()
        found = replace(found, hash=hashlib.sha256(data).hexdigest(), bytes=len(data))
        image = pipeline.decode(data)
        features = pipeline.describe_stored(image)
    # One broken picture never stops a build, whatever it is broken by.
    except (CbirError, OSError, ValueError, MemoryError, cv2.error) as error:
        return _Described(replace(found, error=str(error) or type(error).__name__))
    return _Described(found, features, image.shape[1], image.shape[0])


def _part(ids: list[int], described: list[_Described]) -> FeaturePart:
    good = [(i, one) for i, one in zip(ids, described, strict=True) if one.features is not None]
    features = [one.features for _, one in good]
    part = FeaturePart(
        image_ids=np.array([i for i, _ in good], np.int64),
        labels=[one.found.label or "" for _, one in good],
        sizes=np.array([(one.width, one.height) for _, one in good], np.int32).reshape(-1, 2),
        failed={
            i: str(d.found.error) for i, d in zip(ids, described, strict=True) if d.found.error
        },
    )
    local = [f for f in features if isinstance(f, LocalFeatures)]
    if local:
        part.offsets = np.concatenate([[0], np.cumsum([len(f) for f in local])]).astype(np.int64)
        part.keypoints = np.concatenate([f.keypoints for f in local])
        # Blank pictures have no values to tell the type by: uint8 unless any picture needs float32.
        filled = [f.descriptors for f in local if len(f)] or [local[0].descriptors]
        d = filled[0].shape[1]
        joined: Any = np.concatenate(filled)
        part.descriptors = joined.reshape(-1, d)
    elif features:
        part.features = np.stack([np.asarray(f, np.float32) for f in features])
    else:
        part.features = np.zeros((0, 1), np.float32)
    return part


def _left_behind(path: Path, key: str, pipeline: Pipeline) -> FeaturePart | None:
    """The part at `path` if an interrupted build left it for exactly these images."""
    if not path.exists():
        return None
    try:
        part = FeaturePart.read(path, recipe_hash=pipeline.recipe.features_hash)
    except FormatError:
        return None  # not ours or damaged: it is in no catalogue, so it is simply made again
    return part if part.key == key else None


def _key(ids: list[int], chunk: list[Found]) -> str:
    """What a part stands for: ids, paths, contents and labels of its images."""
    what = [
        [i, f.path, f.hash, f.label, bool(f.error) and not f.hash]
        for i, f in zip(ids, chunk, strict=True)
    ]
    text = json.dumps(what)
    return hashlib.sha256(text.encode()).hexdigest()


def _rows(ids: list[int], chunk: list[Found], part: FeaturePart, number: int) -> list[ImageRow]:
    sizes = dict(zip(part.image_ids.tolist(), part.sizes.tolist(), strict=True))
    return [
        ImageRow(
            id=i,
            path=f.path,
            hash=f.hash,
            bytes=f.bytes,
            mtime_ns=f.mtime_ns,
            width=sizes[i][0] if i in sizes else 0,
            height=sizes[i][1] if i in sizes else 0,
            label=f.label,
            state="failed" if i in part.failed else "ok",
            error=part.failed.get(i),
            part=number,
        )
        for i, f in zip(ids, chunk, strict=True)
    ]
