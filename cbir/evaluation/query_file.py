"""Queries with their own lists of right answers, from a JSON file or from a data set.

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
          "region": [10, 20, 100, 80]          optional: x, y, width, height in the query's pixels
        }
      ]
    }

Paths are the relative POSIX paths of the collection. A path in a list that the collection doesn't
have is an error (a typo would otherwise cost recall in silence) unless ``missing="count"`` or the
collection knows that this picture failed: then it counts as a positive that can't be found. Unknown
keys are errors too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cbir.errors import FormatError, ParameterError
from cbir.evaluation.protocols import Protocol

Ids = NDArray[np.int64]
_From = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Size = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class QueryEntry(BaseModel):
    """One query: its picture, what is right, what is neither right nor wrong."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    query: str
    relevant: list[str]
    junk: list[str] = []
    grades: list[Annotated[float, Field(gt=0, lt=1e6)]] | None = None
    candidates: list[str] | None = None
    region: tuple[_From, _From, _Size, _Size] | None = None

    @model_validator(mode="after")
    def _one_grade_each(self) -> QueryEntry:
        if self.grades is not None and len(self.grades) != len(self.relevant):
            raise ValueError(f"{len(self.grades)} grades for {len(self.relevant)} relevant paths")
        return self


class _QueryFile(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: str | None = None
    own: Literal["drop", "keep"] = Field("drop", alias="self")
    queries: list[QueryEntry] = Field(min_length=1)


def from_file(
    path: str | Path,
    path_to_id: Mapping[str, int],
    *,
    failed: Collection[str] = (),
    missing: Literal["error", "count"] = "error",
) -> Protocol:
    """Read a query file (format above).

    Parameters
    ----------
    path : the JSON file.
    path_to_id : relative POSIX path -> id, of every image in the library.
    failed : paths of pictures that the library tried and could not read.
    missing : what to do with a listed path that is in neither.

    Returns
    -------
    protocol : queries that aren't in the library have id -1 and their file in `query_paths`.

    Raises
    ------
    FormatError naming the file, the query and what is wrong with it.
    """
    file = Path(path)
    try:
        document = _QueryFile.model_validate_json(file.read_bytes())
    except OSError as error:
        raise FormatError(f"{file}: can't be read: {error.strerror}") from error
    except ValidationError as error:
        raise FormatError(f"{file}: {_first_fault(error)}") from error
    try:
        return from_queries(
            document.queries,
            path_to_id,
            name=document.name or file.stem,
            folder=file.parent,
            self_included=document.own == "keep",
            failed=failed,
            missing=missing,
        )
    except FormatError as error:
        raise FormatError(f"{file}: {error}") from error


def from_queries(
    queries: Sequence[QueryEntry],
    path_to_id: Mapping[str, int],
    *,
    name: str,
    folder: str | Path,
    self_included: bool = False,
    failed: Collection[str] = (),
    missing: Literal["error", "count"] = "error",
) -> Protocol:
    """Make a protocol of queries with their own lists.

    Parameters
    ----------
    path_to_id, failed, missing : as `from_file` takes them.
    name : of the protocol.
    folder : where the files of queries lie that aren't in the library.
    self_included : whether a query that is in the library stays in its own ranking.

    Returns
    -------
    protocol : without the queries whose own picture `failed`.

    Raises
    ------
    FormatError naming the query and what is wrong with it.
    """
    if missing not in ("error", "count"):
        raise ParameterError(f"from_queries: missing={missing!r}, allowed are 'error' and 'count'")
    look_up = _LookUp(path_to_id, frozenset(failed), missing)
    asking = [(i, one) for i, one in enumerate(queries) if one.query not in look_up.failed]
    own, files, relevant, junk, candidates = [], [], [], [], []
    for i, one in asking:
        where = f"query {i} ({one.query})"
        own.append(path_to_id.get(one.query, -1))
        files.append(None if own[-1] >= 0 else _file(Path(folder) / one.query, where))
        relevant.append(look_up.ids(one.relevant, "relevant", where))
        junk.append(look_up.ids(one.junk, "junk", where))
        candidates.append(
            None if one.candidates is None else look_up.ids(one.candidates, "candidates", where)
        )
    graded = any(one.grades is not None for _, one in asking)
    grades = [np.array(one.grades or np.ones(len(one.relevant)), np.float64) for _, one in asking]
    broken = len(queries) - len(asking)
    try:
        return Protocol(
            name=name,
            query_ids=np.array(own, np.int64),
            relevant=relevant,
            junk=junk,
            self_included=self_included,
            n_database=len(path_to_id),
            grades=grades if graded else None,
            candidates=candidates,
            query_paths=files,
            regions=[one.region for _, one in asking],
            description=_describe(name, len(asking), len(path_to_id), self_included),
            notes=look_up.notes(broken),
        )
    except ParameterError as error:
        raise FormatError(str(error)) from error


class _LookUp:
    """Paths to ids; those the library lacks get ids below -1, which no ranking holds."""

    def __init__(self, path_to_id: Mapping[str, int], failed: frozenset[str], missing: str) -> None:
        self.path_to_id, self.failed, self.missing = path_to_id, failed, missing
        self._absent: dict[str, int] = {}

    def notes(self, broken: int) -> tuple[str, ...]:
        """What to say of `broken` queries and of right answers that aren't there."""
        counts = {
            "queries that could not be read and don't ask": broken,
            "images not in the index, counted as not found": len(self._absent),
        }
        return tuple(f"{what}: {n}" for what, n in counts.items() if n)

    def ids(self, paths: Sequence[str], key: str, where: str) -> Ids:
        absent = [p for p in paths if p not in self.path_to_id]
        unknown = [p for p in absent if p not in self.failed]
        if unknown and self.missing == "error":
            raise FormatError(
                f'{where}: {len(unknown)} of {len(paths)} paths in "{key}" are not in the '
                f"collection, the first is {unknown[0]!r}"
            )
        for p in absent:
            self._absent.setdefault(p, -2 - len(self._absent))
        return np.array(
            [self.path_to_id[p] if p in self.path_to_id else self._absent[p] for p in paths],
            np.int64,
        )


def _file(path: Path, where: str) -> str:
    if not path.is_file():
        raise FormatError(f"{where}: is neither in the collection nor a file at {path}")
    return str(path)


def _first_fault(error: ValidationError) -> str:
    """Say the first thing pydantic found: in which query, under which key."""
    fault = error.errors(include_url=False)[0]
    said = str(fault["msg"])
    if fault["type"] == "json_invalid":
        return f"is no JSON: {said.removeprefix('Invalid JSON: ')}"
    keys = [str(key) for key in fault["loc"]]
    where = ""
    if keys[:1] == ["queries"] and len(keys) > 1:
        where, keys = f"query {keys[1]}: ", keys[2:]
    if fault["type"] == "extra_forbidden":
        return f"{where}unknown key {keys[-1]!r}"
    if fault["type"] == "missing" and isinstance(fault["loc"][-1], int):
        return f"{where}{': '.join(keys[:-1])}: too few values"
    if fault["type"] == "missing":
        return f"{where}has no {keys[-1]!r}"
    return where + ": ".join([*keys, said.removeprefix("Value error, ")])


def _describe(name: str, n: int, n_database: int, self_included: bool) -> str:
    stays = "stays in" if self_included else "is left out of"
    return (
        f"{n:,} queries of {name!r} with their own lists of right answers, against "
        f"{n_database:,} images; a query that is one of them {stays} its own ranking, and junk is "
        "taken out before ranks are counted."
    )
