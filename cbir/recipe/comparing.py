"""What two recipes do differently, in few words: for the message that a collection has another."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from cbir.recipe.slots import LISTS
from cbir.recipe.tables import MAIN
from cbir.recipe.toml import say

if TYPE_CHECKING:
    from cbir.recipe.recipe import Recipe


def differences(mine: Recipe, other: Recipe) -> list[str]:
    """Say where two recipes differ in what the hashes cover, ``path=mine instead of theirs``.

    Where a slot holds another part, that alone is said, and not the options of the two.
    """
    channels = [name for name in mine.channels if name in other.channels]
    one, two = _values(mine, channels), _values(other, channels)
    lines = []
    for path in dict.fromkeys([*one, *two]):
        choice = (one.get(path) or two[path])[1]
        same_part = one.get(choice) == two.get(choice)
        if one.get(path) != two.get(path) and (path == choice or same_part):
            here, there = (say(x[path][0]) if path in x else "none" for x in (one, two))
            lines.append(f"{path}={here} instead of {there}")
    return lines


def _values(recipe: Recipe, channels: list[str]) -> dict[str, tuple[Any, str]]:
    """Give path -> value, and the path of the choice of part that the value belongs to."""
    values: dict[str, tuple[Any, str]] = {
        "channels": (sorted(recipe.channels), "channels"),
        "seed": (recipe.seed, ""),
    }
    for key, value in recipe.image.to_table().items():
        values[f"image.{key}"] = (value, "")
    for name in channels:
        channel = recipe.channels[name]
        prefix = "" if channels == [MAIN] else f"channels.{name}."
        met: Counter[str] = Counter()
        for slot, options in channel.parts():
            where = prefix + slot
            choice = where if slot in LISTS else f"{where}.name"
            if slot in LISTS:
                values[choice] = ([one.name for one in getattr(channel, slot)], choice)
                where += f".{options.name}"
                met[where] += 1
                where += f"[{met[where]}]" if met[where] > 1 else ""  # the second of its name
            else:
                values[choice] = (options.name, choice)
            for key, value in options.arguments().items():
                if key not in options.knobs:
                    values[f"{where}.{key}"] = (value, choice)
    return values
