"""Which protocol measures a collection: by its labels, by a file of queries, or as a data set asks.

::

    "ukbench", "leave-one-out"  labels of the collection, or UKBench's file names
    FILE.json                   queries with their own lists (`cbir.evaluation.query_file`)
    "holidays", "oxford5k", ... the queries of a data set (`cbir.datasets.load`)
    None                        groups of four: ukbench; any other labels: leave-one-out

A picture that the collection could not read counts as a right answer that isn't found, under every
protocol: one broken file must not cost the whole score.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from cbir.datasets import Dataset, Query, card, cards, load, ukbench_labels
from cbir.errors import CbirError, FormatError, ParameterError
from cbir.evaluation import (
    Protocol,
    QueryEntry,
    from_file,
    from_queries,
    leave_one_out,
    ukbench,
)

if TYPE_CHECKING:
    from cbir.collection import Collection

Missing = Literal["error", "count"]
BY_LABELS = ("ukbench", "leave-one-out")


def make_protocol(
    collection: Collection,
    spec: str | None = None,
    *,
    root: str | Path | None = None,
    missing: Missing = "error",
) -> Protocol:
    """Make the protocol that `spec` names.

    Parameters
    ----------
    spec : "ukbench", "leave-one-out", the path of a query file, the name of a data set with queries
        of its own, or None: what the labels are made for.
    root : folder of the data set; found where not given, if the collection was built from it.
    missing : what a listed image is that the collection doesn't have: an error, or a right answer
        that can't be found.

    Raises
    ------
    ParameterError where the collection is empty, its labels don't allow it or the data set isn't
    there; FormatError on a bad query file.
    """
    if not collection.ntotal:
        raise ParameterError(f"evaluate: {collection.path} holds no images")
    if root is not None and (spec in BY_LABELS or spec not in cards()):
        raise ParameterError(
            f"evaluate: root={str(root)!r} goes with the protocol of a data set "
            f"({', '.join(_with_queries())}); name one, or leave it out"
        )
    if spec is None or spec in BY_LABELS:
        return _by_labels(collection, spec, missing)
    if spec in cards():
        return _of_data_set(collection, spec, root, missing)
    if not Path(spec).suffix and not Path(spec).exists():
        raise ParameterError(
            f"evaluate: protocol {spec!r} is none of {', '.join([*BY_LABELS, *_with_queries()])}, "
            "nor a query file"
        )
    names = _path_to_id(collection)
    return from_file(spec, names, failed=_failed(collection), missing=missing)


def _with_queries() -> list[str]:
    return [name for name in cards() if name not in BY_LABELS]


def _by_labels(collection: Collection, spec: str | None, missing: Missing) -> Protocol:
    ids = np.asarray(collection.ids, np.int64)
    labels = collection.labels(ids)
    if all(label is None for label in labels):
        labels = _labels_by_name(collection, ids, spec)
    if spec is None:
        spec = "ukbench" if _groups_of_four(collection, labels) else "leave-one-out"
    if spec == "leave-one-out":
        return leave_one_out(ids, labels)
    if missing == "error" and 0 < _gaps(labels) <= len(_failed(collection)):
        missing = "count"  # what is not there could not be read
    return ukbench(ids, labels, missing=missing)


def _labels_by_name(
    collection: Collection, ids: NDArray[np.int64], spec: str | None
) -> list[str | None]:
    """Labels of a collection that has none: UKBench's names say them, if UKBench was asked for."""
    if spec == "ukbench":
        try:
            return list(ukbench_labels(collection.paths(ids), complete=False))
        except ParameterError as error:
            raise ParameterError(
                f"evaluate: protocol ukbench needs labels, this collection has none, and its names "
                f"don't say them ({error}); build with --labels folders or a CSV file"
            ) from None
    wanted = f"protocol {spec}" if spec else "without --protocol it"
    raise ParameterError(
        f"evaluate: {wanted} needs labels, and this collection has none; build it again with "
        "--labels ukbench, folders or a CSV file, or name --protocol ukbench or a query file"
    )


def _groups_of_four(collection: Collection, labels: list[str | None]) -> bool:
    """Whether the labels are UKBench's: every image in a group of four, but for failed ones."""
    if None in labels:
        return False
    sizes = Counter(labels).values()
    return max(sizes) <= 4 and _gaps(labels) <= len(_failed(collection))


def _gaps(labels: list[str | None]) -> int:
    """How many images groups of four lack."""
    return sum(4 - size for size in Counter(labels).values() if size < 4)


def _failed(collection: Collection) -> set[str]:
    return {path for path, _ in collection.failed}


def _path_to_id(collection: Collection) -> dict[str, int]:
    ids = np.asarray(collection.ids, np.int64)
    return dict(zip(collection.paths(ids), ids.tolist(), strict=True))


def _of_data_set(
    collection: Collection, name: str, root: str | Path | None, missing: Missing
) -> Protocol:
    data = _find_data_set(collection, name, root)
    names = _path_to_id(collection)
    shown = _Names(data.folder, collection.image_root)
    database = None if data.database is None else [shown(path) for path in data.database]
    # Pictures that only ask must not answer; where they aren't indexed, nothing needs saying.
    everything = database is None or names.keys() <= set(database)
    # Oxford and Paris list the query among its right answers: it stays, and counts. Else it leaves.
    stays = any(one.path in one.relevant for one in data.queries)
    queries = [
        QueryEntry(
            query=shown(one.path),
            relevant=[shown(path) for path in one.relevant],
            junk=[path for path in map(shown, _junk(one, stays=stays)) if path in names],
            candidates=None if everything else [p for p in database or () if p in names],
            region=one.region,
        )
        for one in data.queries
    ]
    return from_queries(
        queries,
        names,
        name=name,
        folder=collection.image_root,
        self_included=stays,
        failed=_failed(collection),
        missing=missing,
    )


def _junk(query: Query, *, stays: bool) -> list[str]:
    """What leaves a query's ranking: where queries stay in theirs, one that isn't right as well."""
    alone = stays and query.path not in (*query.relevant, *query.junk)
    return [*query.junk, query.path] if alone else query.junk


class _Names:
    """Turns paths of a data set into those of a collection."""

    def __init__(self, folder: Path, image_root: Path) -> None:
        self.folder, self.root = folder.resolve(), image_root.resolve()

    def __call__(self, path: str) -> str:
        file = self.folder / path
        inside = file.is_relative_to(self.root)
        return (file.relative_to(self.root) if inside else file).as_posix()


def _find_data_set(collection: Collection, name: str, root: str | Path | None) -> Dataset:
    """Load a data set with its queries: from `root`, or from where the pictures lie."""
    if root is not None:
        data = load(name, root)
        if not data.queries:
            raise ParameterError(f"evaluate: protocol {name}: {root} holds none of its queries")
        return data
    truth = card(name).truth
    marks = [mark for mark in (truth.folder, truth.queries, *truth.per_class) if mark]
    image_root = Path(collection.image_root)
    why = ""
    for folder in (image_root, image_root.parent):
        if not marks or any((folder / mark).is_dir() for mark in marks):
            try:
                data = load(name, folder)
            except CbirError as error:
                if isinstance(error, FormatError) and not why:  # there, but not as it should be
                    why = f" ({error})"
                continue
            if data.queries:
                return data
    raise ParameterError(
        f"evaluate: protocol {name}: neither {image_root} nor its parent holds that data set with "
        f"its queries{why}; name its folder with --root"
    )
