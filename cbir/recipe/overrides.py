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
        _apply(tables, keys, value)
    except RecipeError as error:
        shown = text if text.isprintable() and len(text) <= 60 else say(text)
        raise RecipeError(f"--set {shown}: {error}") from None


def _apply(tables: dict[str, Any], keys: list[str], value: Any) -> None:
    channels = tables["channels"]
    if keys[0] in SLOTS:
        keys = ["channels", _channel(channels, keys), *keys]
    head, *rest = keys
    if head == "rerank":
        _set_in_list(tables, head, rest, value)
    elif head == "channels":
        _set_in_channels(tables, rest, value)
    elif head not in TOP:
        raise RecipeError(f"no such table{meant(head, TOP)}")
    elif keys in (["image"], ["fusion"]) and value == _NONE:
        tables.pop(head, None)
    else:
        _set(tables, keys, value)


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        return text


def _channel(channels: dict[str, Any], keys: list[str]) -> str:
    """Find the one channel that a path without ``channels.NAME`` can mean."""
    if len(channels) == 1:
        return next(iter(channels))
    if not channels:
        raise RecipeError("there is no channel left")
    slot, *rest = keys
    having = [name for name, tables in channels.items() if slot in tables] or list(channels)
    fitting = [name for name in having if _knows(slot, channels[name].get(slot), rest)]
    if not fitting:
        known = sorted({key for name in having for key in _known(slot, channels[name].get(slot))})
        word = rest[0] if slot in LISTS else rest[-1]
        raise RecipeError(f"no channel's {slot} has {word}{meant(word, known)}")
    if len(fitting) > 1:
        paths = " or ".join(".".join(["channels", name, *keys]) for name in fitting)
        raise RecipeError(f"which channel? say {paths}")
    return fitting[0]


def _knows(slot: str, table: Any, keys: list[str]) -> bool:
    """Whether a path below a slot means something there: a key, or the name of an entry."""
    if not keys or keys == ["name"]:
        return True
    return (keys[0] if slot in LISTS else keys[-1]) in _known(slot, table)


def _known(slot: str, table: Any) -> set[str]:
    """Give what may follow a slot in a path: keys of its part, or names of its entries."""
    if slot in LISTS:
        return {str(one.get("name")) for one in _entries(table)}
    return _keys(slot, table)


def _keys(slot: str, table: Any) -> set[str]:
    """Give the keys that the part named in a table knows."""
    name = table.get("name") if isinstance(table, dict) else None
    part = registry(slot).get(name) if isinstance(name, str) else None
    return set() if part is None else set(options_of(part, str(name)).model_fields)


def _set_in_channels(tables: dict[str, Any], keys: list[str], value: Any) -> None:
    if not keys:
        raise RecipeError("expected channels.NAME.SLOT...=value, or channels.NAME=none")
    channels, (name, *rest) = tables["channels"], keys
    if rest:
        if name not in channels and rest[-1] != "name":
            raise RecipeError(f"no such channel{meant(name, channels)}")
        _set_in_channel(channels.setdefault(name, {}), rest, value)
    elif value == _NONE:
        channels.pop(name, None)
        _unjoin(tables, name)
    else:
        raise RecipeError("expected a slot behind the channel's name, or none")


def _unjoin(tables: dict[str, Any], channel: str) -> None:
    """Take away what joined a channel, now gone, to the others."""
    fusion = tables.get("fusion")
    if len(tables["channels"]) == 1:
        tables.pop("fusion", None)
    elif isinstance(fusion, dict) and isinstance(fusion.get("weights"), dict):
        fusion["weights"].pop(channel, None)


def _set_in_channel(channel: dict[str, Any], keys: list[str], value: Any) -> None:
    slot, *rest = keys
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
    if not keys:
        tables[slot] = [] if value == _NONE else value
        return
    name, *rest = keys
    entries = _entries(tables.get(slot))
    found = [one for one in entries if one.get("name") == name]
    if len(found) != 1:
        there = ", ".join(str(one.get("name")) for one in entries)
        why = f"there are {len(found)} of them" if found else f"there is {there or 'none'}"
        raise RecipeError(f'{why}; the whole list can be set: {slot}=[{{name="{name}"}}, ...]')
    if not rest and value == _NONE:
        tables[slot].remove(found[0])
    elif rest == ["name"]:
        _rename(slot, found[0], value)
    elif rest:
        _set(found[0], rest, value)
    else:
        raise RecipeError(f"expected a key behind the name, {slot}.{name}.KEY=value, or none")


def _entries(table: Any) -> list[dict[str, Any]]:
    """Give the tables in a list that may hold something else, or be something else."""
    return [one for one in table if isinstance(one, dict)] if isinstance(table, list) else []


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
    """Set a value by its path; tables on the way are made where they lack."""
    *above, last = keys
    for key in above:
        tables = tables.setdefault(key, {})
        if not isinstance(tables, dict):
            raise RecipeError(f"{key} is a value, not a table")
    tables[last] = value
