"""Overrides: ``path=value`` changes one value of a recipe's tables (``--set`` on a command line).

A path names a value by the tables around it, a list entry by its name::

    seed=3   image.max_side=320   index.search.nprobe=16   transforms.pca.d=64
    channels.bow.vocabulary.n_words=5000   fusion.weights.colour=0.5   rerank.original.depth=50

``channels.NAME`` may be left out where one channel alone has that slot and key. A value is TOML,
or else a bare word. Setting a ``name`` drops the keys that only the former part had. A slot, a
list, an entry of one or a channel set to ``none`` goes: ``vocabulary=none``,
``transforms.pca=none``.
"""

from __future__ import annotations

import tomllib
from typing import Any

from cbir.recipe.options import RecipeError, meant, options_of
from cbir.recipe.slots import LISTS, SLOTS, registry
from cbir.recipe.tables import TOP
from cbir.recipe.toml import say

_NONE = "none"


def override(tables: dict[str, Any], text: str) -> None:
    """Apply one override to the tables of a recipe, in place (slots under ``channels.NAME``).

    Raises
    ------
    RecipeError naming the override. Whether the value is allowed is found out later.
    """
    path, equals, value_text = text.partition("=")
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise RecipeError(f"--set {text!r}: expected path=value, e.g. index.metric=l2")
    value = _value(value_text.strip())
    try:
        head, *rest = keys
        if head in SLOTS:
            head, *rest = "channels", _channel(tables["channels"], keys), *keys
        if head == "channels" and len(rest) > 1:
            _set_in_channel(tables["channels"].setdefault(rest[0], {}), rest[1:], value)
        elif head == "rerank":
            _set_in_list(tables, "rerank", rest, value)
        elif head in TOP:
            _set(tables, keys, value)
        else:
            raise RecipeError(f"no such table{meant(head, TOP)}")
    except RecipeError as error:
        raise RecipeError(f"--set {say(text)[1:-1]}: {error}") from None


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        return text


def _channel(channels: dict[str, Any], keys: list[str]) -> str:
    """Find the one channel that a path without ``channels.NAME`` can mean."""
    if len(channels) == 1:
        return next(iter(channels))
    slot, *rest = keys
    having = [name for name, tables in channels.items() if slot in tables]
    knowing = [name for name in having if _knows(slot, channels[name][slot], rest)]
    fitting = knowing or having or list(channels)
    if len(fitting) > 1:
        paths = " or ".join(".".join(["channels", name, *keys]) for name in fitting)
        raise RecipeError(f"which channel? say {paths}")
    return fitting[0]


def _knows(slot: str, table: Any, keys: list[str]) -> bool:
    """Whether the table that stands in a slot has, or its part knows, the key of a path."""
    if not keys:
        return True
    if slot in LISTS:
        return isinstance(table, list) and bool(_entries(table, keys[0]))
    return keys[0] == "name" or keys[-1] in _keys(slot, table)


def _keys(slot: str, table: Any) -> set[str]:
    """Give the keys that the part named in a table knows."""
    name = table.get("name") if isinstance(table, dict) else None
    part = registry(slot).get(name) if isinstance(name, str) else None
    return set() if part is None else set(options_of(part, str(name)).model_fields)


def _set_in_channel(channel: Any, keys: list[str], value: Any) -> None:
    slot, *rest = keys
    if not isinstance(channel, dict):
        raise RecipeError("that channel is a value, not tables")
    if slot not in SLOTS:
        raise RecipeError(f"no such slot{meant(slot, SLOTS)}")
    if slot in LISTS:
        _set_in_list(channel, slot, rest, value)
    elif not rest and value == _NONE:
        channel.pop(slot, None)
    elif rest == ["name"]:
        _rename(slot, channel.setdefault(slot, {}), value)
    elif rest and slot not in channel:
        raise RecipeError(
            f"this recipe has no {slot}; first set {slot}.name={'|'.join(SLOTS[slot])}"
        )
    else:
        _set(channel, keys, value)


def _set_in_list(tables: dict[str, Any], slot: str, keys: list[str], value: Any) -> None:
    entries = tables.setdefault(slot, [])
    if not keys:
        tables[slot] = [] if value == _NONE else value
        return
    name, *rest = keys
    found = _entries(entries, name) if isinstance(entries, list) else []
    if len(found) != 1:
        there = ", ".join(str(one.get("name")) for one in entries if isinstance(one, dict))
        why = f"there are {len(found)} of them" if found else f"there is {there or 'none'}"
        raise RecipeError(f'{why}; the whole list can be set: {slot}=[{{name="{name}"}}, ...]')
    if not rest and value == _NONE:
        entries.remove(found[0])
    elif rest == ["name"]:
        _rename(slot, found[0], value)
    elif rest:
        _set(found[0], rest, value)
    else:
        raise RecipeError(f"expected a key behind the name, {slot}.{name}.KEY=value, or none")


def _entries(entries: list[Any], name: str) -> list[dict[str, Any]]:
    return [one for one in entries if isinstance(one, dict) and one.get("name") == name]


def _rename(slot: str, table: Any, name: Any) -> None:
    if not isinstance(table, dict):
        raise RecipeError(f"{slot} is a value, not a table")
    if isinstance(name, str) and name in registry(slot):
        new = _keys(slot, {"name": name})
        for key in _keys(slot, table) - new:
            table.pop(key, None)
            if isinstance(table.get("search"), dict):
                table["search"].pop(key, None)
        if not table.get("search", True):
            del table["search"]
    table["name"] = name


def _set(tables: dict[str, Any], keys: list[str], value: Any) -> None:
    """Set a value by its path, or take what it names away."""
    *above, last = keys
    for key in above:
        below = tables.setdefault(key, {})
        if not isinstance(below, dict):
            raise RecipeError(f"{key} is a value, not a table")
        tables = below
    if (
        value == _NONE
        and keys[0] in ("image", "fusion", "channels")
        and len(keys) <= 2
        and (keys[0] == "channels" or len(keys) == 1)
    ):
        tables.pop(last, None)
    else:
        tables[last] = value
