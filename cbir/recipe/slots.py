"""The slots of a channel, and the registry that names what may stand in each.

::

    feature -> descriptor_transforms* -> (vocabulary +) aggregation -> transforms* -> index

Slots with a star hold a list. Transforms before and after the aggregation are of one registry.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cbir.aggregation import AGGREGATIONS
from cbir.features import FEATURES
from cbir.indexes import INDEXES
from cbir.recipe.options import Options, RecipeError, meant, options_of, read
from cbir.recipe.toml import say
from cbir.rerank import RERANKERS
from cbir.transforms import TRANSFORMS
from cbir.vocabulary import VOCABULARIES

SLOTS: dict[str, Mapping[str, Any]] = {
    "feature": FEATURES,
    "descriptor_transforms": TRANSFORMS,
    "vocabulary": VOCABULARIES,
    "aggregation": AGGREGATIONS,
    "transforms": TRANSFORMS,
    "index": INDEXES,
}
"""Slots of a channel in the order in which data passes them, and their registries."""

LISTS = ("descriptor_transforms", "transforms", "rerank")
"""Slots that hold a list of parts."""


def registry(slot: str) -> Mapping[str, Any]:
    """Give name -> class of what may stand in a slot of a channel, or in ``rerank``."""
    return RERANKERS if slot == "rerank" else SLOTS[slot]


def read_part(slot: str, table: Any, where: str) -> Options:
    """Check one table whose ``name`` picks a part.

    Raises
    ------
    RecipeError naming the key, the value and what is allowed.
    """
    parts = registry(slot)
    if not isinstance(table, dict):
        raise RecipeError(
            f"{where}={say(table)}: expected a table, e.g. {where}.name={_first(parts)}"
        )
    name = table.get("name")
    if name is None:
        raise RecipeError(f"{where}.name: missing; there is {', '.join(parts)}")
    if not isinstance(name, str) or name not in parts:
        raise RecipeError(f"{where}.name={say(name)}: there is none{meant(str(name), parts)}")
    return read(options_of(parts[name], name), table, where)


def read_list(slot: str, tables: Any, where: str) -> tuple[Options, ...]:
    """Check a list of such tables; none is an empty list."""
    if not isinstance(tables, list):
        name = _first(registry(slot))
        raise RecipeError(
            f'{where}={say(tables)}: expected a list, e.g. {where}=[{{name="{name}"}}]'
        )
    return tuple(
        read_part(slot, table, f"{where}.{table['name']}" if _named(table) else where)
        for table in tables
    )


def _named(table: Any) -> bool:
    return isinstance(table, dict) and isinstance(table.get("name"), str)


def _first(parts: Mapping[str, Any]) -> str:
    return next(iter(parts), "...")
