"""Who asks, what is right, and whether the query itself may answer.

Three protocols, that are not comparable with one another::

    ukbench         every image asks; it stays in and counts: 4 positives each (CVPR 2006)
    leave_one_out   every labelled image asks the whole library; it leaves the ranking by its id
    from_file       queries with their own lists (JSON): positives, junk, grades, candidates

A number is only as good as its protocol is fair: a vocabulary or a whitening learned on the images
it is then tested on lifts the result by several points of mAP. `Protocol` can't see that; say it
beside the number.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbir._checks import as_ids
from cbir.errors import DimensionError, ParameterError
from cbir.types import Region

Ids = NDArray[np.int64]
NONE = np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class Protocol:
    """A set of queries with what is right for each. List i belongs to query i.

    Attributes
    ----------
    name : short name: ``ukbench``, ``leave-one-out``, or the name of a query file.
    query_ids : (nq,) int64; -1 for a query that isn't in the library (then `query_paths` has it).
    relevant : nq arrays of distinct int64 ids. Ids below -1 stand for images that the library
        lacks: they can't be found and still count as positives.
    junk : nq arrays; these leave the ranking before ranks are counted.
    self_included : True keeps the query in its own ranking (it must then be listed as relevant or
        junk), False drops it by id.
    n_database : number of images that can be ranked.
    grades : nq arrays beside `relevant`, above 0; None means 1 for all.
    candidates : nq arrays, or None for all: only these are ranked for that query.
    query_paths : nq paths of the pictures that ask, or None where all are in the library.
    regions : nq boxes (x, y, w, h) in the query's own pixels, or None for the whole picture.
    description : who asks and what is right, in a sentence.
    notes : what a reader of the numbers should know besides.
    """

    name: str
    query_ids: Ids
    relevant: list[Ids]
    junk: list[Ids]
    self_included: bool
    n_database: int
    grades: list[NDArray[np.float64]] | None = None
    candidates: list[Ids | None] | None = None
    query_paths: list[str | None] | None = None
    regions: list[Region | None] | None = None
    description: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        nq = len(self.query_ids)
        for what in ("relevant", "junk", "grades", "candidates", "query_paths", "regions"):
            value = getattr(self, what)
            if value is not None and len(value) != nq:
                raise DimensionError(
                    f"Protocol {self.name}: {len(value)} lists in {what}, {nq} queries"
                )
        for i in range(nq):
            self._check_query(i)

    def _check_query(self, i: int) -> None:
        relevant, junk, own = self.relevant[i], self.junk[i], int(self.query_ids[i])
        who = f"Protocol {self.name}: query {i} (id {own})"
        if len(np.unique(relevant)) != len(relevant):
            raise ParameterError(f"{who} lists a relevant id twice")
        if len(relevant) and (relevant == -1).any():
            raise ParameterError(f"{who} lists -1 as relevant; -1 means 'no hit' and can't be one")
        if len(junk) and np.isin(relevant, junk).any():
            both = relevant[np.isin(relevant, junk)][0]
            raise ParameterError(f"{who} lists id {both} as relevant and as junk")
        if self.grades is not None and len(self.grades[i]) != len(relevant):
            raise DimensionError(
                f"{who}: {len(self.grades[i])} grades for {len(relevant)} relevant ids"
            )
        if self.candidates is not None and (inside := self.candidates[i]) is not None:
            outside = relevant[(relevant >= 0) & ~np.isin(relevant, inside)]
            if len(outside):
                raise ParameterError(f"{who}: relevant id {outside[0]} is not among its candidates")
        if own < 0:
            return
        listed = bool((relevant == own).any())
        if listed and not self.self_included:
            raise ParameterError(f"{who} is relevant to itself, yet self_included=False drops it")
        if self.self_included and not listed and not (junk == own).any():
            raise ParameterError(
                f"{who} stays in its own ranking (self_included=True) but is neither relevant "
                "nor junk: its first place would count as wrong"
            )

    def __len__(self) -> int:
        return len(self.query_ids)

    @property
    def depth(self) -> int:
        """How many results to ask for so that every metric is exact: the whole library.

        AP needs the place of the last positive, however far down it is. A shorter ranking gives
        lower bounds: what wasn't returned adds 0. For `ns_score`, `accuracy` and "@k" alone, k (+1
        where self leaves) is enough.
        """
        return self.n_database

    def exact_at(self, metric: str, depth: int) -> bool:
        """Whether rankings of `depth` results give `metric` (a name of `evaluate`) exactly.

        Where not, the number is a lower bound: what wasn't returned adds 0. ``revisitop_mP@10``
        alone may then also be too high, since it divides by the place of the last positive found.
        """
        if depth >= self.depth:
            return True
        if self.candidates is not None and any(c is not None for c in self.candidates):
            return False  # what leaves the ranking is unbounded
        name, _, k = metric.partition("@")
        if name in ("precision", "recall", "success", "ndcg"):
            needed = int(k)
        elif name in ("ns_score", "accuracy", "ns_score_self_excluded"):
            return depth >= 4
        elif name == "r_precision":
            needed = int(self.n_relevant.max(initial=0))
        else:
            return False
        leaving = max((int((self.dropped(i) >= 0).sum()) for i in range(len(self))), default=0)
        return depth >= needed + leaving

    @property
    def n_relevant(self) -> Ids:
        """(nq,) how many positives each query has."""
        return np.array([len(r) for r in self.relevant], np.int64)

    @property
    def is_ukbench(self) -> bool:
        """Whether the N-S score is defined: the query included, 4 positives each."""
        return self.self_included and len(self) > 0 and bool((self.n_relevant == 4).all())

    def dropped(self, i: int) -> Ids:
        """Ids that leave the ranking of query `i`: its junk, and itself unless it is included."""
        own = int(self.query_ids[i])
        if self.self_included or own < 0:
            return self.junk[i]
        return np.append(self.junk[i], own)

    def subset(self, queries: ArrayLike) -> Protocol:
        """Keep some queries (positions), on the same library."""
        at = np.asarray(queries, np.int64)

        def pick(lists: list[Any] | None) -> list[Any] | None:
            return None if lists is None else [lists[i] for i in at]

        return replace(
            self,
            query_ids=self.query_ids[at],
            relevant=[self.relevant[i] for i in at],
            junk=[self.junk[i] for i in at],
            grades=pick(self.grades),
            candidates=pick(self.candidates),
            query_paths=pick(self.query_paths),
            regions=pick(self.regions),
        )


def ukbench(
    ids: ArrayLike, labels: Sequence[Hashable], *, missing: Literal["error", "count"] = "error"
) -> Protocol:
    """UKBench: groups of 4 images of one object; every image asks, and its own image counts.

    Parameters
    ----------
    ids : (n,) int64 ids of the images in the library.
    labels : n object labels, ``N // 4`` for ``ukbenchNNNNN.jpg``.
    missing : an object with fewer than 4 images is an "error"; or the others "count" as right
        answers that can't be found, which is fair where a picture could not be read. They don't
        ask.

    Raises
    ------
    ParameterError where n isn't a multiple of 4, a label is missing, or an object has not exactly 4
    images; with ``missing="count"`` only where it has more.
    """
    i = as_ids(ids, who="ukbench")
    groups = _groups(i, labels, who="ukbench")
    if len(i) == 0 or (len(i) % 4 and missing == "error"):
        raise ParameterError(
            f"ukbench: {len(i)} images are no multiple of 4; UKBench has 4 images of each object "
            "(missing=count takes the others for right answers that can't be found)"
        )
    unlabelled = sum(label is None for label in labels)
    if unlabelled:
        raise ParameterError(f"ukbench: {unlabelled} of {len(i)} images have no label")
    absent = 0
    for label, members in groups.items():
        gap = 4 - len(members)
        if gap > 0 and missing == "count":
            groups[label] = np.append(members, -2 - absent - np.arange(gap))
            absent += gap
        elif gap:
            hint = "; was the label made with / instead of //?" if len(groups) == len(i) else ""
            raise ParameterError(
                f"ukbench: object {label!r} has {len(members)} images, every object needs 4{hint}"
            )
    return Protocol(
        name="ukbench",
        query_ids=i,
        relevant=[groups[label] for label in labels],
        junk=[NONE] * len(i),
        self_included=True,
        n_database=len(i),
        description=(
            f"Every one of the {len(i):,} images is a query against all of them, itself included; "
            "right are the 4 images of the same object."
        ),
        notes=(f"images not in the index, counted as not found: {absent}",) if absent else (),
    )


def leave_one_out(ids: ArrayLike, labels: Sequence[Hashable]) -> Protocol:
    """Every labelled image asks the whole library and is dropped from its own ranking, by id.

    Images with the label None are in the library but don't ask. An image alone with its label asks
    and is counted as skipped. Needs full rankings: see `Protocol.depth`.

    Raises
    ------
    DimensionError where `labels` doesn't fit `ids`, ParameterError where no two images share a
    label.
    """
    i = as_ids(ids, who="leave_one_out")
    groups = _groups(i, labels, who="leave_one_out")
    if not any(len(members) > 1 for members in groups.values()):
        raise ParameterError(
            f"leave_one_out: no two of the {len(i)} images share a label, so nothing can be right; "
            "build with --labels ukbench, folders or a CSV file"
        )
    asking = [
        (own, label) for own, label in zip(i.tolist(), labels, strict=True) if label is not None
    ]
    return Protocol(
        name="leave-one-out",
        query_ids=np.array([own for own, _ in asking], np.int64),
        relevant=[groups[label][groups[label] != own] for own, label in asking],
        junk=[NONE] * len(asking),
        self_included=False,
        n_database=len(i),
        description=(
            f"Each of {len(asking):,} labelled images is a query against the whole library of "
            f"{len(i):,}, from which it is itself left out; right are the other images with its "
            "label."
        ),
    )


def _groups(ids: Ids, labels: Sequence[Hashable], *, who: str) -> dict[Hashable, Ids]:
    """Map a label to the ids that carry it, smaller first."""
    if len(labels) != len(ids):
        raise DimensionError(f"{who}: {len(labels)} labels for {len(ids)} ids")
    members: dict[Hashable, list[int]] = {}
    for own, label in zip(ids.tolist(), labels, strict=True):
        if label is not None:
            members.setdefault(label, []).append(own)
    return {label: np.sort(np.array(m, np.int64)) for label, m in members.items()}
