"""Random lives of an index beside a plain dict: every step, every question, both classes."""

import itertools
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cbir.indexes import Flat, InvertedFile, Segments, load
from cbir.types import SparseVectors

WIDTH = 3
ROW = st.lists(st.integers(0, 2), min_size=WIDTH, max_size=WIDTH)  # every score exact, many ties
IDS = st.lists(st.integers(0, 60), unique=True, max_size=8)


class Life(RuleBasedStateMachine):
    """`held` maps ids to rows, in the order of the index."""

    kind: type
    metric: str

    def __init__(self):
        super().__init__()
        self.index = self.kind(WIDTH, metric=self.metric)
        self.held, self.next_id = {}, 0

    def rows(self, lists):
        x = np.array(lists, np.float32).reshape(-1, WIDTH)
        return SparseVectors.from_dense(x) if self.kind is InvertedFile else x

    def dense(self, rows):
        return (rows.to_dense() if self.kind is InvertedFile else rows).tolist()

    def score(self, q, x):
        if self.metric == "l2":
            return sum((a - b) ** 2 for a, b in zip(q, x, strict=True))
        if self.metric == "l1":
            return sum(abs(a - b) for a, b in zip(q, x, strict=True))
        if self.metric == "ip":
            return sum(a * b for a, b in zip(q, x, strict=True))
        return sum(min(a, b) for a, b in zip(q, x, strict=True))

    @property
    def sign(self):
        return 1 if self.metric in ("l2", "l1") else -1

    def ranked(self, q, among):
        found = [(self.score(q, x), i) for i, x in self.held.items() if i in among]
        return sorted(found, key=lambda hit: (self.sign * hit[0], hit[1]))

    # ---- steps ----

    @rule(x=st.lists(ROW, max_size=8))
    def add(self, x):
        self.index.add(self.rows(x))
        self.held.update(zip(range(self.next_id, self.next_id + len(x)), x, strict=True))
        self.next_id += len(x)

    @rule(ids=IDS, x=st.lists(ROW, min_size=8, max_size=8))
    def add_under_ids(self, ids, x):
        new = [i for i in ids if i not in self.held]
        self.index.add(self.rows(x[: len(new)]), ids=new)
        self.held.update(zip(new, x, strict=False))
        self.next_id = max([self.next_id, *(i + 1 for i in new)])

    @rule(x=st.lists(ROW, min_size=40, max_size=40))
    def add_a_block(self, x):
        self.add(x)

    @rule(ids=IDS)
    def remove(self, ids):
        assert self.index.remove(ids) == len([self.held.pop(i) for i in ids if i in self.held])

    @rule()
    def compact(self):
        assert self.index.compact() >= 0 and self.index.n_removed == 0

    @rule(mmap=st.booleans())
    def store(self, mmap):
        self.index.save(self.folder)
        self.index = load(self.folder, mmap=mmap)

    @rule()
    def pickled(self):
        self.index = pickle.loads(pickle.dumps(self.index))

    @rule(ids=IDS)
    def absorb_into_an_empty_one(self, ids):
        new = self.index.empty()
        known = [i for i in ids if i in self.held]
        new.absorb(self.index, known)
        assert self.dense(new.reconstruct(known)) == [self.held[i] for i in known]

    # ---- questions ----

    @rule(q=ROW, k=st.integers(1, 70), allowed=st.none() | IDS, masked=st.booleans())
    def search(self, q, k, allowed, masked):
        among = self.held if allowed is None else set(allowed)
        given = np.isin(np.arange(70), allowed) if masked and allowed is not None else allowed
        hits = self.ranked(q, among)[:k]
        hits += [(self.sign * np.inf, -1)] * (k - len(hits))
        for nq in (1, 8):
            D, I = self.index.search(self.rows([q] * nq), k, allowed=given)
            assert list(zip(D[-1].tolist(), I[-1].tolist(), strict=True)) == hits

    @rule(q=ROW, radius=st.integers(-1, 12), allowed=st.none() | IDS)
    def range_search(self, q, radius, allowed):
        among = self.held if allowed is None else set(allowed)
        found = self.index.range_search(self.rows([q] * 2), radius, allowed=allowed)
        hits = [h for h in self.ranked(q, among) if self.sign * h[0] <= self.sign * radius]
        assert list(zip(found.D.tolist(), found.I.tolist(), strict=True)) == 2 * hits

    @precondition(lambda self: self.held)
    @rule(q=ROW, data=st.data())
    def given_pairs(self, q, data):
        ids = data.draw(st.lists(st.sampled_from(sorted(self.held)), max_size=5))
        scores = self.index.score(self.rows([q]), [*ids, -1])[0].tolist()
        assert scores == [*(self.score(q, self.held[i]) for i in ids), self.sign * np.inf]
        assert self.dense(self.index.reconstruct(ids)) == [self.held[i] for i in ids]

    @rule(q=ROW, k=st.integers(1, 20), gone=IDS, cuts=st.lists(st.integers(0, 200), max_size=3))
    def segments(self, q, k, gone, cuts):
        ids = sorted(self.held)
        ends = [0, *sorted(min(c, len(ids)) for c in cuts), len(ids)]
        parts = [self.index.empty()]
        for begin, end in itertools.pairwise(ends):
            parts.append(self.index.empty())
            parts[-1].absorb(self.index, ids[begin:end])
        both, one = Segments(parts, removed=gone), self.index.without(gone)
        for a, b in (
            (both.search(self.rows([q] * 7), k), one.search(self.rows([q] * 7), k)),
            (both.search(self.rows([]), k), one.search(self.rows([]), k)),
            (both.range_search(self.rows([q]), 3), one.range_search(self.rows([q]), 3)),
        ):
            assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
        assert both.ids.tolist() == sorted(one.ids)

    @invariant()
    def same_rows(self):
        assert self.index.ntotal == len(self.held)
        assert sorted(self.index.ids) == sorted(self.held)


@pytest.mark.parametrize(
    ("kind", "metric"),
    [
        (Flat, "l2"),
        (Flat, "ip"),
        (InvertedFile, "ip"),
        (InvertedFile, "l1"),
        (InvertedFile, "histogram_intersection"),
    ],
)
def test_lives(kind, metric, tmp_path, monkeypatch):
    monkeypatch.setattr("cbir.store.arrays._MAPPED", 0)
    monkeypatch.setattr("cbir.store.atomic.os.fsync", lambda fd: None)
    life = type("Life", (Life,), {"kind": kind, "metric": metric, "folder": tmp_path / "index"})
    life.TestCase.settings = settings(
        max_examples=30,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    life.TestCase().runTest()
