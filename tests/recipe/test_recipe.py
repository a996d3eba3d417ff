"""Recipes: loading, asking, writing, and messages for what is wrong."""

import copy
import pickle
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbir.errors import ParameterError
from cbir.recipe import Recipe, RecipeError
from cbir.recipe.options import options_of
from cbir.recipe.slots import INDEXES, LISTS, SLOTS
from tests.recipe.parts import Knobbed, values_of

NAMES = ["bow", "bow-colour", "colour", "vlad", "vlad-128"]


def test_the_named_recipes():
    assert Recipe.names() == NAMES
    for name in NAMES:
        assert Recipe.load(name).name == name
        assert 20 < len(Recipe.describe(name)) <= 88  # a line of the list


@pytest.mark.parametrize("name", NAMES)
def test_named_recipes_round_trip_with_every_value_explained(name, tmp_path):
    recipe = Recipe.load(name)
    text = recipe.to_toml()
    assert tomllib.loads(text) == recipe.to_dict()
    (tmp_path / "r.toml").write_text(text, encoding="utf-8")
    for again in (
        Recipe.load(tmp_path / "r.toml"),
        Recipe.load(str(tmp_path / "r.toml")),
        Recipe.load(recipe),
        Recipe.from_stored(text),
        Recipe.from_dict(recipe.to_dict()),
        pickle.loads(pickle.dumps(recipe)),
        copy.deepcopy(recipe),
    ):
        assert again == recipe
        assert again.hash == recipe.hash
    for line in text.splitlines()[1:]:
        assert "  # " in line or not line or line.startswith("["), line


@pytest.mark.parametrize("name", [name for name in NAMES if name != "colour"])
def test_recipes_with_sift_bound_the_side(name):
    assert Recipe.load(name).image.max_side == 640


def test_one_channel_is_called_main_and_asked_without_a_name():
    recipe = Recipe.load("bow")
    assert list(recipe.channels) == ["main"]
    channel = recipe.channel
    assert channel is recipe.channels["main"]
    assert (channel.vocabulary.n_words, channel.aggregation.name) == ("auto", "bow")
    assert channel.index.arguments() == {"metric": "cosine"}
    assert (channel.index.search, channel.transforms, recipe.rerank) == ({}, (), ())
    assert recipe.fusion.weights == {"main": 1.0}
    assert [slot for slot, _ in channel.parts()] == [
        "feature",
        "vocabulary",
        "aggregation",
        "index",
    ]


def test_several_channels_are_asked_by_name():
    recipe = Recipe.load("bow-colour")
    assert list(recipe.channels) == ["bow", "colour"]
    assert recipe.fusion.weights == {"bow": 1.0, "colour": 0.25}
    assert (recipe.fusion.depth, recipe.fusion.normalisation) == (1000, "none")
    with pytest.raises(RecipeError, match="bow-colour has the channels bow, colour; say which"):
        recipe.channel  # noqa: B018
    assert Recipe.load("bow-colour", ["fusion.weights={colour=2}"]).fusion.weights == {
        "bow": 1.0,
        "colour": 2.0,
    }


def test_lists_keep_their_order():
    channel = Recipe.load("vlad-128").channel
    assert [one.name for one in channel.transforms] == ["pca", "l2"]
    assert channel.transforms[0].arguments() == {"d": 128, "whiten": True}


def test_a_recipe_named_like_its_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('[feature]\nname = "colour"\n[index]\nname = "flat"\n')
    assert Recipe.load(path).name == "mine"
    assert Recipe.load(path).image.arguments()["background"] == (255, 255, 255)


def test_knobs_of_an_index(monkeypatch):
    monkeypatch.setitem(INDEXES, "knobbed", Knobbed)
    recipe = Recipe.load("vlad", ["index.name=knobbed", "index.search.nprobe=16"])
    assert recipe.channel.index.search == {"nprobe": 16, "exact": False}
    assert Recipe.from_dict(tomllib.loads(recipe.to_toml())) == recipe


COLOUR = {"feature": {"name": "colour"}, "index": {"name": "flat"}}


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({}, "feature.name: missing; there is sift, colour"),
        ({"feature": {"name": "colour"}}, "index.name: missing; there is flat, inverted_file"),
        ({**COLOUR, "feature": {}}, "feature.name: missing"),
        ({**COLOUR, "feature": 3}, "feature=3: expected a table, e.g. feature.name=sift"),
        ({**COLOUR, "feature": {"name": 3}}, "feature.name=3: there is none"),
        ({**COLOUR, "feature": {"name": "color"}}, "did you mean colour?"),
        ({**COLOUR, "featur": {}}, "featur: no such table; did you mean feature?"),
        ({**COLOUR, "image": 3}, "image=3: expected a table"),
        ({**COLOUR, "image": {"name": "x"}}, 'image.name="x": no such key; there is max_side'),
        ({**COLOUR, "seed": "x"}, 'seed="x": allowed is a whole number 0 to 4_294_967_295'),
        ({**COLOUR, "seed": True}, "seed=true"),
        ({**COLOUR, "name": "two\nlines"}, "expected 1 to 100 printable characters"),
        ({**COLOUR, "name": 3}, "name=3"),
        ({**COLOUR, "transforms": {"name": "l2"}}, "transforms={name = "),
        ({**COLOUR, "transforms": ["l2"]}, 'transforms="l2": expected a table'),
        ({**COLOUR, "transforms": [{"name": "pca"}]}, "transforms.pca.d: missing"),
        ({**COLOUR, "rerank": [{"name": "best"}]}, 'rerank.best.name="best": there is none'),
        ({**COLOUR, "fusion": {"depth": 5}}, "fusion: there is one channel, nothing to join"),
        ({**COLOUR, "channels": {"a": COLOUR}}, "feature stands at the top and there are"),
        ({"channels": 3}, "channels: expected tables"),
        ({"channels": {"a": 3}}, "channels: expected tables"),
        ({"channels": {}}, "channels: there is none"),
        ({"channels": {"a": {**COLOUR, "x": 1}}}, "channels.a.x: no such slot"),
        ({"channels": {"../a": COLOUR}}, "channels.../a: a channel's name, a folder's too"),
        ({"channels": {"A": COLOUR}}, "channels.A"),
        (
            {"channels": {"a": COLOUR, "b": COLOUR}, "fusion": {"weights": {"c": 1.0}}},
            "fusion.weights.c: no such channel; there is a, b",
        ),
        (
            {"channels": {"a": COLOUR, "b": COLOUR}, "fusion": {"weights": {"a": 0, "b": 0}}},
            "fusion.weights: all are 0",
        ),
        (
            {"channels": {"a": COLOUR, "b": COLOUR}, "fusion": {"weights": {"a": -1}}},
            "allowed is {name = a number at least 0}",
        ),
        (
            {"channels": {"a": COLOUR, "b": COLOUR}, "rerank": [{"name": "original"}]},
            "rerank.original.channel: say one, there is a, b",
        ),
        (
            {**COLOUR, "rerank": [{"name": "original", "channel": "b"}]},
            'rerank.original.channel="b": no such channel; there is main',
        ),
    ],
)
def test_what_is_wrong_is_said_in_two_lines(tables, message):
    with pytest.raises(RecipeError) as error:
        Recipe.from_dict(tables)
    said = str(error.value)
    assert message in said
    assert "\n" not in said
    assert len(said) <= 200


def test_unknown_recipes_and_bad_files(tmp_path):
    with pytest.raises(ParameterError, match="bow, bow-colour, colour, vlad, vlad-128"):
        Recipe.load("nonesuch")
    with pytest.raises(RecipeError, match='recipe "bwo": no such recipe or file; did you mean bow'):
        Recipe.load("bwo")
    path = tmp_path / "bad.toml"
    path.write_text("name = [")
    with pytest.raises(RecipeError, match="not valid TOML"):
        Recipe.load(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(RecipeError, match="no text in UTF-8"):
        Recipe.load(path)
    with pytest.raises(RecipeError, match="can't be read: Is a directory"):
        Recipe.load(tmp_path)
    with pytest.raises(RecipeError, match="not valid TOML"):
        Recipe.from_stored("name = [")


@st.composite
def recipes(draw):
    """A recipe of one or two channels whose options are drawn from all that is allowed."""

    def part(slot, name):
        fields = options_of(SLOTS[slot][name], name).model_fields
        return {"name": name} | {key: draw(values_of(field)) for key, field in fields.items()}

    def colour():
        transforms = draw(
            st.lists(st.sampled_from(["l2", "power", "signed_sqrt", "pca"]), max_size=3)
        )
        return {
            "feature": part("feature", "colour"),
            "transforms": [part("transforms", one) for one in transforms],
            "index": part("index", "flat"),
        }

    def bow():
        return {
            "feature": part("feature", "sift"),
            "descriptor_transforms": [part("descriptor_transforms", "pca")],
            "vocabulary": part("vocabulary", "kmeans"),
            "aggregation": part("aggregation", "bow"),
            "index": part("index", "inverted_file"),
        }

    tables = {"seed": draw(st.integers(0, 2**32 - 1))}
    if draw(st.booleans()):
        return Recipe.from_dict(tables | draw(st.sampled_from([colour, bow]))())
    channels = {"one": colour(), "two": bow()}
    weights = {"one": draw(st.floats(0.1, 10))}
    return Recipe.from_dict(tables | {"channels": channels, "fusion": {"weights": weights}})


@given(recipes())
def test_any_recipe_survives_its_own_text(recipe):
    text = recipe.to_toml()
    again = Recipe.from_dict(tomllib.loads(text))
    assert again == recipe
    assert again.to_toml() == text
    assert again.hash == recipe.hash
    assert Recipe.from_stored(text) == recipe
    assert not recipe.differences(again)


def test_slots_that_hold_lists_are_slots():
    assert set(LISTS) <= {*SLOTS, "rerank"}
