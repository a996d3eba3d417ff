"""Recipes: defaults, overrides, hash, and messages for what is wrong."""

import inspect
import tomllib

import pytest

from cbir.errors import ParameterError
from cbir.recipe import Recipe, RecipeError


@pytest.mark.parametrize("name", ["bow", "colour", "vlad"])
def test_named_recipes_round_trip_with_every_default(name):
    recipe = Recipe.load(name)
    assert recipe.name == name
    text = recipe.to_toml()
    assert Recipe.from_toml(text) == recipe
    written = tomllib.loads(text)
    for table in ("image", "feature", "vocabulary", "aggregation", "index"):
        options = getattr(recipe, table)
        assert set(written.get(table, {})) == set(type(options).model_fields if options else ())


def test_every_field_is_explained():
    for name in Recipe.names():
        recipe = Recipe.load(name)
        for options in (recipe.image, recipe.feature, recipe.vocabulary, recipe.aggregation):
            for key, field in type(options).model_fields.items() if options else ():
                assert key == "name" or field.description, (name, key)


def test_defaults_equal_those_of_the_parts():
    from cbir.aggregation import AGGREGATIONS
    from cbir.features import FEATURES
    from cbir.indexes import INDEXES
    from cbir.vocabulary import VOCABULARIES

    registries = {
        "feature": FEATURES,
        "vocabulary": VOCABULARIES,
        "aggregation": AGGREGATIONS,
        "index": INDEXES,
    }
    for name in Recipe.names():
        recipe = Recipe.load(name)
        for table, registry in registries.items():
            options = getattr(recipe, table)
            if options is None:
                continue
            signature = inspect.signature(registry[options.name]).parameters
            for key, field in type(options).model_fields.items():
                if key == "name":
                    continue
                assert key in signature, f"{table}.{key} is no argument of {options.name}"
                default = signature[key].default
                if default is not inspect.Parameter.empty:
                    assert field.default == default, f"{table}.{key}"


def test_overrides_are_toml_values():
    recipe = Recipe.load(
        "bow", ["vocabulary.n_words=16", "aggregation.tf=raw", 'aggregation.norm="l1"', "seed=3"]
    )
    assert recipe.vocabulary.n_words == 16
    assert (recipe.aggregation.tf, recipe.aggregation.norm, recipe.seed) == ("raw", "l1", 3)
    recipe = Recipe.load("colour", ["feature.bins=[4, 4, 4]", "feature.joint=false"])
    assert recipe.feature.bins == (4, 4, 4)
    assert recipe.feature.joint is False
    assert Recipe.load(recipe, ["image.max_side=320"]).image.max_side == 320


def test_hash_covers_all_but_the_name():
    base = Recipe.load("bow")
    assert base.hash == Recipe.load("bow", ["name=other"]).hash
    assert base.hash == Recipe.load("bow", ["aggregation.tf=sqrt"]).hash
    other = Recipe.load("bow", ["vocabulary.n_words=5"])
    assert base.hash != other.hash
    vlad = Recipe.load("vlad", ["image.max_side=640", "feature.max_keypoints=1000"])
    assert base.features_hash == other.features_hash == vlad.features_hash
    assert base.features_hash != Recipe.load("bow", ["feature.root=false"]).features_hash
    assert base.hash != Recipe.load("bow", ["seed=1"]).hash


@pytest.mark.parametrize(
    ("name", "override", "words"),
    [
        ("bow", "vocabulary.n_word=5", ["vocabulary.n_word=5", "unknown key", "n_words"]),
        ("bow", "vocabulary.n_words=0", ["vocabulary.n_words=0", "greater than or equal to 1"]),
        ("bow", "vocabulary.n_words=2.5", ["vocabulary.n_words=2.5", "integer"]),
        ("bow", "vocabulary.n_words=true", ["vocabulary.n_words=True", "integer"]),
        ("bow", "vocabulary.n_words=many", ["vocabulary.n_words='many'"]),
        ("bow", "feature.contrast=0.1", ["feature.contrast=0.1", "contrast_threshold"]),
        ("bow", "feature.name=surf", ["feature.name='surf'", "'sift', 'colour'"]),
        ("bow", "aggregation.tf=cube", ["aggregation.tf='cube'", "'raw', 'log' or 'sqrt'"]),
        ("bow", "colour=1", ["colour=1", "unknown key", "vocabulary"]),
        ("bow", "image.max_size=1", ["image.max_size=1", "max_side"]),
        ("bow", "index.name=flat", ["index.name='flat'", "'inverted_file'"]),
        ("vlad", "index.name=inverted_file", ["index.name='inverted_file'", "'flat'"]),
        ("vlad", "index.metric=cosin", ["index.metric='cosin'", "'l2', 'ip' or 'cosine'"]),
        ("colour", "vocabulary.n_words=5", ["no table [vocabulary]"]),
        ("colour", "feature.bins=[1, 2]", ["feature.bins"]),
        ("colour", "feature.bins=[1, 2, 0]", ["feature.bins.2=0", "greater than or equal to 1"]),
        ("colour", "feature.name=sift", ["[vocabulary]"]),
        ("bow", "n_words", ["table.key=value"]),
        ("bow", "a.b.c=1", ["table.key=value"]),
        ("bow", "seed=-1", ["seed=-1", "greater than or equal to 0"]),
        ("bow", "feature.contrast_threshold=nan", ["feature.contrast_threshold=nan", "finite"]),
    ],
)
def test_a_mistake_names_key_value_and_what_is_allowed(name, override, words):
    with pytest.raises(RecipeError) as error:
        Recipe.load(name, [override])
    for word in words:
        assert word in str(error.value)


def test_unknown_recipe_and_bad_files(tmp_path):
    with pytest.raises(ParameterError, match="bow, colour, vlad"):
        Recipe.load("nonesuch")
    path = tmp_path / "bad.toml"
    path.write_text("name = [")
    with pytest.raises(RecipeError, match="not valid TOML"):
        Recipe.load(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(RecipeError):
        Recipe.load(path)
    path.write_text('[feature]\nname = "colour"\n')
    with pytest.raises(RecipeError, match="index: missing"):
        Recipe.load(path)
    path.write_text('feature = 3\n[index]\nname = "flat"\n')
    with pytest.raises(RecipeError, match="feature"):
        Recipe.load(path)
    path.write_text(Recipe.load("colour").to_toml())
    assert Recipe.load(path) == Recipe.load("colour")
