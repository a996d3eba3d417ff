"""How a generation is published: one SQLite transaction, seen by readers as a whole or not at all.

::

    with Publication(catalogue_file) as p:     BEGIN IMMEDIATE
        p.kill([3, 4]); p.add(rows, labels)
        p.add_segment(...)
    # the block has ended well                 generation + 1, tally, COMMIT

An error inside the block, or a killed process, leaves the catalogue as it was. Every row that
comes, changes or goes is taken into and out of the tally by triggers, so none can be forgotten.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from cbir.store.atomic import atomic_write
from cbir.store.catalogue import BUSY_SECONDS, live_segments, sqlite_errors
from cbir.store.marker import FORMAT_VERSION
from cbir.store.schema import (
    APPLICATION,
    SCHEMA,
    TALLIED,
    Generation,
    ImageRow,
    PartRow,
    SegmentRow,
    digest,
    seal,
    shown,
)


def create_catalogue(path: Path) -> None:
    """Put an empty catalogue, generation 0, in place in one step. Raises StorageError."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.executescript(SCHEMA)
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
        marks = ", ".join("?" * len(Generation._fields))
        empty = Generation()
        sealed = empty._replace(seal=seal(empty, {}, []))
        connection.execute(f"INSERT INTO generations VALUES ({marks})", sealed)
        connection.commit()
        data = connection.serialize()
    finally:
        connection.close()
    atomic_write(path, data)


def note_times(path: Path, times: Sequence[tuple[int, int]]) -> None:
    """Note (id, mtime_ns) of files that were looked at again and are the same: no new generation.

    Raises
    ------
    StorageError, FormatError.
    """
    with sqlite_errors(path):
        connection = _connect(path)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("UPDATE images SET mtime_ns = ?2 WHERE id = ?1", times)
            connection.execute("COMMIT")
        finally:
            connection.close()


class Publication:
    """One change of a catalogue; whoever makes one holds the writer's lock.

    Attributes
    ----------
    before : the generation it starts from; `number` that of the one it makes.

    Raises
    ------
    StorageError for a full disk, FormatError for a damaged file, LockError if readers hold it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.facts: dict[str, str] = {}
        self.next_id = self.next_part = self.next_segment = 0
        self._sum = 0  # the tally, kept by triggers

    def __enter__(self) -> Publication:
        with sqlite_errors(self.path):
            self._connection = _connect(self.path)
            try:
                self._begin()
            except BaseException:
                self._connection.close()
                raise
        return self

    def _begin(self) -> None:
        run = self._connection.execute
        self._connection.create_function("tally", -1, self._tally)
        for table, columns in TALLIED.items():
            names = columns.split(", ")
            old = f"tally(-1, '{table}', {', '.join(f'OLD.{name}' for name in names)})"
            new = f"tally(1, '{table}', {', '.join(f'NEW.{name}' for name in names)})"
            for event, what in {"INSERT": new, "DELETE": old, "UPDATE": f"{old}, {new}"}.items():
                run(
                    f"CREATE TEMP TRIGGER {table}_{event} AFTER {event} ON main.{table} "
                    f"BEGIN SELECT {what}; END"
                )
        run("BEGIN IMMEDIATE")
        row = run("SELECT * FROM generations ORDER BY number DESC LIMIT 1").fetchone()
        self.before = Generation(*row)
        self.number = self.before.number + 1
        self.next_id, self.next_part = self.before.next_id, self.before.next_part
        self.next_segment = self.before.next_segment
        self._sum = int(self.before.tally, 16)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                with sqlite_errors(self.path):
                    self._commit()
        finally:
            self._connection.close()  # undoes what was not committed

    # ---- changes ----

    def add(self, rows: Iterable[ImageRow], labels: Mapping[int, str]) -> None:
        """Rows of new images, and labels of those that have one, by id."""
        self._many("images", [(*row, self.number, None) for row in rows])
        self._many("labels", [(i, self.number, None, label) for i, label in labels.items()])

    def kill(self, ids: Iterable[int]) -> None:
        """Images that leave with this generation, and their labels."""
        for table in ("images", "labels"):
            self._all(f"UPDATE {table} SET died = ? WHERE id = ? AND died IS NULL", ids)

    def relabel(self, labels: Mapping[int, str | None]) -> None:
        """Give images of earlier generations other labels; None takes the label away."""
        self._all("UPDATE labels SET died = ? WHERE id = ? AND died IS NULL", labels)
        new = [(i, self.number, None, label) for i, label in labels.items() if label is not None]
        self._many("labels", new)

    def move(self, places: Iterable[tuple[int, int, int]]) -> None:
        """(id, part, row) of images whose features now lie elsewhere."""
        with sqlite_errors(self.path):
            self._connection.executemany(
                "UPDATE images SET part = ?2, row = ?3 WHERE id = ?1", places
            )

    def add_segment(self, segment: SegmentRow) -> None:
        """Name a finished segment; its `born` is this generation."""
        self._many("segments", [(*segment[:-1], self.number, None)])

    def drop_segment(self, channel: str, number: int) -> None:
        """A segment that this generation no longer searches."""
        sql = "UPDATE segments SET died = ? WHERE channel = ? AND number = ?"
        self._run(sql, (self.number, channel, number))

    def add_part(self, part: PartRow) -> None:
        """Name a finished part."""
        self._many("parts", [(*part, self.number, None)])

    def drop_part(self, feature: str, number: int) -> None:
        """A part that this generation no longer reads."""
        sql = "UPDATE parts SET died = ? WHERE feature = ? AND number = ?"
        self._run(sql, (self.number, feature, number))

    def _commit(self) -> None:
        run = self._connection.execute
        # What died with the generation before last is named by none that is kept.
        for table in ("segments", "parts"):
            run(f"DELETE FROM {table} WHERE died < ?", (self.number,))
        run("DELETE FROM generations WHERE number < ?", (self.before.number,))
        self._connection.executemany(
            "INSERT OR REPLACE INTO facts VALUES (?, ?)", sorted(self.facts.items())
        )
        new = Generation(
            self.number,
            self.next_id,
            self.next_part,
            self.next_segment,
            *self._counts(),
            tally=shown(self._sum),
        )
        facts = dict(run("SELECT key, value FROM facts").fetchall())
        new = new._replace(seal=seal(new, facts, live_segments(self._connection)))
        marks = ", ".join("?" * len(new))
        run(f"INSERT INTO generations VALUES ({marks})", new)
        run("COMMIT")

    def _counts(self) -> tuple[int, int, int]:
        """Indexed, failed and removed images after this change, from those that it touched."""
        n = self.number
        born = self._number("born = ?1 AND died IS NULL AND id >= ?2", n, self.before.next_id)
        failed = self._number(
            "born = ?1 AND died IS NULL AND id >= ?2 AND state = 'failed'", n, self.before.next_id
        )
        gone = self._number("died = ?1", n)
        gone_failed = self._number("died = ?1 AND state = 'failed'", n)
        return (
            self.before.indexed + born - failed - (gone - gone_failed),
            self.before.failed + failed - gone_failed,
            self.before.removed + gone,
        )

    def _number(self, where: str, *values: int) -> int:
        sql = f"SELECT COUNT(*) FROM images WHERE {where}"
        return int(self._connection.execute(sql, values).fetchone()[0])

    def _tally(self, sign: int, table: str, *values: Any) -> None:
        self._sum += sign * digest(table, values)

    def _many(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            with sqlite_errors(self.path):
                self._connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)

    def _all(self, sql: str, ids: Iterable[int]) -> None:
        with sqlite_errors(self.path):
            self._connection.executemany(sql, [(self.number, int(i)) for i in ids])

    def _run(self, sql: str, values: Sequence[Any]) -> None:
        with sqlite_errors(self.path):
            self._connection.execute(sql, values)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
    )
    try:
        connection.execute("PRAGMA journal_mode = DELETE")
        # Also the folder, after the journal is deleted: were it to come back after a power cut, it
        # would undo a publication on whose strength older files have been swept.
        connection.execute("PRAGMA synchronous = EXTRA")
    except BaseException:
        connection.close()
        raise
    return connection
