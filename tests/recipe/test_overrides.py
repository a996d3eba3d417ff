"""Overrides: one value of a recipe by its path."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbir.recipe import Recipe, RecipeError
from cbir.recipe.slots import INDEXES
from cbir.recipe.toml import value_text
from tests.recipe.parts import Knobbed, values_of


def channel(name, *overrides):
    return Recipe.load(name, overrides).channel


def test_values_are_toml_or_a_bare_word():
    recipe = Recipe.load(
        "bow", ["vocabulary.n_words=16", "aggregation.tf=raw", 'aggregation.norm="l1"', "seed = 3"]
    )
    assert recipe.channel.vocabulary.n_words == 16
    assert (recipe.channel.aggregation.tf, recipe.channel.aggregation.norm) == ("raw", "l1")
    assert recipe.seed == 3
    assert channel("colour", "feature.bins=[4, 5, 6]").feature.bins == (4, 5, 6)
    assert channel("bow", "vocabulary.n_words=10_000").vocabulary.n_words == 10_000
    assert channel("bow", "aggregation.norm=none").aggregation.norm == "none"
    assert Recipe.load(Recipe.load("bow"), ["image.max_side=320"]).image.max_side == 320
    assert Recipe.load("bow", ["name=a b"]).name == "a b"


def test_the_last_of_several_counts():
    assert Recipe.load("bow", ["seed=1", "seed=2"]).seed == 2


def test_overrides_leave_their_source_alone():
    recipe = Recipe.load("bow-colour")
    before = recipe.to_dict()
    Recipe.load(recipe, ["channels.colour=none", "image=none", "vocabulary.n_words=3"])
    assert recipe.to_dict() == before
    tables = {"feature": {"name": "colour"}, "index": {"name": "flat"}}
    Recipe.from_dict(tables)
    assert tables == {"feature": {"name": "colour"}, "index": {"name": "flat"}}


def test_a_new_name_drops_what_only_the_former_part_knew():
    assert (
        channel(
            "bow", "aggregation.tf=raw", "aggregation.name=vlad", "index.name=flat"
        ).index.metric
        == "cosine"
    )
    other = channel(
        "bow", "feature.name=colour", "vocabulary=none", "aggregation=none", "index.name=flat"
    )
    assert (other.feature.name, other.vocabulary, other.aggregation) == ("colour", None, None)
    # Keys of the new part stay, in whichever order they come.
    colour = ["feature.bins=[1, 2, 3]", "feature.name=colour"]
    gone = ["vocabulary=none", "aggregation=none", "index.name=flat"]
    assert channel("bow", *colour, *gone).feature.bins == (1, 2, 3)
    assert channel("bow", *colour[::-1], *gone).feature.bins == (1, 2, 3)


def test_a_new_name_drops_knobs_too(monkeypatch):
    monkeypatch.setitem(INDEXES, "knobbed", Knobbed)
    recipe = Recipe.load("vlad", ["index.name=knobbed", "index.nlist=4", "index.search.nprobe=2"])
    back = Recipe.load(recipe, ["index.name=flat"])
    assert back == Recipe.load("vlad")


def test_none_takes_slots_entries_lists_and_tables_away():
    assert [t.name for t in channel("vlad-128", "transforms.pca=none").transforms] == ["l2"]
    assert channel("vlad-128", "transforms=none").transforms == ()
    assert channel("colour", "vocabulary=none") == Recipe.load("colour").channel
    assert Recipe.load("bow", ["image=none"]).image.max_side == 0
    reranked = ['rerank=[{name="original"}]', "rerank.original.depth=7"]
    assert Recipe.load("bow", reranked).rerank[0].depth == 7
    assert Recipe.load("bow", [*reranked, "rerank.original=none"]).rerank == ()
    assert Recipe.load("bow", [*reranked, "rerank=none"]).rerank == ()
    assert Recipe.load("bow-colour", ["fusion=none"]).fusion.weights["colour"] == 1


def test_list_entries_go_by_name():
    pca = channel("vlad-128", "transforms.pca.d=64", "transforms.pca.whiten=false").transforms[0]
    assert (pca.d, pca.whiten) == (64, False)
    power = channel("vlad-128", "transforms.pca.name=power").transforms[0]
    assert (power.name, power.alpha) == ("power", 0.5)
    both = 'transforms=[{name="l2"}, {name="pca", d=4}, {name="l2"}]'
    assert [t.name for t in channel("vlad", both).transforms] == ["l2", "pca", "l2"]
    with pytest.raises(RecipeError, match="there are 2 of them"):
        channel("vlad", both, "transforms.l2=none")


def test_a_path_finds_the_one_channel_it_can_mean():
    recipe = Recipe.load(
        "bow-colour",
        [
            "vocabulary.n_words=7",
            "feature.max_keypoints=5",
            "feature.grid=2",
            "channels.colour.index.metric=l2",
            "fusion.weights.colour=0.25",
            "fusion.depth=50",
        ],
    )
    bow, colour = recipe.channels["bow"], recipe.channels["colour"]
    assert (bow.vocabulary.n_words, bow.feature.max_keypoints, colour.feature.grid) == (7, 5, 2)
    assert (bow.index.metric, colour.index.metric) == ("cosine", "l2")
    assert (recipe.fusion.weights["colour"], recipe.fusion.depth) == (0.25, 50)
    assert channel("bow", "channels.main.vocabulary.n_words=7").vocabulary.n_words == 7


def test_channels_come_and_go():
    alone = Recipe.load("bow-colour", ["channels.colour=none"])
    assert alone.channel == Recipe.load("bow").channel
    assert list(alone.channels) == ["bow"]
    assert Recipe.from_stored(alone.to_toml()) == alone
    three = ["channels.gray.feature.name=colour", "channels.gray.index.name=flat"]
    recipe = Recipe.load("bow-colour", three)
    assert list(recipe.channels) == ["bow", "colour", "gray"]
    two = Recipe.load(recipe, ["channels.colour=none"])
    assert two.fusion.weights == {"bow": 1.0, "gray": 1.0}


@pytest.mark.parametrize(
    ("name", "override", "message"),
    [
        ("bow", "n_words", "--set 'n_words': expected path=value, e.g. index.metric=l2"),
        ("bow", "=5", "expected path=value"),
        ("bow", "vocabulary..n_words=5", "expected path=value"),
        ("bow", "vocabulary.n_word=5", "vocabulary.n_word=5: no such key; did you mean n_words?"),
        (
            "bow",
            "vocabulary.n_words=0",
            'n_words=0: allowed is a whole number 1 to 10_000_000 or "auto"',
        ),
        ("bow", "vocabulary.n_words=2.5", "vocabulary.n_words=2.5: allowed is a whole number"),
        ("bow", "vocabulary.n_words=true", "vocabulary.n_words=true: allowed is a whole number"),
        ("bow", "vocabulary.n_words=many", 'vocabulary.n_words="many": allowed is'),
        (
            "bow",
            "vocabulary=kmeans",
            'vocabulary="kmeans": expected a table, e.g. vocabulary.name=kmeans',
        ),
        ("bow", "feature.contrast=0.1", "did you mean contrast_threshold?"),
        (
            "bow",
            "feature.contrast_threshold=nan",
            "contrast_threshold=nan: allowed is a number 0 to 1",
        ),
        ("bow", "feature.name=surf", 'feature.name="surf": there is none; there is sift, colour'),
        ("bow", "aggregation.tf=cube", 'aggregation.tf="cube": allowed is "raw", "log" or "sqrt"'),
        ("bow", "colour=1", "--set colour=1: no such table"),
        ("bow", "a.b.c=1", "--set a.b.c=1: no such table"),
        ("bow", "image.max_size=1", "did you mean max_side?"),
        ("bow", "image.max_side.x=1", "max_side is a value, not a table"),
        ("bow", "seed.x=1", "seed={x = 1}: allowed is"),
        ("bow", "vocabulary.n_iter.x=1", "n_iter is a value, not a table"),
        ("bow", "seed=-1", "seed=-1: allowed is a whole number 0 to"),
        ("bow", "index=none", "index.name: missing; there is flat, inverted_file"),
        ("bow", "fusion.depth=5", "fusion: there is one channel"),
        ("bow", "transforms.pca.d=5", "there is none; the whole list can be set: transforms=["),
        ("vlad-128", "transforms.power.alpha=1", "there is pca, l2; the whole list can be set"),
        (
            "vlad-128",
            "transforms.pca=3",
            "expected a key behind the name, transforms.pca.KEY=value",
        ),
        ("vlad-128", "transforms=3", "transforms=3: expected a list"),
        ("bow", "rerank=[3]", "rerank=3: expected a table, e.g. rerank.name=original"),
        (
            "colour",
            "vocabulary.n_words=5",
            "this recipe has no vocabulary; first set vocabulary.name=kmeans",
        ),
        (
            "colour",
            "feature.bins=[1, 2]",
            "feature.bins=[1, 2]: allowed is [a, b, c], each a whole",
        ),
        ("colour", "feature.bins=[1, 2, 0]", "feature.bins=[1, 2, 0]: allowed is"),
        (
            "bow-colour",
            "index.metric=l2",
            "say channels.bow.index.metric or channels.colour.index.metric",
        ),
        ("bow-colour", "feature.name=colour", "which channel?"),
        (
            "bow-colour",
            "feature.max_keypoint=5",
            "no channel's feature has max_keypoint; did you mean max_keypoints?",
        ),
        ("bow-colour", "transforms.pca.d=5", "no channel's transforms has pca"),
        ("bow-colour", "channels.bo.vocabulary.n_words=5", "no such channel; did you mean bow?"),
        ("bow-colour", "channels.bow.vocab.n_words=5", "no such slot; did you mean vocabulary?"),
        (
            "bow-colour",
            "channels=none",
            "expected channels.NAME.SLOT...=value, or channels.NAME=none",
        ),
        ("bow-colour", "channels.bow=3", "expected a slot behind the channel's name, or none"),
        ("bow-colour", "channels.new.feature.name=colour", "channels.new.index.name: missing"),
        (
            "bow-colour",
            "fusion.weights.color=1",
            "fusion.weights.color: no such channel; did you mean colour?",
        ),
        ("bow-colour", "fusion=3", "fusion=3: expected a table"),
    ],
)
def test_a_mistake_is_told_in_two_lines(name, override, message):
    with pytest.raises(RecipeError) as error:
        Recipe.load(name, [override])
    assert message in str(error.value)
    assert len(str(error.value)) <= 200


OPTIONS = [
    (f"{path}{slot}.{key}", name, channel_name, slot, field)
    for name, channel_name, path in [
        ("bow", "main", ""),
        ("colour", "main", ""),
        ("vlad", "main", ""),
        ("bow-colour", "bow", "channels.bow."),
        ("bow-colour", "colour", "channels.colour."),
    ]
    for slot, options in Recipe.load(name).channels[channel_name].parts()
    for key, field in type(options).model_fields.items()
]


@given(st.data())
def test_whatever_is_allowed_can_be_set(data):
    path, name, channel_name, slot, field = data.draw(st.sampled_from(OPTIONS))
    value = data.draw(values_of(field))
    recipe = Recipe.load(name, [f"{path}={value_text(value)}"])
    assert getattr(getattr(recipe.channels[channel_name], slot), path.split(".")[-1]) == value


@given(
    st.text(st.characters(codec="utf-8"), max_size=30),
    st.sampled_from(
        ["", "feature.", "channels.bow.", "transforms.", "fusion.", "rerank.", "index."]
    ),
    st.sampled_from(["bow", "bow-colour", "vlad-128"]),
)
def test_any_text_is_applied_or_refused_in_words(text, head, name):
    try:
        Recipe.load(name, [head + text])
    except RecipeError as error:
        assert str(error)


WORDS = "main seed image feature transforms rerank fusion weights channels bow colour pca d name x"
PATHS = st.lists(st.sampled_from(WORDS.split()), min_size=1, max_size=4).map(".".join)
VALUES = ["none", "3", "[]", "{}", "pca", "colour", '[{name="pca", d=2}]', '{name="l2"}', '["x"]']


@given(
    st.lists(st.tuples(PATHS, st.sampled_from(VALUES)).map("=".join), max_size=6),
    st.sampled_from(["bow", "bow-colour", "vlad-128"]),
)
def test_any_sequence_is_applied_or_refused_in_words(overrides, name):
    try:
        recipe = Recipe.load(name, overrides)
    except RecipeError as error:
        assert str(error)
    else:
        assert Recipe.from_dict(recipe.to_dict()) == recipe


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["name", "feature", "index", "d", "search"]), inner)
        ),
        max_leaves=8,
    ),
    st.sampled_from(
        ["seed", "image", "feature", "transforms", "index", "channels", "fusion", "rerank"]
    ),
)
def test_any_tables_are_read_or_refused_in_words(value, key):
    tables = Recipe.load("vlad-128").to_dict() | {key: value}
    if key == "channels":
        tables = {key: value}
    try:
        recipe = Recipe.from_dict(tables)
    except RecipeError as error:
        assert str(error).startswith("recipe")
    else:
        assert Recipe.from_dict(recipe.to_dict()) == recipe


def test_the_last_channel_can_go_but_then_there_is_no_recipe():
    for overrides in (["channels.main=none"], ["channels.main=none", "vocabulary=none"]):
        with pytest.raises(RecipeError, match="channel"):
            Recipe.load("bow", overrides)


def test_what_is_no_table_is_refused_when_a_path_leads_through_it():
    with pytest.raises(RecipeError, match="there is none; the whole list can be set"):
        Recipe.load("bow", ["transforms=3", "transforms.l2=none"])
    with pytest.raises(RecipeError, match="fusion=3: expected a table"):
        Recipe.load("bow-colour", ["channels.x.feature.name=sift", "fusion=3", "channels.x=none"])
