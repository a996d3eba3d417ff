"""Queries with their own lists, from a JSON file.

::

    {
      "name": "my shop",                       optional, the file's name otherwise
      "self": "drop",                          optional: "drop" (default) or "keep" the query itself
      "queries": [
        {
          "query": "shoes/17.jpg",             path in the collection, or a file beside this one
          "relevant": ["shoes/18.jpg", ...],   may be empty: the query is then skipped and counted
          "junk": ["shoes/17-crop.jpg"],       optional: neither right nor wrong
          "grades": [3, ...],                  optional, above 0, one for each of "relevant"
          "candidates": ["shoes/18.jpg", ...], optional: rank only these
          "region": [10, 20, 100, 80]          optional: x, y, width, height in pixels
        }
      ]
    }

Paths are the relative POSIX paths of the collection. A path in a list that the collection doesn't
have is an error (a typo would otherwise cost recall in silence) unless ``missing="count"``: then it
counts as a positive that can't be found, which is right where an image failed to decode. Unknown
keys are errors too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cbir.errors import FormatError, ParameterError
from cbir.evaluation.protocols import Protocol

Ids = NDArray[np.int64]
KEYS = {"query", "relevant", "junk", "grades", "candidates", "region"}


def from_file(
    path: str | Path,
    path_to_id: Mapping[str, int],
    *,
    missing: Literal["error", "count"] = "error",
) -> Protocol:
    """Read a query file (format above).

    Parameters
    ----------
    path : the JSON file.
    path_to_id : relative POSIX path -> id, of every image in the library.
    missing : what to do with a listed path that isn't in the library.

    Returns
    -------
    protocol : queries that aren't in the library have id -1 and their file in `query_paths`.

    Raises
    ------
    FormatError naming the file, the query and what is wrong with it.
    """
    if missing not in ("error", "count"):
        raise ParameterError(f"from_file: missing={missing!r}, allowed are 'error' and 'count'")
    file = Path(path)
    document = _read(file)
    reader = _Reader(file, path_to_id, missing)
    queries = [reader.query(i, entry) for i, entry in enumerate(document["queries"])]
    name = document.get("name", file.stem)
    try:
        return Protocol(
            name=name,
            query_ids=np.array([q["id"] for q in queries], np.int64),
            relevant=[q["relevant"] for q in queries],
            junk=[q["junk"] for q in queries],
            self_included=document.get("self", "drop") == "keep",
            n_database=len(path_to_id),
            grades=[q["grades"] for q in queries] if reader.any_grades else None,
            candidates=[q["candidates"] for q in queries],
            query_paths=[q["path"] for q in queries],
            regions=[q["region"] for q in queries],
            description=_describe(
                name, len(queries), len(path_to_id), document.get("self", "drop")
            ),
        )
    except ParameterError as error:
        raise FormatError(f"{file}: {error}") from error


def _describe(name: str, n: int, n_database: int, own: str) -> str:
    stays = "stays in" if own == "keep" else "is left out of"
    return (
        f"{n:,} queries of {name!r} with their own lists of right answers, against "
        f"{n_database:,} images; a query that is one of them {stays} its own ranking, and junk is "
        "taken out before ranks are counted."
    )


def _read(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise FormatError(f"{file}: can't be read: {error.strerror}") from error
    except ValueError as error:
        raise FormatError(f"{file}: is no JSON: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("queries"), list):
        raise FormatError(f'{file}: expected an object with a list "queries"')
    unknown = set(document) - {"name", "self", "queries"}
    if unknown:
        raise FormatError(f"{file}: unknown key {min(unknown)!r}; known are name, self, queries")
    if document.get("self", "drop") not in ("drop", "keep"):
        raise FormatError(f'{file}: "self" is {document["self"]!r}, allowed are "drop" and "keep"')
    if not isinstance(document.get("name", ""), str):
        raise FormatError(f'{file}: "name" must be text')
    if not document["queries"]:
        raise FormatError(f'{file}: "queries" is empty')
    return document


class _Reader:
    """Turns the entries of one file into arrays."""

    def __init__(self, file: Path, path_to_id: Mapping[str, int], missing: str) -> None:
        self.file, self.path_to_id, self.missing = file, path_to_id, missing
        self.any_grades = False
        self._absent: dict[str, int] = {}

    def query(self, i: int, entry: Any) -> dict[str, Any]:
        where = f"{self.file}: query {i}"
        if not isinstance(entry, dict) or not isinstance(entry.get("query"), str):
            raise FormatError(f'{where}: expected an object with a path "query"')
        where += f" ({entry['query']})"
        unknown = set(entry) - KEYS
        if unknown:
            raise FormatError(
                f"{where}: unknown key {min(unknown)!r}; known are {', '.join(sorted(KEYS))}"
            )
        if "relevant" not in entry:
            raise FormatError(f'{where}: has no list "relevant"')
        own, path = self._own(entry["query"], where)
        relevant = self._ids(entry["relevant"], "relevant", where)
        candidates = entry.get("candidates")
        return {
            "id": own,
            "path": path,
            "relevant": relevant,
            "junk": self._ids(entry.get("junk", []), "junk", where),
            "grades": self._grades(entry.get("grades"), len(relevant), where),
            "candidates": None
            if candidates is None
            else self._ids(candidates, "candidates", where),
            "region": self._region(entry.get("region"), where),
        }

    def _own(self, path: str, where: str) -> tuple[int, str | None]:
        if path in self.path_to_id:
            return int(self.path_to_id[path]), None
        beside = self.file.parent / path
        if not beside.is_file():
            raise FormatError(f"{where}: is neither in the collection nor a file at {beside}")
        return -1, str(beside)

    def _ids(self, paths: Any, key: str, where: str) -> Ids:
        if not isinstance(paths, list) or not all(isinstance(p, str) for p in paths):
            raise FormatError(f'{where}: "{key}" must be a list of paths')
        absent = [p for p in paths if p not in self.path_to_id]
        if absent and self.missing == "error":
            raise FormatError(
                f'{where}: {len(absent)} of {len(paths)} paths in "{key}" are not in the '
                f"collection, the first is {absent[0]!r}"
            )
        for p in absent:  # ids below -1 never come up in a ranking, so these can't be found
            self._absent.setdefault(p, -2 - len(self._absent))
        ids = [int(self.path_to_id[p]) if p in self.path_to_id else self._absent[p] for p in paths]
        return np.array(ids, np.int64)

    def _grades(self, grades: Any, n: int, where: str) -> NDArray[np.float64]:
        if grades is None:
            return np.ones(n)
        numbers = isinstance(grades, list) and all(
            isinstance(g, (int, float)) and not isinstance(g, bool) and 0 < g < 1e6 for g in grades
        )
        if not numbers or len(grades) != n:
            raise FormatError(
                f'{where}: "grades" must be {n} numbers above 0, one for each relevant path'
            )
        self.any_grades = True
        return np.array(grades, np.float64)

    def _region(self, box: Any, where: str) -> tuple[int, int, int, int] | None:
        if box is None:
            return None
        whole = isinstance(box, list) and len(box) == 4 and all(type(v) is int for v in box)
        if not whole or min(box) < 0 or min(box[2:]) == 0:
            raise FormatError(f'{where}: "region" must be [x, y, width, height] in whole pixels')
        return (box[0], box[1], box[2], box[3])
