"""The catalogue: one row per image that was ever seen, in a SQLite file.

A row's id is never given to another image: a picture whose content changes gets a new row, and
the old one stays as `removed`. So a catalogue newer than an index still explains every id in it,
which is what lets the two be published one after the other.

The file is made in memory and put in place in one step (`atomic_write`), and read in one gulp: a
reader never sees a half-written one, needs no SQLite lock, and the same rows give the same bytes.
That costs a full rewrite per publication, about 150 bytes an image.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cbir.errors import FormatError
from cbir.store.atomic import atomic_write

FORMAT_VERSION = 1
STATES = ("ok", "failed", "removed")
_COLUMNS = {
    "id": "INTEGER PRIMARY KEY",
    "path": "TEXT NOT NULL",
    "hash": "TEXT NOT NULL",
    "bytes": "INTEGER NOT NULL",
    "mtime_ns": "INTEGER NOT NULL",
    "width": "INTEGER NOT NULL",
    "height": "INTEGER NOT NULL",
    "label": "TEXT",
    "state": "TEXT NOT NULL",
    "error": "TEXT",
    "part": "INTEGER NOT NULL",
}


@dataclass(frozen=True)
class ImageRow:
    """What is known of one image.

    `path` is POSIX and relative to the image root (absolute for pictures added from elsewhere),
    `hash` the SHA-256 of the file, `width` and `height` those of the decoded picture in pixels (0
    if it failed), `part` the number of the feature part it lies in.
    """

    id: int
    path: str
    hash: str
    bytes: int
    mtime_ns: int
    width: int
    height: int
    label: str | None
    state: str
    error: str | None
    part: int


@dataclass
class Catalogue:
    """All rows and the facts about the collection as a whole.

    `facts` holds strings: image_root, image_root_relative, labels (the spec), recipe_hash.
    """

    rows: dict[int, ImageRow] = field(default_factory=dict)
    generation: int = 0
    next_id: int = 0
    n_parts: int = 0
    facts: dict[str, str] = field(default_factory=dict)

    def present(self) -> dict[str, ImageRow]:
        """Rows that are not removed, by path."""
        return {row.path: row for row in self.rows.values() if row.state != "removed"}

    def put(self, rows: Iterable[ImageRow]) -> None:
        """Insert or replace rows."""
        for row in rows:
            self.rows[row.id] = row

    def write(self, path: Path) -> None:
        """Publish in one step. Raises StorageError."""
        rows = [self._tuple(self.rows[i]) for i in sorted(self.rows)]
        meta = {
            "format_version": FORMAT_VERSION,
            "generation": self.generation,
            "next_id": self.next_id,
            "n_parts": self.n_parts,
            "facts": self.facts,
        }
        meta["checksum"] = _checksum(meta, rows)
        connection = sqlite3.connect(":memory:")
        try:
            columns = ", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())
            connection.execute("CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
            connection.execute(f"CREATE TABLE images ({columns})")
            connection.executemany(
                "INSERT INTO meta VALUES (?, ?)",
                [(key, json.dumps(meta[key], sort_keys=True)) for key in sorted(meta)],
            )
            marks = ", ".join("?" * len(_COLUMNS))
            connection.executemany(f"INSERT INTO images VALUES ({marks})", rows)
            connection.commit()
            data = connection.serialize()
        finally:
            connection.close()
        atomic_write(path, data)

    @classmethod
    def read(cls, path: Path) -> Catalogue:
        """Read and check. Raises FormatError if it is missing, cut, altered or lying."""
        try:
            data = path.read_bytes()
        except OSError as error:
            raise FormatError(f"{path}: cannot be read ({error.strerror or error})") from error
        if not data:
            raise FormatError(f"{path}: empty file, cut")
        connection = sqlite3.connect(":memory:")
        try:
            connection.deserialize(data)
            meta = {k: json.loads(v) for k, v in connection.execute("SELECT key, value FROM meta")}
            names = ", ".join(_COLUMNS)
            rows = connection.execute(f"SELECT {names} FROM images ORDER BY id").fetchall()
        except (sqlite3.Error, ValueError, OverflowError) as error:
            raise FormatError(f"{path}: not a catalogue, cut or altered ({error})") from error
        finally:
            connection.close()
        return cls._checked(path, meta, rows)

    @classmethod
    def _checked(cls, path: Path, meta: dict[str, Any], rows: list[tuple[Any, ...]]) -> Catalogue:
        version = meta.get("format_version")
        if version != FORMAT_VERSION:
            raise FormatError(f"{path}: format version {version}, this cbir reads {FORMAT_VERSION}")
        found = meta.pop("checksum", None)
        if found != _checksum(meta, rows):
            raise FormatError(f"{path}: checksum differs: cut or altered")
        catalogue = cls(
            rows={row[0]: ImageRow(*row) for row in rows},
            generation=meta["generation"],
            next_id=meta["next_id"],
            n_parts=meta["n_parts"],
            facts=meta["facts"],
        )
        for row in catalogue.rows.values():
            if row.state not in STATES or not 0 <= row.id < catalogue.next_id:
                raise FormatError(f"{path}: row of image {row.id} is not valid: {row}")
        return catalogue

    @staticmethod
    def _tuple(row: ImageRow) -> tuple[Any, ...]:
        return tuple(getattr(row, name) for name in _COLUMNS)


def _checksum(meta: dict[str, Any], rows: list[tuple[Any, ...]]) -> str:
    text = json.dumps([meta, rows], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
