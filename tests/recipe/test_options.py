"""Options are read from signatures."""

import pickle
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from pydantic import Field, ValidationError

from cbir.images import decode
from cbir.indexes import INDEXES
from cbir.recipe.channel import FusionOptions
from cbir.recipe.options import RecipeError, allowed, options_of, read
from cbir.recipe.slots import SLOTS, registry
from tests.recipe.parts import Knobbed, values_of

PARTS = {(slot, name): part for slot in (*SLOTS, "rerank") for name, part in registry(slot).items()}
MODELS = {key: options_of(part, key[1]) for key, part in PARTS.items()}
MODELS |= {("image", ""): options_of(decode, ""), ("fusion", ""): FusionOptions}


class Part:
    """A part, in a line
    and a half.

    The rest.
    """

    def __init__(
        self,
        vocabulary: object,
        size: Annotated[int, Field(ge=2, lt=9, description="how large")],
        *,
        start: Annotated[Literal["here", "there"], Field(description="where")] | ArrayLike = "here",
        ratio: Annotated[float, Field(gt=0, le=0.5, description="how much")] = 0.25,
        n_threads: int = 0,
    ) -> None: ...


def test_annotated_arguments_are_options_and_others_are_wiring():
    model = options_of(Part, "part")
    assert list(model.model_fields) == ["size", "start", "ratio"]
    options = model(size=3)
    assert (options.name, options.part, options.knobs) == ("part", Part, ())
    assert options.arguments() == {"size": 3, "start": "here", "ratio": 0.25}
    assert options.to_table() == {"name": "part", "size": 3, "start": "here", "ratio": 0.25}
    assert type(options).__doc__ == "A part, in a line and a half."
    assert options_of(Part, "part") is model
    with pytest.raises(ValidationError, match="frozen"):
        options.size = 4


def test_what_is_allowed_is_said():
    fields = options_of(Part, "part").model_fields
    assert allowed(fields["size"]) == "a whole number at least 2 and below 9"
    assert allowed(fields["start"]) == '"here" or "there"'
    assert allowed(fields["ratio"]) == "a number above 0 and at most 0.5"


def test_knobs_stand_in_the_table_search():
    options = read(options_of(Knobbed, "knobbed"), {"nlist": 4, "search": {"nprobe": 2}}, "index")
    assert options.search == {"nprobe": 2, "exact": False}
    assert options.arguments() == {"metric": "l2", "nlist": 4, "nprobe": 2, "exact": False}
    assert options.to_table() == {
        "name": "knobbed",
        "metric": "l2",
        "nlist": 4,
        "search": {"nprobe": 2, "exact": False},
    }


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"nprobe": 2}, "index.nprobe=2: a search knob; write index.search.nprobe"),
        ({"search": {"nlist": 2}}, "index.search.nlist=2: no such key; there is nprobe, exact"),
        ({"search": {"nprob": 2}}, "index.search.nprob=2: no such key; did you mean nprobe?"),
        ({"search": {"nprobe": 0}}, "index.search.nprobe=0: allowed is a whole number at least 1"),
        ({"search": 3}, "index.search=3: expected a table of search knobs"),
        ({"nlist": "many"}, 'index.nlist="many": allowed is a whole number 1 to 65_536'),
        ({"nlist": True}, "index.nlist=true: allowed is a whole number"),
        ({"metric": "l3"}, 'index.metric="l3": allowed is "l2", "ip" or "cosine"'),
        ({"nlist": 0, "metric": "", "search": {"exact": 1}}, "; and 1 more"),
    ],
)
def test_a_mistake_names_key_value_and_what_is_allowed(table, message):
    with pytest.raises(RecipeError) as error:
        read(options_of(Knobbed, "knobbed"), table, "index")
    assert message in str(error.value)


def test_an_index_without_knobs_names_the_knob_that_it_lacks():
    flat = options_of(INDEXES["flat"], "flat")
    assert read(flat, {"search": {}}, "index") == flat()
    with pytest.raises(RecipeError, match=r"index.search.nprobe=16: no such key; there is none"):
        read(flat, {"search": {"nprobe": 16}}, "index")


def test_an_option_may_not_take_a_word_that_recipes_use():
    class Taken:
        def __init__(self, search: Annotated[int, Field(description="no")] = 1) -> None: ...

    class Named:
        def __init__(self, name: Annotated[str, Field(description="no")] = "") -> None: ...

    class Lost:
        KNOBS = ("nprobe",)

    for part, word in ((Taken, "search"), (Named, "name"), (Lost, "nprobe")):
        with pytest.raises(TypeError, match=word):
            options_of(part, "part")


@pytest.mark.parametrize("key", MODELS, ids=str)
def test_every_option_is_explained_in_a_line_and_its_default_allowed(key):
    model = MODELS[key]
    assert model.__doc__.strip()
    needed = {"n_words": 5, "d": 5}
    required = {name: needed[name] for name, one in model.model_fields.items() if one.is_required()}
    defaults = model(**required)
    assert read(model, defaults.to_table(), key[0]) == defaults
    for name, field in model.model_fields.items():
        assert field.description, name
        assert "\n" not in field.description
        assert len(field.description) <= 80
        assert "another value" not in allowed(field)


@pytest.mark.parametrize("key", [k for k in MODELS if k[0] != "fusion"], ids=str)
@given(data=st.data())
def test_all_that_is_allowed_is_taken_and_survives_pickling(key, data):
    model = MODELS[key]
    values = {name: data.draw(values_of(field)) for name, field in model.model_fields.items()}
    options = model(**values)
    assert options.arguments() == values
    assert read(model, options.to_table(), key[0]) == options
    assert pickle.loads(pickle.dumps(options)) == options
