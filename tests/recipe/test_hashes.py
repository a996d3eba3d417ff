"""Hashes: what is in them, and that they survive new options."""

from typing import Annotated, ClassVar, Literal

import pytest
from pydantic import Field

from cbir.aggregation import AGGREGATIONS, VLAD
from cbir.features import FEATURES, ColourHistogram
from cbir.images import decode
from cbir.indexes import INDEXES
from cbir.recipe import Recipe, RecipeError
from cbir.recipe.options import options_of, plain
from cbir.recipe.released import RELEASED, released
from cbir.recipe.slots import SLOTS
from tests.recipe.parts import Knobbed

BOW = {
    "feature": {"name": "sift"},
    "vocabulary": {"name": "kmeans", "n_words": 100},
    "aggregation": {"name": "bow"},
    "index": {"name": "inverted_file"},
}
COLOUR = {"feature": {"name": "colour"}, "index": {"name": "flat"}}
VLAD_PCA = {
    "seed": 7,
    "image": {"max_side": 320, "background": [0, 0, 0]},
    "feature": {"name": "sift", "max_keypoints": 500, "root": False},
    "descriptor_transforms": [{"name": "pca", "d": 64}],
    "vocabulary": {"name": "kmeans", "n_words": 16, "n_iter": 5},
    "aggregation": {"name": "vlad", "signed_sqrt": False},
    "transforms": [{"name": "power", "alpha": 0.25}, {"name": "l2"}],
    "index": {"name": "flat", "metric": "cosine"},
}


@pytest.mark.parametrize(
    ("tables", "features", "channel", "whole"),
    [
        (
            BOW,
            "d012fe16a866027fa363b73686361f11020edd6a5a4f720604c87657a58e56f9",
            "26e280012be83f476c1b50075a7a33c7c076fa299c66f81bcbe8ba065e9fe4f9",
            "dd4d5935306ae0028af17dccea5bb7dcb18305eb25aecfa3a441901f4009d09d",
        ),
        (
            COLOUR,
            "68fcf140828ed0038cc62c1e6974bd345f61a0c4ab0a4a91feb48143e1031454",
            "cae9b5b6b21ed38ff0bdf14d361ef6b45c35a01a43f31e6caee6bb30384aa620",
            "e8e7aebf3ff5e57bd46895e24878c347004cd14436ce5e3a1f5072949436499a",
        ),
        (
            VLAD_PCA,
            "8983793e33e4087841ac1765428b3cc8433f288a21cb11e2eedd5fdcf8bed62b",
            "be4be9e839ea9dfa23252e10b211c2f6152ebd623b59fbd592045f158c5b7a85",
            "bfd6cc45aa15e0c345c290da40a73b20403ac1f26e54f15d343ce7a597f9f3b5",
        ),
    ],
    ids=["bow", "colour", "vlad-pca"],
)
def test_golden_hashes(tables, features, channel, whole):
    """Collections out there have these: a change here makes them unreadable."""
    recipe = Recipe.from_dict(tables)
    found = recipe.feature_hash("main"), recipe.channel_hash("main"), recipe.hash
    assert found == (features, channel, whole)


def test_golden_hash_of_two_channels():
    recipe = Recipe.from_dict({"channels": {"bow": BOW, "colour": COLOUR}})
    assert recipe.channel_hash("bow") == Recipe.from_dict(BOW).channel_hash("main")
    assert recipe.channel_hash("colour") == Recipe.from_dict(COLOUR).channel_hash("main")
    assert recipe.hash == "2fd162c258664a6eb663852805877c8fd21d423e7ed275a6ff67a185965d5f04"


@pytest.mark.parametrize(
    ("slot", "name", "part"),
    [(slot, name, part) for slot, parts in SLOTS.items() for name, part in parts.items()]
    + [("image", "", decode)],
)
def test_every_option_has_its_released_default(slot, name, part):
    """A new part or option needs its line in released.toml, which then never changes."""
    model = options_of(part, name)
    options = {
        key: plain(field.default)
        for key, field in model.model_fields.items()
        if not field.is_required() and key not in model.knobs
    }
    known = released(slot, name)
    assert options.keys() == known.keys()
    required = {key: 1 for key, field in model.model_fields.items() if field.is_required()}
    model(**required, **{k: tuple(v) if isinstance(v, list) else v for k, v in known.items()})


def test_released_knows_nothing_that_is_gone():
    assert RELEASED["seed"] == 0
    assert set(RELEASED) <= {"seed", "image", *SLOTS}
    for slot, parts in SLOTS.items():
        assert set(RELEASED.get(slot, {})) <= set(parts)


def test_the_name_knobs_fusion_and_reranking_are_in_no_hash(monkeypatch):
    monkeypatch.setitem(INDEXES, "knobbed", Knobbed)
    for base, changes in [
        ("bow", ["name=other", 'rerank=[{name="original"}]']),
        (
            "bow-colour",
            ["fusion.weights.colour=3", "fusion.depth=9", "fusion.normalisation=minmax"],
        ),
        (Recipe.load("vlad", ["index.name=knobbed"]), ["index.search.nprobe=3"]),
    ]:
        assert Recipe.load(base, changes).hash == Recipe.load(base).hash


@pytest.mark.parametrize(
    ("override", "feature_too"),
    [
        ("seed=1", False),
        ("image.max_side=320", True),
        ("image.background=[0,0,0]", True),
        ("feature.max_keypoints=1001", True),
        ("vocabulary.n_words=20000", False),
        ("aggregation.idf=false", False),
        ("index.metric=ip", False),
    ],
)
def test_all_else_is_in_the_hash(override, feature_too):
    base, other = Recipe.load("bow"), Recipe.load("bow", [override])
    assert base.hash != other.hash
    assert base.channel_hash("main") != other.channel_hash("main")
    assert (base.feature_hash("main") != other.feature_hash("main")) == feature_too


def test_order_and_place_of_transforms_are_in_the_hash():
    one, two = [{"name": "power"}, {"name": "l2"}], [{"name": "l2"}, {"name": "power"}]
    recipes = [
        Recipe.from_dict(COLOUR | {"transforms": one}),
        Recipe.from_dict(COLOUR | {"transforms": two}),
        Recipe.from_dict(COLOUR),
        Recipe.from_dict(VLAD_PCA),
        Recipe.from_dict(VLAD_PCA | {"descriptor_transforms": []}),
    ]
    assert len({recipe.hash for recipe in recipes}) == len(recipes)


def test_channels_share_features():
    more = BOW | {"vocabulary": {"name": "kmeans", "n_words": 200}}
    recipe = Recipe.from_dict({"channels": {"bow": BOW, "more": more}})
    assert recipe.feature_hash("bow") == recipe.feature_hash("more")
    vlad = Recipe.load("vlad", ["feature.max_keypoints=1000"])
    assert Recipe.load("bow").feature_hash("main") == vlad.feature_hash("main")


class Upright(ColourHistogram):
    """Colour, with an option that it didn't have when it was released."""

    def __init__(
        self,
        space: Annotated[Literal["rgb", "hsv", "lab"], Field(description="colour space")] = "hsv",
        joint: Annotated[bool, Field(description="one histogram")] = False,
        upright: Annotated[bool, Field(description="new")] = True,
    ) -> None:
        super().__init__(space, joint=joint)


def test_a_new_option_and_a_new_default_leave_old_collections_readable(monkeypatch):
    stored = '[feature]\nname = "colour"\nspace = "lab"\n[index]\nname = "flat"\n'
    before = Recipe.from_stored(stored).hash
    monkeypatch.setitem(FEATURES, "colour", Upright)
    # As when it was released: one joint histogram, and whatever `upright` gets there.
    monkeypatch.setitem(
        RELEASED["feature"], "colour", {"space": "hsv", "joint": True, "upright": False}
    )
    after = Recipe.from_stored(stored)
    assert after.hash == before
    assert (after.channel.feature.joint, after.channel.feature.upright) == (True, False)
    # A recipe of today has today's defaults, and so another hash.
    today = Recipe.from_dict(COLOUR | {"feature": {"name": "colour", "space": "lab"}})
    assert (today.channel.feature.joint, today.channel.feature.upright) == (False, True)
    assert today.hash != before
    assert Recipe.from_stored(today.to_toml()).hash == today.hash


def test_an_option_without_a_released_default_is_always_in_the_hash(monkeypatch):
    class Extra(VLAD):
        """VLAD with an option of somebody's own."""

        gives: ClassVar = VLAD.gives

        def __init__(
            self, vocabulary: object, extra: Annotated[int, Field(description="own")] = 1
        ) -> None: ...

    monkeypatch.setitem(AGGREGATIONS, "extra", Extra)
    tables = VLAD_PCA | {"aggregation": {"name": "extra"}}
    said = Recipe.from_dict(VLAD_PCA | {"aggregation": {"name": "extra", "extra": 1}})
    assert Recipe.from_dict(tables).hash == said.hash
    other = Recipe.from_dict(VLAD_PCA | {"aggregation": {"name": "extra", "extra": 2}})
    assert other.hash != said.hash


def test_a_stored_recipe_of_unknown_parts_is_refused():
    with pytest.raises(RecipeError, match=r"feature\.name: missing"):
        Recipe.from_stored('[feature.surf]\nx = 1\n[index]\nname = "flat"\n')
    with pytest.raises(RecipeError, match=r'feature\.name="surf"'):
        Recipe.from_stored('[feature]\nname = "surf"\n[index]\nname = "flat"\n')
    for text in (
        "feature = 3",
        "transforms = 3",
        "transforms = [3]",
        "image = 3",
        "channels = 3",
        "feature = {name = [1]}",
        "transforms = [{name = {}}]",
        "channels.a.index = []",
    ):
        with pytest.raises(RecipeError):
            Recipe.from_stored(text)
