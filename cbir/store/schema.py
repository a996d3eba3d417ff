"""What the tables of a catalogue look like, their rows as Python sees them, and their checksums."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

APPLICATION = 0x43424952  # "CBIR", in SQLite's header
TALLIED = {
    "images": "id, path, hash, bytes, width, height, state, error, passing, part, row, born, died",
    "labels": "id, born, died, label",
    "segments": "channel, number, first_id, last_id, rows, bytes, manifest, born, died",
    "parts": "feature, number, images, rows, bytes, checksum, born, died",
}
SCHEMA = """
CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE generations (
    number INTEGER PRIMARY KEY, next_id INTEGER NOT NULL, next_part INTEGER NOT NULL,
    next_segment INTEGER NOT NULL, indexed INTEGER NOT NULL, failed INTEGER NOT NULL,
    removed INTEGER NOT NULL, tally TEXT NOT NULL, seal TEXT NOT NULL);
CREATE TABLE images (
    id INTEGER PRIMARY KEY, path TEXT NOT NULL, hash BLOB NOT NULL, bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL,
    state TEXT NOT NULL, error TEXT, passing INTEGER NOT NULL, part INTEGER NOT NULL,
    row INTEGER NOT NULL, born INTEGER NOT NULL, died INTEGER);
CREATE INDEX images_path ON images (path);
CREATE INDEX images_died ON images (died) WHERE died IS NOT NULL;
CREATE INDEX images_hash ON images (hash) WHERE state = 'ok';
CREATE INDEX images_failed ON images (id) WHERE state = 'failed';
CREATE TABLE labels (
    id INTEGER NOT NULL, born INTEGER NOT NULL, died INTEGER, label TEXT NOT NULL,
    PRIMARY KEY (id, born)) WITHOUT ROWID;
CREATE TABLE segments (
    channel TEXT NOT NULL, number INTEGER NOT NULL, first_id INTEGER NOT NULL,
    last_id INTEGER NOT NULL, rows INTEGER NOT NULL, bytes INTEGER NOT NULL,
    manifest TEXT NOT NULL, born INTEGER NOT NULL, died INTEGER,
    PRIMARY KEY (channel, number)) WITHOUT ROWID;
CREATE TABLE parts (
    feature TEXT NOT NULL, number INTEGER NOT NULL, images INTEGER NOT NULL,
    rows INTEGER NOT NULL, bytes INTEGER NOT NULL, checksum TEXT NOT NULL,
    born INTEGER NOT NULL, died INTEGER, PRIMARY KEY (feature, number)) WITHOUT ROWID;
"""


class ImageRow(NamedTuple):
    """What is known of one image.

    `path` is POSIX and relative to the image root (absolute for pictures from elsewhere), `hash`
    the SHA-256 of the file, `width` and `height` in pixels of the upright picture (0 if it failed).
    `state` is "ok" or "failed" with the reason in `error`; `passing` marks a failure that may pass,
    to be tried again. Its features are row `row` of part `part`.
    """

    id: int
    path: str
    hash: bytes
    bytes: int
    mtime_ns: int
    width: int
    height: int
    state: str
    error: str | None
    passing: bool
    part: int
    row: int


class SegmentRow(NamedTuple):
    """A folder of index rows: ids `first_id` to `last_id`, `rows` of them, `bytes` on disk.

    `manifest` is what `cbir.store.manifests` says of it, `born` the generation that it came with:
    images that died later than that are in it and masked.
    """

    channel: str
    number: int
    first_id: int
    last_id: int
    rows: int
    bytes: int
    manifest: str
    born: int


class PartRow(NamedTuple):
    """A file of features of `images` images, `rows` descriptors in all, `bytes` on disk."""

    feature: str
    number: int
    images: int
    rows: int
    bytes: int
    checksum: str


class Generation(NamedTuple):
    """One published state: how many images, and the numbers that are free after it."""

    number: int = 0
    next_id: int = 0
    next_part: int = 1
    next_segment: int = 1
    indexed: int = 0
    failed: int = 0
    removed: int = 0
    tally: str = "0" * 32
    seal: str = ""


def digest(table: str, row: Sequence[Any]) -> int:
    """Number that stands for a row in the tally."""
    # Not repr, whose idea of what can be printed follows the Unicode version of the interpreter.
    return int.from_bytes(hashlib.sha256(ascii((table, *row)).encode()).digest()[:16], "little")


def shown(total: int) -> str:
    """Tally as text."""
    return f"{total % (1 << 128):032x}"


def seal(generation: Generation, facts: Mapping[str, str], segments: Sequence[SegmentRow]) -> str:
    """Checksum of what a reader believes on opening."""
    what = (generation[:-1], sorted(facts.items()), [tuple(one) for one in segments])
    return hashlib.sha256(ascii(what).encode()).hexdigest()
