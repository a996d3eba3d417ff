"""What the base does for an index that learns and has knobs, on a small one made for it."""

import pickle
from typing import ClassVar

import numpy as np
import pytest

from cbir import _checks
from cbir.errors import FormatError, NotTrainedError, ParameterError
from cbir.indexes import INDEXES, Flat, Segments, load, load_trained
from cbir.indexes._files import expect


class Shifted(Flat):
    """Flat over rows less the mean of the training rows; answers are `best` times too long."""

    kind = "shifted"
    KNOBS: ClassVar[tuple[str, ...]] = ("best",)
    needs_training = True

    def __init__(self, d, metric="l2", best=1):
        self.best = self._knob("best", best, "Shifted")
        self.mean_ = None
        super().__init__(d, metric)

    @property
    def is_trained(self):
        return self.mean_ is not None

    def _train(self, rows, n_threads):
        self.mean_ = rows.mean(0)

    def _knob(self, name, value, who):
        return _checks.check_int(value, who=who, name=name, low=1)

    def _search(self, rows, k, chosen, n_threads, knobs):
        D, I = super()._search(rows, k, chosen, n_threads, {})
        return D * np.float32(knobs["best"]), I

    def _encode(self, rows, n_threads):
        return rows - self.mean_

    def _decode(self, kept):
        return kept + self.mean_

    def _trained_arrays(self):
        return {} if self.mean_ is None else {"mean": self.mean_}

    def _adopt_trained(self, arrays, folder):
        if "mean" not in arrays:
            raise FormatError(f"{folder / 'mean.npy'}: is not there")
        self.mean_ = expect(arrays["mean"], np.float32, 1, folder / "mean.npy")


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(INDEXES, "shifted", Shifted)


X = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)


def trained(**options):
    index = Shifted(3, **options).train(X)
    index.add(X)
    return index


def test_before_training_everything_but_train_is_refused(tmp_path):
    index = Shifted(3)
    assert not index.is_trained and index.needs_training and not Flat(3).needs_training
    for name, call in {
        "add": lambda: index.add(X),
        "search": lambda: index.search(X, 1),
        "range_search": lambda: index.range_search(X, 1.0),
        "score": lambda: index.score(X, [0]),
        "absorb": lambda: index.absorb(trained(), [0]),
    }.items():
        with pytest.raises(NotTrainedError, match=rf"Shifted\.{name}: .*call train"):
            call()
    assert index.train(X) is index and index.is_trained
    index.add(X)
    with pytest.raises(ParameterError, match="holds rows"):
        index.train(X)


def test_a_knob_is_set_at_construction_and_at_the_call():
    index = trained(best=3)
    once = index.search(X[:2], 4, best=1)
    np.testing.assert_array_equal(index.search(X[:2], 4).D, once.D * 3)
    np.testing.assert_array_equal(index.search(X[:2], 4, best=2).D, once.D * 2)
    assert index.best == 3, "a call leaves the default alone"
    with pytest.raises(ParameterError, match="nprobe is not a knob of this index; knobs are best"):
        index.search(X, 1, nprobe=2)
    with pytest.raises(ParameterError, match="best=0"):
        index.search(X, 1, best=0)
    with pytest.raises(ParameterError, match="best=0"):
        Shifted(3, best=0)


def test_what_was_learned_is_shared_and_kept_in_files(tmp_path):
    index = trained(best=2)
    assert index.empty().mean_ is index.mean_
    index.save(tmp_path / "whole")
    index.save_trained(tmp_path / "model")
    index.save_rows(tmp_path / "rows")
    expected = index.search(X[:3], 5)
    model = load_trained(tmp_path / "model")
    assert isinstance(model, Shifted) and model.is_trained and model.ntotal == 0 and model.best == 2
    rows = model.load_rows(tmp_path / "rows")
    assert rows.mean_ is model.mean_
    for again in (load(tmp_path / "whole"), rows, pickle.loads(pickle.dumps(index))):
        np.testing.assert_array_equal(again.search(X[:3], 5).D, expected.D)
        assert again.best == 2
    assert not list((tmp_path / "rows").glob("mean*"))
    assert b"best" not in (tmp_path / "rows" / "manifest.json").read_bytes(), "rows know no knobs"


def test_rows_of_another_training_do_not_mix():
    a, b = trained(), Shifted(3).train(X + 1)
    b.add(X, ids=np.arange(40, 80))
    with pytest.raises(ParameterError, match="what was learned"):
        a.absorb(b, [40])
    with pytest.raises(ParameterError, match="what was learned"):
        Segments([a, b])
    c = a.empty()
    c.absorb(a, [1, 2])
    np.testing.assert_array_equal(c.reconstruct([2, 1]), a.reconstruct([2, 1]))
    np.testing.assert_array_equal(Segments([c]).reconstruct([1]), a.reconstruct([1]))


def test_segments_pass_knobs_on():
    a = trained()
    b = a.empty()
    b.add(X, ids=np.arange(40, 80))
    both = Segments([a, b])
    np.testing.assert_array_equal(both.search(X, 3, best=2).D, 2 * both.search(X, 3).D)
    with pytest.raises(ParameterError, match="nprobe is not a knob"):
        both.search(X, 3, nprobe=2)
