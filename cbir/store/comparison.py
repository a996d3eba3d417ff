"""What a scan found against what the catalogue knows, asked as SQL over a temporary table.

Paths are compared in bulk where they lie, so looking at 100,000 unchanged files builds no object
for each of them, and adding one file to a million looks at one row (CROSS JOIN keeps SQLite to
going by what was found).
"""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import NamedTuple

from cbir.store.catalogue import Catalogue


class Differs(NamedTuple):
    """A path found that has a row which says something else: `n` is its place in the scan."""

    n: int
    id: int
    hash: bytes
    state: str
    error: str | None
    passing: bool
    same_stat: bool


class Comparison:
    """Compare (path, bytes, mtime_ns, label) of a scan with a generation; use in a ``with`` block.

    The place of a file in what is handed over is its `n`. A size of -1 never equals.
    """

    def __init__(
        self, catalogue: Catalogue, found: Iterable[tuple[str, int, int, str | None]]
    ) -> None:
        self._catalogue = catalogue
        self._rows = ((n, *one) for n, one in enumerate(found))

    def __enter__(self) -> Comparison:
        rows = self._catalogue.rows
        rows("DROP TABLE IF EXISTS temp.found")
        rows(
            "CREATE TEMP TABLE found "
            "(n INTEGER PRIMARY KEY, path TEXT, bytes INTEGER, mtime_ns INTEGER, label TEXT)"
        )
        self._catalogue.fill("INSERT INTO temp.found VALUES (?, ?, ?, ?, ?)", self._rows)
        rows("CREATE INDEX temp.found_path ON found (path)")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._catalogue.rows("DROP TABLE temp.found")

    def new(self) -> list[int]:
        """Places of the paths that have no row."""
        live = self._catalogue.live("i")
        sql = (
            "SELECT n FROM temp.found f WHERE NOT EXISTS "
            f"(SELECT 1 FROM images i WHERE i.path = f.path AND {live}) ORDER BY n"
        )
        return [row[0] for row in self._catalogue.rows(sql)]

    def differing(self, *, all_of_them: bool = False) -> list[Differs]:
        """Rows of paths with another size or time, or with a failure that may have passed.

        `all_of_them` gives those that are the same too.
        """
        same = "(f.bytes = i.bytes AND f.mtime_ns = i.mtime_ns)"
        where = "" if all_of_them else f"WHERE NOT {same} OR i.passing"
        live = self._catalogue.live("i")
        sql = (
            f"SELECT f.n, i.id, i.hash, i.state, i.error, i.passing, {same} FROM temp.found f "
            f"CROSS JOIN images i ON i.path = f.path AND {live} {where} ORDER BY f.n"
        )
        found = (Differs(*row) for row in self._catalogue.rows(sql))
        return [
            one._replace(passing=bool(one.passing), same_stat=bool(one.same_stat)) for one in found
        ]

    def relabelled(self) -> dict[int, str | None]:
        """Image id -> label found, where the catalogue has another one or none."""
        live = self._catalogue.live
        sql = (
            "SELECT i.id, f.label FROM temp.found f "
            f"CROSS JOIN images i ON i.path = f.path AND {live('i')} "
            f"LEFT JOIN labels l ON l.id = i.id AND {live('l')} WHERE l.label IS NOT f.label"
        )
        return dict(self._catalogue.rows(sql))

    def lacking(self) -> list[tuple[int, str]]:
        """(id, path) of images that are there and were not found."""
        sql = (
            f"SELECT i.id, i.path FROM images i WHERE {self._catalogue.live('i')} AND NOT EXISTS "
            "(SELECT 1 FROM temp.found f WHERE f.path = i.path) ORDER BY i.id"
        )
        found = self._catalogue.rows(sql)
        self._catalogue.texts(row[1:] for row in found)
        return found

    def failed(self) -> list[tuple[str, str]]:
        """(path, reason) of the paths found that are known as failed."""
        sql = (
            "SELECT i.path, i.error FROM temp.found f CROSS JOIN images i ON f.path = i.path "
            f"WHERE i.state = 'failed' AND {self._catalogue.live('i')} ORDER BY f.n"
        )
        return list(self._catalogue.rows(sql))
