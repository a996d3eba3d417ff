"""Options read from a signature: the constructor of a part is the only home of what it can be told.

An argument is an option when it is annotated with a pydantic `Field`, which holds its range and one
line of explanation; its default stands behind it. All other arguments are wiring (a vocabulary, the
number of threads) and no business of a recipe::

    def __init__(self, vocabulary, *, sigma: Annotated[float, Field(gt=0, description="...")] = 0.1)

`options_of` turns such a signature into a pydantic model, strict and frozen, of which recipes,
messages and printed explanations are made. Where an argument takes more than TOML can say, the
`Field` stands at the member of the union that a recipe may give (`KMeans.init`: a word or an
array).
"""

from __future__ import annotations

import difflib
import inspect
import types
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Union, get_args, get_origin
from typing import get_type_hints as type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model
from pydantic.fields import FieldInfo

from cbir.errors import ParameterError
from cbir.recipe.toml import say

_SHOWN = 2  # mistakes told at once; more would not fit in two lines


class RecipeError(ParameterError):
    """A recipe that does not exist, does not fit together, or has a key or value not allowed."""


class Options(BaseModel):
    """One table of a recipe. Each option is an attribute.

    Attributes
    ----------
    name : what picks the part in its registry; "" for tables that have no choice of part.
    part : the class or function whose signature this was read from.
    knobs : options that may change at each search; they stand in the table ``search``.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    name: ClassVar[str] = ""
    part: ClassVar[Any] = None
    knobs: ClassVar[tuple[str, ...]] = ()

    if TYPE_CHECKING:  # the options themselves, which only the signature knows

        def __getattr__(self, key: str) -> Any: ...

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments for the part: every option with its value, knobs too."""
        return {key: getattr(self, key) for key in type(self).model_fields}

    @property
    def search(self) -> dict[str, Any]:
        """The search knobs and their values."""
        return {key: getattr(self, key) for key in self.knobs}

    def to_table(self) -> dict[str, Any]:
        """Everything as TOML has it: the name first, lists for tuples, knobs under ``search``."""
        table: dict[str, Any] = {"name": self.name} if self.name else {}
        table |= {k: plain(v) for k, v in self.arguments().items() if k not in self.knobs}
        if self.knobs:
            table["search"] = {key: plain(value) for key, value in self.search.items()}
        return table


class _OfPart(Options):
    """Options whose class is made at run time, which pickle can't find by its name."""

    def __reduce__(self) -> tuple[Any, ...]:
        made = type(self)
        return _remade, (made.part, made.name, self.arguments())


def _remade(part: Any, name: str, values: dict[str, Any]) -> Options:
    return options_of(part, name)(**values)


@cache
def options_of(part: Callable[..., Any], name: str) -> type[Options]:
    """Make the model of the options of a class or function; the same one at each call.

    Parameters
    ----------
    part : a class whose constructor, or a function which, has annotated arguments.
    name : its name in the registry; "" for a table that has no choice of part.

    Raises
    ------
    TypeError for an option whose name is taken by `Options` itself, and for knobs that are none.

    Examples
    --------
    >>> from cbir.aggregation import VLAD
    >>> options_of(VLAD, "vlad")(intra=False).arguments()
    {'signed_sqrt': True, 'intra': False, 'l2': True}
    """
    call: Any = part.__init__ if isinstance(part, type) else part  # type: ignore[misc]
    hints = type_hints(call, include_extras=True)
    fields: dict[str, Any] = {}
    for key, parameter in inspect.signature(part).parameters.items():
        annotation = _option(hints.get(key))
        if annotation is None:
            continue
        if key == "name" or hasattr(Options, key):
            raise TypeError(f"{part.__name__}: {key} can't be an option, recipes use that word")
        required = parameter.default is inspect.Parameter.empty
        fields[key] = (annotation, ... if required else parameter.default)
    knobs = tuple(getattr(part, "KNOBS", ()))
    if not set(knobs) <= set(fields):
        raise TypeError(f"{part.__name__}: KNOBS {knobs} must be options of the constructor")
    model = create_model(f"{part.__name__}Options", __base__=_OfPart, **fields)
    model.__doc__ = (inspect.getdoc(part) or "").split("\n\n")[0].replace("\n", " ")
    model.name, model.part, model.knobs = name, part, knobs
    return model


def _option(annotation: Any) -> Any:
    """Give the annotation, or the member of a union, that carries a `Field`; None if none does."""
    if get_origin(annotation) is Annotated:
        carries = any(isinstance(mark, FieldInfo) for mark in annotation.__metadata__)
        return annotation if carries else None
    if get_origin(annotation) in (Union, types.UnionType):
        found = [one for member in get_args(annotation) if (one := _option(member)) is not None]
        return found[0] if found else None
    return None


def read(model: type[Options], table: Mapping[str, Any], where: str) -> Options:
    """Check the keys and values of one table; `where` is its path in the recipe.

    Raises
    ------
    RecipeError naming key, value and what is allowed.
    """
    given = {key: value for key, value in table.items() if not (model.name and key == "name")}
    knobs = given.pop("search", {}) if model.knobs else {}
    if not isinstance(knobs, dict):
        raise RecipeError(f"{where}.search={say(knobs)}: expected a table of search knobs")
    fields = model.model_fields
    ordinary = [key for key in fields if key not in model.knobs]
    mistakes = [
        _unknown(where, key, given[key], ordinary, model) for key in given.keys() - ordinary
    ]
    mistakes += [
        _unknown(f"{where}.search", key, knobs[key], model.knobs, model)
        for key in knobs.keys() - model.knobs
    ]
    if not mistakes:
        try:
            return model(**{key: _as_tuple(value) for key, value in (given | knobs).items()})
        except ValidationError as error:
            keys = dict.fromkeys(str(one["loc"][0]) for one in error.errors())
            values = given | knobs
            for key in keys:
                at = f"{where}.search.{key}" if key in model.knobs else f"{where}.{key}"
                found = f"={say(values[key])}: allowed is" if key in values else ": missing; it is"
                mistakes.append(f"{at.lstrip('.')}{found} {allowed(fields[key])}")
    raise RecipeError(told(sorted(mistakes)))


def told(mistakes: list[str]) -> str:
    """Say the first mistakes, and how many more there are."""
    more = f"; and {len(mistakes) - _SHOWN} more" if len(mistakes) > _SHOWN else ""
    return "; ".join(mistakes[:_SHOWN]) + more


def _unknown(where: str, key: str, value: Any, keys: Iterable[str], model: type[Options]) -> str:
    if key in model.knobs:
        return f"{where}.{key}={say(value)}: a search knob; write {where}.search.{key}"
    return f"{where}.{key}={say(value)}: no such key{meant(key, keys)}"


def meant(word: str, words: Iterable[str]) -> str:
    """End a message about an unknown word: what it may have meant, and what there is."""
    words = list(words)
    near = difflib.get_close_matches(word, words, 1)
    there = f"there is {', '.join(words) or 'none'}"
    return f"; did you mean {near[0]}? ({there})" if near else f"; {there}"


def allowed(field: FieldInfo) -> str:
    """Say which values a field takes.

    >>> from cbir.vocabulary import KMeans
    >>> allowed(options_of(KMeans, "kmeans").model_fields["n_words"])
    'a whole number 1 to 10_000_000 or "auto"'
    """
    return _allowed(field.annotation, field.metadata)


def _allowed(kind: Any, marks: Iterable[Any]) -> str:
    origin, inside = get_origin(kind), get_args(kind)
    if origin is Annotated:
        own = [m for mark in kind.__metadata__ for m in getattr(mark, "metadata", [mark])]
        return _allowed(inside[0], [*marks, *own])
    if origin is Literal:
        words = [say(one) for one in inside]
        return " or ".join([*([", ".join(words[:-1])] if words[1:] else []), words[-1]])
    if origin in (Union, types.UnionType):
        return " or ".join(_allowed(one, marks) for one in inside)
    if origin is tuple:
        names = "abcdefgh"[: len(inside)]
        return f"[{', '.join(names)}], each {_allowed(inside[0], ())}"
    if origin is dict:
        return f"{{name = {_allowed(inside[1], ())}}}"
    if kind is bool:
        return "true or false"
    text = {int: "a whole number", float: "a number", str: "text"}.get(kind, "another value")
    ends = {
        side: getattr(m, side)
        for m in marks
        for side in ("ge", "gt", "le", "lt")
        if hasattr(m, side)
    }
    if "ge" in ends and "le" in ends:
        return f"{text} {_digits(ends['ge'])} to {_digits(ends['le'])}"
    say_end = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    limits = " and ".join(f"{say_end[side]} {_digits(end)}" for side, end in ends.items())
    return f"{text} {limits}" if limits else text


def _digits(value: float) -> str:
    return f"{int(value):_}" if value == int(value) else f"{value:g}"


def plain(value: Any) -> Any:
    """Give `value` with lists for tuples, as TOML and JSON have it."""
    return [plain(one) for one in value] if isinstance(value, tuple) else value


def _as_tuple(value: Any) -> Any:
    return tuple(_as_tuple(one) for one in value) if isinstance(value, list) else value
