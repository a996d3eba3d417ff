"""What ``build --help`` says of recipes: their names, and every key ``--set`` takes with its range.

All of it is read off the models in `cbir.recipe`, so the help can't fall behind them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cbir.recipe import RECIPES, Recipe

Rows = list[tuple[str, str]]


def recipe_help() -> Iterator[tuple[str, Rows]]:
    """Yield (title, rows of key and explanation): the named recipes, then one section per table."""
    yield "Recipes (--recipe)", [(name, _first_comment(name)) for name in Recipe.names()]
    own: Rows = []
    tables: list[tuple[str, Rows]] = []
    for key, field in Recipe.model_fields.items():
        models = [m for m in _members(field.annotation) if _is_model(m)]
        if not models:
            own.append((f"{key}={_allowed(field)}", _explain(field)))
        for model in models:
            tables.append(_table(key, model))
    yield "Keys (--set KEY=VALUE)", own
    yield from tables


def _table(table: str, model: type[BaseModel]) -> tuple[str, Rows]:
    rows = [
        (f"{table}.{key}={_allowed(field)}", _explain(field))
        for key, field in model.model_fields.items()
        if key != "name"
    ]
    name = model.model_fields.get("name")
    title = f"{table}.name={name.default}" if name else table
    text = (model.__doc__ or "").strip().splitlines()
    return f"{title} - {text[0].rstrip('.')}" if text else title, rows


def _first_comment(name: str) -> str:
    """Give the first comment of a named recipe's file: what it is, in a line."""
    for line in (RECIPES / f"{name}.toml").read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            return line.lstrip("# ").strip()
    return ""


def _members(annotation: Any) -> list[Any]:
    """Flatten unions and Annotated to the types inside."""
    inside = get_args(annotation)
    if get_origin(annotation) is Literal or not inside:
        return [annotation]
    return [one for part in inside for one in _members(part)]


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _explain(field: FieldInfo) -> str:
    default = "" if field.is_required() or field.default is None else f" [{_say(field.default)}]"
    return f"{field.description or ''}{default}".strip()


def _say(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "[" + ",".join(map(_say, value)) + "]" if isinstance(value, tuple) else str(value)


def _allowed(field: FieldInfo) -> str:
    """Say which values a key takes: the choices, or the kind and its bounds."""
    kind = field.annotation
    if get_origin(kind) is Literal:
        return "|".join(map(str, get_args(kind)))
    if kind is bool:
        return "true|false"
    if get_origin(kind) is tuple:
        return "[" + ",".join("N" for _ in get_args(kind)) + "]"
    bounds = {}
    for mark in field.metadata:
        for side in ("ge", "gt", "le", "lt"):
            if getattr(mark, side, None) is not None:
                bounds[side[0]] = f"{getattr(mark, side):,}".replace(",", "_")
    if bounds:
        return f"{bounds.get('g', '')}..{bounds.get('l', '')}"
    return "TEXT" if kind is str else "VALUE"
