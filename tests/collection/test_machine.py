"""Random lives of a collection against a plain model: what is in it, and what it answers.

Pictures are tiny and described by their mean colour alone, so a step takes milliseconds. The model
is a dict from catalogue path to picture; the collection must hold exactly that, find each by its
content, keep ids for ever and pass a check, whatever was done and wherever writers were killed.
"""

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from PIL import Image

from cbir.collection import Collection, extraction, indexing
from cbir.recipe import Recipe
from cbir.store import Publication

RECIPE = Recipe.load("colour", ["feature.bins=[8, 2, 2]"])
NAMES = [f"{folder}{name}.png" for folder in ("", "a/", "b/c/") for name in range(4)]
SEEDS = st.integers(0, 30)
SLOW = bool(os.environ.get("CBIR_SLOW_TESTS"))


class Killed(BaseException):
    """Stands for SIGKILL, but that blocks are left by the door (test_kills.py has the real one)."""


class Life(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.work = Path(tempfile.mkdtemp(prefix="cbir-life-"))
        self.root, self.path = self.work / "photos", self.work / "c.cbir"
        self.elsewhere = self.work / "elsewhere"
        self.files = {}  # path below the root -> seed of the picture that lies there
        self.indexed = {}  # catalogue path -> (seed, label)
        self.ids = {}  # id -> (path, seed): all that were ever given
        self.clock = 0
        self.kill_at = 0
        self.collection = None

    def teardown(self):
        shutil.rmtree(self.work)

    # ---- the world ----

    def put(self, file, seed):
        file.parent.mkdir(parents=True, exist_ok=True)
        colours = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
        Image.fromarray(colours).save(file)
        self.clock += 1  # times that are long past and never the same
        at = (1_600_000_000 + self.clock) * 10**9
        os.utime(file, ns=(at, at))

    @initialize()
    def begin(self):
        for number, name in enumerate(NAMES[:5]):
            self.put(self.root / name, number)
            self.files[name] = number
        self.write(lambda: Collection.build(self.root, self.path, RECIPE, labels="folders"))
        self.seen(prune=False)
        self.collection = Collection.open(self.path)

    @rule(name=st.sampled_from(NAMES), seed=SEEDS)
    def put_file(self, name, seed):
        self.put(self.root / name, seed)
        self.files[name] = seed

    @rule(name=st.sampled_from(NAMES))
    def delete_file(self, name):
        if name in self.files and len(self.files) > 1:
            (self.root / name).unlink()
            del self.files[name]

    @rule(name=st.sampled_from(NAMES), other=st.sampled_from(NAMES))
    def rename_file(self, name, other):
        if name in self.files and other not in self.files:
            (self.root / other).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).rename(self.root / other)
            self.files[other] = self.files.pop(name)

    @rule(at=st.integers(1, 40))
    def plan_a_kill(self, at):
        """The next writer dies at this change of the disk, if it comes that far."""
        self.kill_at = at

    # ---- what is done to the collection ----

    def write(self, step):
        """Run a writer; if it is killed on the way, look at what is left and run it again."""
        patched = pytest.MonkeyPatch()
        left = [self.kill_at]
        self.kill_at = 0

        def dying(function):
            def call(*args, **kwargs):
                left[0] -= 1
                if left[0] == 0:
                    raise Killed
                return function(*args, **kwargs)

            return call

        patched.setattr(os, "fsync", dying(os.fsync))
        patched.setattr(os, "unlink", dying(os.unlink))
        patched.setattr(Publication, "_commit", dying(Publication._commit))
        patched.setattr(os, "replace", dying(os.replace))
        try:
            return step()
        except Killed:
            if self.collection is not None:
                assert Collection.check(self.path).ok
        finally:
            patched.undo()
        return step()

    def seen(self, *, prune):
        """What the model holds after the folder was looked at."""
        for name, seed in self.files.items():
            label = name.split("/")[0] if "/" in name else None
            self.indexed[name] = (seed, label)
        if prune:
            for name in [n for n in self.indexed if not n.startswith("/")]:
                if name not in self.files:
                    del self.indexed[name]

    @rule(prune=st.booleans(), rehash=st.booleans())
    def update(self, prune, rehash):
        self.write(lambda: Collection.open(self.path).update(prune=prune, rehash=rehash))
        self.seen(prune=prune)

    @rule(prune=st.booleans())
    def build(self, prune):
        self.write(
            lambda: Collection.build(self.root, self.path, RECIPE, labels="folders", prune=prune)
        )
        self.seen(prune=prune)

    @rule(name=st.sampled_from(NAMES))
    def add_from_inside(self, name):
        if name in self.files:
            self.write(lambda: Collection.open(self.path).add(self.root / name))
            self.indexed[name] = (self.files[name], name.split("/")[0] if "/" in name else None)

    @rule(number=st.integers(0, 2), seed=SEEDS)
    def add_from_elsewhere(self, number, seed):
        file = self.elsewhere / f"{number}.png"
        self.put(file, seed)
        self.write(lambda: Collection.open(self.path).add(file))
        self.indexed[file.as_posix()] = (seed, None)

    @rule(draw=st.randoms(use_true_random=False))
    def remove(self, draw):
        c = Collection.open(self.path)
        some = draw.sample(c.ids.tolist(), min(2, c.ntotal))
        paths = c.paths(some)

        def step():
            again = Collection.open(self.path)
            left = [i for i in some if i in again.ids]  # it may have been killed after its end
            return again.remove(left)

        self.write(step)
        for path in paths:
            del self.indexed[path]

    @rule()
    def compact(self):
        self.write(lambda: Collection.open(self.path).compact())
        c = Collection.open(self.path)
        assert c.info()["index"]["segments"] <= 1

    @rule()
    def open_again(self):
        self.collection = Collection.open(self.path)

    # ---- what must hold ----

    @precondition(lambda self: self.collection is not None)
    @invariant()
    def a_reader_keeps_what_it_opened(self):
        c = self.collection
        before = (c.generation, c.ids.tolist(), c.paths(c.ids), c.labels(c.ids))
        if not hasattr(self, "_held") or self._held[0] != c:
            self._held = (c, before)
        assert self._held[1] == before

    @precondition(lambda self: self.collection is not None)
    @invariant()
    def the_collection_is_the_model(self):
        c = Collection.open(self.path)
        ids = c.ids
        paths = c.paths(ids)
        assert sorted(paths) == sorted(self.indexed)
        assert c.ntotal == len(self.indexed)
        assert c.labels(ids) == [self.indexed[path][1] for path in paths]
        assert c.find(paths).tolist() == ids.tolist()
        for i, path in zip(ids.tolist(), paths, strict=True):
            entry = (path, self.indexed[path][0])
            assert self.ids.setdefault(i, entry) == entry  # an id is of one picture for ever
        if len(ids):
            found = c.search_ids(ids, len(ids))
            assert (np.sort(found.I, axis=1) == ids).all()
            expected = [min(j for j in ids.tolist() if self.same(i, j)) for i in ids.tolist()]
            assert found.I[:, 0].tolist() == expected
            np.testing.assert_array_equal(c.vectors(ids), [c.features(i) for i in ids.tolist()])

    def same(self, i, j):
        return self.ids[i][1] == self.ids[j][1]

    @precondition(lambda self: self.collection is not None)
    @invariant()
    def every_byte_is_right(self):
        report = Collection.check(self.path)
        assert report.ok, report.problems


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(extraction, "PART_IMAGES", 3)
    monkeypatch.setattr(indexing, "RATIO", 2)


def test_lives(small):
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        Life,
        settings=settings(
            max_examples=300 if SLOW else 12,
            stateful_step_count=40 if SLOW else 20,
            deadline=None,
            derandomize=not SLOW,
            suppress_health_check=list(HealthCheck),
        ),
    )
