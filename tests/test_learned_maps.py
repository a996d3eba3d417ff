"""One contract for every learned map; a new one adds a line to MAPS.

Constructor only stores, fit returns self, learned state ends in `_`, bad arrays are named, good
ones are taken in any layout, and save, pickle and threads change nothing.
"""

import inspect
import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from cbir.errors import DimensionError, DTypeError, FormatError, NotTrainedError, ParameterError
from cbir.transforms import L2, PCA, TRANSFORMS, Power, SignedSqrt
from cbir.vocabulary import VOCABULARIES, KMeans

D = 12


@dataclass(frozen=True)
class Case:
    cls: type
    arguments: dict[str, Any]
    apply: str  # name of the method that uses what was learned
    bad: dict[str, Any]  # arguments that only their use refuses
    learns: bool = True

    def make(self, **more):
        return self.cls(**(self.arguments | more))


MAPS = {
    "kmeans": Case(KMeans, {"n_words": 9, "n_iter": 3}, "predict", {"n_threads": -1}),
    "pca": Case(PCA, {"d": 5}, "transform", {"d": -1}),
    "pca-whiten": Case(PCA, {"d": 5, "whiten": True}, "transform", {"d": -1}),
    "l2": Case(L2, {}, "transform", {}, learns=False),
    "power": Case(Power, {"alpha": 0.3}, "transform", {"alpha": -1}, learns=False),
    "signed_sqrt": Case(SignedSqrt, {}, "transform", {}, learns=False),
}
LEARNING = [name for name, case in MAPS.items() if case.learns]
THREADED = [n for n, c in MAPS.items() if "n_threads" in inspect.signature(c.cls).parameters]


@pytest.fixture(params=MAPS)
def case(request):
    return MAPS[request.param]


@pytest.fixture(params=LEARNING)
def learning(request):
    return MAPS[request.param]


@pytest.fixture
def x():
    return np.random.default_rng(0).normal(size=(400, D)).astype(np.float32)


def output(learned, case, x):
    return np.asarray(getattr(learned, case.apply)(x))


def state(learned):
    return {k: v for k, v in vars(learned).items() if k.endswith("_") and not k.startswith("_")}


def test_every_map_has_a_line_here():
    assert {case.cls for case in MAPS.values()} == {*VOCABULARIES.values(), *TRANSFORMS.values()}


def test_constructor_only_stores(case):
    learned = case.make()
    for name in inspect.signature(case.cls).parameters:
        assert hasattr(learned, name)
    for name, value in case.arguments.items():
        assert getattr(learned, name) is value
    assert not state(learned)


def test_constructor_does_not_judge(case):
    case.make(**case.bad)


def test_use_judges(case, x):
    for name, value in case.bad.items():
        with pytest.raises(ParameterError, match=f"{case.cls.__name__}.*{name}={value}"):
            output(case.make(**case.bad).fit(x), case, x)


def test_fit_returns_self_and_learns(case, x):
    learned = case.make()
    assert learned.fit(x) is learned
    assert bool(state(learned)) == case.learns


def test_use_before_fit(learning, x):
    with pytest.raises(NotTrainedError, match=learning.cls.__name__):
        output(learning.make(), learning, x)


@pytest.mark.parametrize("name", sorted(set(MAPS) - set(LEARNING)))
def test_what_learns_nothing_needs_no_fit(name, x):
    case = MAPS[name]
    np.testing.assert_array_equal(output(case.make(), case, x), output(case.make().fit(x), case, x))


def test_use_changes_nothing(case, x):
    learned = case.make().fit(x)
    before = pickle.dumps(state(learned))
    copy = x.copy()
    output(learned, case, x)
    assert pickle.dumps(state(learned)) == before
    np.testing.assert_array_equal(x, copy)


def test_every_layout_gives_the_same(case, x):
    learned = case.make().fit(x)
    expected = output(learned, case, x)
    wide = np.zeros((2 * len(x), 2 * D), np.float32)
    wide[::2, ::2] = x
    frozen = x.copy()
    frozen.flags.writeable = False
    backwards = np.ascontiguousarray(x[::-1, ::-1])[::-1, ::-1]
    layouts = [wide[::2, ::2], np.asfortranarray(x), frozen, backwards, x.astype(np.float64)]
    for y in layouts:
        np.testing.assert_array_equal(output(learned, case, y), expected)
        np.testing.assert_array_equal(output(case.make().fit(y), case, x), expected)


@pytest.mark.parametrize("dtype", [np.float16, np.int32, np.uint8, object, complex])
def test_other_dtypes_are_refused(case, x, dtype):
    learned = case.make().fit(x)
    for use in (case.make().fit, lambda y: output(learned, case, y)):
        with pytest.raises(DTypeError, match="expected float32"):
            use(x.astype(dtype))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused_with_their_row(case, x, bad):
    learned = case.make().fit(x)
    y = x.copy()
    y[7, 3] = bad
    for use in (case.make().fit, lambda y: output(learned, case, y)):
        with pytest.raises(ParameterError, match="row 7"):
            use(y)


def test_wrong_shapes(case, x):
    learned = case.make().fit(x)
    if case.learns:
        with pytest.raises(DimensionError, match=f"d={D - 1}.*d={D}"):
            output(learned, case, x[:, 1:])
    for y in (x[0], x[None]):
        with pytest.raises(DimensionError, match="shape"):
            output(learned, case, y)
        with pytest.raises(DimensionError, match="shape"):
            case.make().fit(y)


def test_no_rows(case, x):
    learned = case.make().fit(x)
    assert len(output(learned, case, x[:0])) == 0
    assert len(output(learned, case, x[:1])) == 1


def test_rows_do_not_depend_on_the_batch(case, x):
    learned = case.make().fit(x)
    parts = [output(learned, case, x[i : i + 7]) for i in range(0, len(x), 7)]
    np.testing.assert_array_equal(np.concatenate(parts), output(learned, case, x))


@pytest.mark.parametrize("name", THREADED)
def test_same_bytes_for_any_thread_count(name, x):
    case = MAPS[name]
    learned = [case.make(n_threads=t).fit(x) for t in (1, 2, 4)]
    assert len({pickle.dumps(state(m)) for m in learned}) == 1
    assert len({output(m, case, x).tobytes() for m in learned}) == 1


def test_save_and_load(case, x, tmp_path):
    learned = case.make().fit(x)
    learned.save(tmp_path / "map")
    loaded = case.cls.load(tmp_path / "map")
    assert state(loaded).keys() == state(learned).keys()
    np.testing.assert_array_equal(output(loaded, case, x), output(learned, case, x))


def test_save_before_fit(learning, tmp_path):
    with pytest.raises(NotTrainedError):
        learning.make().save(tmp_path / "map")
    assert not (tmp_path / "map").exists()


def test_load_refuses_what_another_map_saved(case, x, tmp_path):
    case.make().fit(x).save(tmp_path / "map")
    manifest = tmp_path / "map" / "manifest.json"
    manifest.write_text(manifest.read_text().replace(case.cls.__name__, "Other"))
    with pytest.raises(FormatError, match="map"):
        case.cls.load(tmp_path / "map")


def test_pickle(case, x):
    learned = case.make().fit(x)
    output(learned, case, x)  # native state made at first use must not get in the way
    again = pickle.loads(pickle.dumps(learned))
    np.testing.assert_array_equal(output(again, case, x), output(learned, case, x))


def test_refit_gives_the_same_as_a_fresh_one(case, x):
    twice = case.make().fit(-x).fit(x)
    np.testing.assert_array_equal(output(twice, case, x), output(case.make().fit(x), case, x))
