"""A recipe as TOML, every value written out and explained in a comment."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cbir.recipe.options import Options, allowed, plain
from cbir.recipe.slots import LISTS, registry
from cbir.recipe.tables import MAIN
from cbir.recipe.toml import value_text

_PLAIN = ("true or false", "text")

if TYPE_CHECKING:
    from cbir.recipe.recipe import Recipe


def to_toml(recipe: Recipe) -> str:
    """Give the text of a recipe; `Recipe.load` of it gives the same recipe."""
    lines = [f"name = {value_text(recipe.name)}", f"seed = {recipe.seed}  # of every random choice"]
    lines += _table("image", recipe.image)
    for name, channel in recipe.channels.items():
        prefix = "" if list(recipe.channels) == [MAIN] else f"channels.{name}."
        for slot, options in channel.parts():
            lines += _table(prefix + slot, options, slot)
    if len(recipe.channels) > 1:
        lines += _table("fusion", recipe.fusion)
    for options in recipe.rerank:
        lines += _table("rerank", options, "rerank")
    return "\n".join(lines) + "\n"


def _table(path: str, options: Options, slot: str = "") -> Iterator[str]:
    yield ""
    yield f"[[{path}]]" if slot in LISTS else f"[{path}]"
    if slot:
        others = [name for name in registry(slot) if name != options.name and slot not in LISTS]
        instead = f" (or: {', '.join(others)})" if others else ""
        yield f"name = {value_text(options.name)}  # {_first_line(options)}{instead}"
    for key, value in options.arguments().items():
        if key not in options.knobs:
            yield _line(options, key, value)
    if options.knobs:
        yield ""
        yield f"[{path}.search]"
        for key, value in options.search.items():
            yield _line(options, key, value)


def _line(options: Options, key: str, value: Any) -> str:
    field = type(options).model_fields[key]
    choices = allowed(field).replace("a whole number ", "").replace("a number ", "")
    # Values of these types show what is allowed.
    told = "" if choices in _PLAIN else f" ({choices})"
    return f"{key} = {value_text(plain(value))}  # {field.description or ''}{told}"


def _first_line(options: Options) -> str:
    return (type(options).__doc__ or "").strip().rstrip(".").replace("`", "")
