"""The catalogue: one SQLite file, opened in place, in which a collection is published.

::

    facts        what holds for the collection as a whole: image root, label spec, recipe's hash
    generations  number, counts, next free numbers     (the live one and the one before)
    images       one row per image that was ever seen; it lives from `born` until before `died`
    labels       likewise, so that a changed label is a change like any other
    parts        the files of features                 segments     the folders of rows of indexes

A **generation** is a state of the collection. A publication is one transaction that adds a
generation; rows say at which they were born and died, so a reader that has opened generation g
keeps seeing g: each of its queries carries the number. An id is never given to another image.

Nothing is read as a whole: a query reads the pages that it touches, so opening costs the same for a
thousand images and for a million. The journal is SQLite's rollback journal, not a write-ahead log:
readers then need no right to write, and read-only media work.

Integrity: SQLite has no checksums, so the catalogue keeps two of its own. The **seal** of a
generation covers what is read on opening: the generation, the facts and the live segments. The
**tally** covers all other rows: the sum of their SHA-256 modulo 2^128, which a change brings up to
date at the cost of the change (`cbir.store.publication`). `Catalogue.tally` makes it again from all
rows, which is the business of ``cbir check``; it is also the content digest by which two
collections compare, so it leaves out what differs between equal ones: times of files and where the
folder lies.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbir.errors import FormatError, LockError
from cbir.store.atomic import cannot_write
from cbir.store.marker import FORMAT_VERSION
from cbir.store.schema import (
    APPLICATION,
    KEYS,
    TALLIED,
    Generation,
    ImageRow,
    PartRow,
    SegmentRow,
    digest,
    seal,
    shown,
)

BUSY_SECONDS = 30.0
_CHUNK = 5000  # ids named in one query, rows read in one


class Catalogue:
    """One generation of a catalogue, opened for reading; may be used from many threads.

    Attributes
    ----------
    path : its file.
    generation : the `Generation` that was live when it was opened.
    facts : name -> text, as they were then.

    Raises
    ------
    FormatError naming the file if it is missing, cut, altered or of another version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connect()
        with self._reading():
            self._connection.execute("BEGIN")  # all of it from one state of the file
            _check_header(path, self._connection)
            row = self._connection.execute(
                "SELECT * FROM generations ORDER BY number DESC LIMIT 1"
            ).fetchone()
            if row is None:
                raise FormatError(f"{path}: names no generation: altered")
            self.generation = Generation(*row)
            self.facts: dict[str, str] = dict(
                self._connection.execute("SELECT key, value FROM facts").fetchall()
            )
            self.texts(self.facts.items())
            self._segments = live_segments(self._connection)
            self._connection.execute("COMMIT")
        if self.generation.seal != seal(self.generation, self.facts, self._segments):
            raise FormatError(f"{path}: what it says of its generation is not true: altered")

    def close(self) -> None:
        """Let the file go."""
        self._connection.close()

    def __del__(self) -> None:
        if hasattr(self, "_connection"):
            self._connection.close()

    # ---- what is asked about images ----

    def images(self, ids: Iterable[int]) -> dict[int, ImageRow]:
        """Rows of these ids, dead ones too; ids that are not known are left out."""
        sql = f"SELECT {', '.join(ImageRow._fields)} FROM images WHERE born <= ? AND id IN "
        return {row[0]: self._image(row) for row in self._chosen(sql, ids)}

    def paths(self, ids: Iterable[int]) -> dict[int, str]:
        """As `images`, the paths only."""
        found = dict(self._chosen("SELECT id, path FROM images WHERE born <= ? AND id IN ", ids))
        for i, path in found.items():
            if not isinstance(path, str):
                raise FormatError(f"{self.path}: the path of image {i} is altered")
        return found

    def labels(self, ids: Iterable[int]) -> dict[int, str]:
        """Labels of these ids; ids that have none are left out."""
        sql = f"SELECT id, label FROM labels WHERE {self.live('labels')} AND born <= ? AND id IN "
        return dict(self._chosen(sql, ids))

    def find(self, paths: Iterable[str]) -> dict[str, int]:
        """Ids of these paths among the images that are there."""
        sql = f"SELECT id FROM images WHERE path = ? AND {self.live('images')}"
        found: dict[str, int] = {}
        with self._reading():
            for path in paths:
                try:
                    row = self._connection.execute(sql, (path,)).fetchone()
                except UnicodeEncodeError:
                    continue  # a name that isn't UTF-8 is never in here
                if row is not None:
                    found[path] = row[0]
        return found

    def place_of(self, content: bytes) -> tuple[int, int] | None:
        """(part, row) of the features of a file's content (SHA-256), if they are stored."""
        sql = "SELECT part, row FROM images WHERE hash = ? AND state = 'ok' AND part > 0 LIMIT 1"
        found = self.rows(sql, (content,))
        if not found:
            return None
        part, row = self._numbers(found[0])
        return part, row

    def live_paths(self, *, elsewhere: bool) -> list[str]:
        """Paths of the images that are there; with `elsewhere` only the absolute ones."""
        drives = "(path LIKE '/%' OR path LIKE '_:/%') AND " if elsewhere else ""
        sql = f"SELECT path FROM images WHERE {drives}{self.live('images')} ORDER BY id"
        return self.texts(self.rows(sql))

    def some_paths(self, n: int) -> list[str]:
        """Paths of the first `n` images that are there and lie below the image root."""
        where = f"path NOT LIKE '/%' AND path NOT LIKE '_:/%' AND {self.live('images')}"
        return self.texts(self.rows(f"SELECT path FROM images WHERE {where} LIMIT ?", (n,)))

    def indexed(self, ids: Iterable[int]) -> list[int]:
        """Those of `ids` that are in the index, rising."""
        live = self.live("images")
        sql = f"SELECT id FROM images WHERE state = 'ok' AND {live} AND born <= ? AND id IN "
        return [row[0] for row in self._chosen(sql, ids)]

    def indexed_ids(self, first: int = 0, last: int = 2**62) -> NDArray[np.int64]:
        """Ids of the images in the index, ascending, from `first` to `last`."""
        where = f"state = 'ok' AND {self.live('images')} AND id BETWEEN ? AND ?"
        return self._ids(f"SELECT id FROM images WHERE {where} ORDER BY id", (first, last))

    def failed(self) -> list[ImageRow]:
        """Rows of the pictures that are there and could not be indexed, by id."""
        fields = ", ".join(ImageRow._fields)
        where = f"state = 'failed' AND {self.live('images')}"
        sql = f"SELECT {fields} FROM images WHERE {where} ORDER BY id"
        return [self._image(row) for row in self.rows(sql)]

    def still_there(self, ids: Iterable[int]) -> list[int]:
        """Those of `ids` that are there in this generation, rising."""
        sql = f"SELECT id FROM images WHERE {self.live('images')} AND born <= ? AND id IN "
        return [row[0] for row in self._chosen(sql, ids)]

    def counts(self) -> tuple[int, int, int]:
        """Indexed, failed and removed images, counted anew."""
        g, live = self.generation.number, self.live("images")
        conditions = (
            f"state = 'ok' AND {live}",
            f"state = 'failed' AND {live}",
            f"born <= {g} AND died <= {g}",
        )
        # One walk over the table; by an index each row would be looked up by itself.
        counts = ", ".join(f"COUNT(*) FILTER (WHERE {one})" for one in conditions)
        indexed, failed, removed = self.rows(f"SELECT {counts} FROM images NOT INDEXED")[0]
        return int(indexed), int(failed), int(removed)

    def repeated_paths(self) -> list[str]:
        """Paths that more than one image has; there should be none."""
        sql = (
            f"SELECT path FROM images WHERE {self.live('images')} GROUP BY path HAVING COUNT(*) > 1"
        )
        return [row[0] for row in self.rows(sql)]

    def in_parts(self, numbers: Iterable[int]) -> list[ImageRow]:
        """Rows of the images whose features lie in these parts, by id."""
        some = ",".join(str(int(n)) for n in numbers)
        where = f"{self.live('images')} AND part IN ({some})"
        sql = f"SELECT {', '.join(ImageRow._fields)} FROM images WHERE {where} ORDER BY id"
        return [self._image(row) for row in self.rows(sql)]

    def count_labels(self) -> int:
        """Different labels among the images that are there."""
        sql = f"SELECT COUNT(DISTINCT label) FROM labels WHERE {self.live('labels')}"
        return int(self.rows(sql)[0][0])

    # ---- what is asked about files ----

    def segments(self, channel: str) -> list[SegmentRow]:
        """Segments of a channel, by their ids."""
        return [one for one in self._segments if one.channel == channel]

    def masked(self, segment: SegmentRow) -> NDArray[np.int64]:
        """Ids that lie in the segment and were removed after it was written, ascending."""
        # By the few that died, not by the many in the range.
        sql = (
            "SELECT id FROM images INDEXED BY images_died "
            "WHERE died > ? AND died <= ? AND id BETWEEN ? AND ?"
        )
        bounds = (segment.born, self.generation.number, segment.first_id, segment.last_id)
        return self._ids(sql + " AND state = 'ok' ORDER BY id", bounds)

    def bytes_of(self, table: str) -> int:
        """Bytes on disk of all "segments" or "parts"."""
        sql = f"SELECT COALESCE(SUM(bytes), 0) FROM {table} WHERE {self.live(table)}"
        return self._numbers(self.rows(sql)[0])[0]

    def parts(self) -> list[PartRow]:
        """All parts, by feature and number."""
        fields = ", ".join(PartRow._fields)
        sql = f"SELECT {fields} FROM parts WHERE {self.live('parts')} ORDER BY feature, number"
        found = self.rows(sql)
        self.texts(found)
        self.texts(row[5:] for row in found)
        self._numbers([value for row in found for value in row[1:5]])
        return [PartRow(*row) for row in found]

    def numbered(self, table: str, *, previous: bool) -> list[tuple[str, int]]:
        """(feature or channel, number) of all "parts" or "segments", `previous` ones too."""
        name = {"parts": "feature", "segments": "channel"}[table]
        where = "" if previous else "WHERE died IS NULL"
        found = self.rows(f"SELECT {name}, number FROM {table} {where}")
        names, numbers = self.texts(found), self._numbers([row[1] for row in found])
        return list(zip(names, numbers, strict=True))

    def tally(self) -> str:
        """Add up all rows anew; equals ``generation.tally`` unless the file was altered.

        Between one chunk of rows and the next a writer may publish: then it is that of neither.
        """
        total = 0
        for table, columns in TALLIED.items():
            key = ", ".join(columns.split(", ")[: KEYS[table]])
            sql = f"SELECT {columns} FROM {table}"
            after = f"WHERE ({key}) > ({', '.join('?' * KEYS[table])})"
            last: tuple[Any, ...] = ()
            ends = set()
            while chunk := self.rows(
                f"{sql} {after if last else ''} ORDER BY {key} LIMIT {_CHUNK}", last
            ):
                total += sum(digest(table, row) for row in chunk)
                last = chunk[-1][: KEYS[table]]
                if last in ends:
                    raise FormatError(f"{self.path}: the rows of {table} go in a circle: altered")
                ends.add(last)
        return shown(total)

    def check(self) -> list[str]:
        """What SQLite itself finds wrong with the file; nothing if all is well."""
        said = [str(row[0]) for row in self.rows("PRAGMA integrity_check")]
        return [] if said == ["ok"] else said

    # ---- queries ----

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        with self._reading():
            return self._connection.execute(sql, values).fetchall()

    def fill(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run an insertion into a temporary table for each row."""
        with self._reading():
            self._connection.execute("BEGIN")
            self._connection.executemany(sql, rows)
            self._connection.execute("COMMIT")

    def live(self, alias: str) -> str:
        """SQL that holds for the rows of the table `alias` which this generation sees."""
        g = self.generation.number
        return f"{alias}.born <= {g} AND ({alias}.died IS NULL OR {alias}.died > {g})"

    def texts(self, rows: Iterable[Sequence[Any]]) -> list[str]:
        """The first value of each row. SQLite keeps whatever was put into a column: FormatError."""
        found = [row[0] for row in rows]
        for value in found:
            if not isinstance(value, str):
                raise FormatError(f"{self.path}: holds {value!r} as a name: altered")
        return found

    def _numbers(self, values: Sequence[Any]) -> list[int]:
        for value in values:
            if not isinstance(value, int):
                raise FormatError(f"{self.path}: holds {value!r} as a number: altered")
        return list(values)

    def _ids(self, sql: str, values: Sequence[Any]) -> NDArray[np.int64]:
        with self._reading():
            cursor = self._connection.execute(sql, values)
            try:
                return np.fromiter((row[0] for row in cursor), np.int64)
            except (TypeError, ValueError) as error:
                raise FormatError(f"{self.path}: an id is no number: altered") from error

    def _chosen(self, sql: str, ids: Iterable[int]) -> Iterator[tuple[Any, ...]]:
        """Rows whose id is among `ids`, a chunk of ids at a time."""
        wanted = sorted({int(i) for i in ids})
        for start in range(0, len(wanted), _CHUNK):
            some = ",".join(map(str, wanted[start : start + _CHUNK]))
            yield from self.rows(f"{sql} ({some})", (self.generation.number,))

    def _image(self, row: tuple[Any, ...]) -> ImageRow:
        image = ImageRow(*row)
        image = image._replace(passing=bool(image.passing))
        numbers = (image.part, image.row, image.bytes, image.width, image.height)
        if not (isinstance(image.path, str) and all(isinstance(one, int) for one in numbers)):
            raise FormatError(f"{self.path}: the row of image {image.id} is altered")
        return image

    def _connect(self) -> None:
        self._turn = threading.Lock()
        self._process = os.getpid()
        self._connection = _connect(self.path)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        if os.getpid() != self._process:  # SQLite's connections don't survive a fork
            self._connect()
        with self._turn, sqlite_errors(self.path):
            yield


def live_seal(path: Path) -> str:
    """Seal of the live generation, for asking whether there is another one. FormatError."""
    with sqlite_errors(path):
        connection = _connect(path)
        try:
            row = connection.execute(
                "SELECT seal FROM generations ORDER BY number DESC LIMIT 1"
            ).fetchone()
        finally:
            connection.close()
    if row is None:
        raise FormatError(f"{path}: names no generation: altered")
    return str(row[0])


def live_segments(connection: sqlite3.Connection) -> list[SegmentRow]:
    """Segments of the newest generation, by channel and ids."""
    fields = ", ".join(SegmentRow._fields)
    sql = f"SELECT {fields} FROM segments WHERE died IS NULL ORDER BY channel, first_id"
    return [SegmentRow(*row) for row in connection.execute(sql)]


@contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite says into FormatError, StorageError or LockError naming the file."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY):
            full = code != sqlite3.SQLITE_READONLY
            raise cannot_write(path, str(error), full=full) from error
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise LockError(
                f"{path}: in use by another process for {BUSY_SECONDS:.0f} s; try again later"
            ) from error
        if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            raise FormatError(f"{path}: cannot be read ({error})") from error
        raise FormatError(f"{path}: not a catalogue, cut or altered ({error})") from error
    except (UnicodeDecodeError, OverflowError) as error:
        raise FormatError(f"{path}: cut or altered ({error})") from error


def _connect(path: Path) -> sqlite3.Connection:
    """Open for reading, and let a killed writer's unfinished transaction be rolled back first."""
    try:
        path.stat()
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror or error})") from error
    with sqlite_errors(path):
        try:
            return _open(path, "mode=ro")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_READONLY_ROLLBACK:
                return _recovered(path)
            alone = not os.access(path.parent, os.W_OK) and not Path(f"{path}-journal").exists()
            if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY or not alone:
                raise
            # Media that know no locks: nobody writes there, so none are needed.
            return _open(path, "mode=ro&immutable=1")


def _recovered(path: Path) -> sqlite3.Connection:
    """Undo what a killed writer left half done, which only who may write can do; then read."""
    try:
        _open(path, "mode=rw").close()
    except sqlite3.OperationalError as error:
        raise FormatError(
            f"{path}: a writer was killed while it published, and what it left half done can be "
            "undone only by someone who may write here; let them run any command on it once"
        ) from error
    return _open(path, "mode=ro")


def _open(path: Path, how: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?{how}"
    connection = sqlite3.connect(
        uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _check_header(path: Path, connection: sqlite3.Connection) -> None:
    def pragma(name: str) -> int:
        return int(connection.execute(f"PRAGMA {name}").fetchone()[0])

    if pragma("application_id") != APPLICATION:
        raise FormatError(f"{path}: not a catalogue of cbir, or altered")
    if pragma("user_version") != FORMAT_VERSION:
        raise FormatError(
            f"{path}: format version {pragma('user_version')}, this cbir reads {FORMAT_VERSION}"
        )
    whole = pragma("page_count") * pragma("page_size")
    if path.stat().st_size < whole:
        raise FormatError(f"{path}: {path.stat().st_size} bytes, its header says {whole}: cut")
