"""Recipe files as nested tables, unchecked: found, parsed, and all channels under one another."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cbir.recipe.options import RecipeError, meant
from cbir.recipe.slots import SLOTS
from cbir.recipe.toml import say

NAMED = Path(__file__).parent / "named"

MAIN = "main"
"""Name of the channel of a recipe that doesn't name its channels."""

TOP = ("name", "seed", "image", *SLOTS, "channels", "fusion", "rerank")
"""What may stand at the top of a recipe."""


def names() -> list[str]:
    """Names of the recipes that come with cbir."""
    return sorted(path.stem for path in NAMED.glob("*.toml"))


def read_file(source: str | Path) -> dict[str, Any]:
    """Read the tables of a named recipe or of a TOML file; RecipeError where there is none."""
    named = str(source) in names()
    path = NAMED / f"{source}.toml" if named else Path(source)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        words = meant(str(source), names())
        raise RecipeError(f"recipe {say(str(source))}: no such recipe or file{words}") from None
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise RecipeError(f"recipe {say(str(source))}: can't be read: {why}") from None
    data = parsed(text, f"recipe {path}")
    data.setdefault("name", path.stem)
    return data


def parsed(text: str, who: str) -> dict[str, Any]:
    """Parse TOML; RecipeError, which begins with `who`, says the line that is wrong."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"{who}: not valid TOML: {error}") from None


def with_channels(data: Mapping[str, Any]) -> dict[str, Any]:
    """Give the tables with all slots below ``channels.NAME``; copied as far as they may change."""
    for key in data:
        if key not in TOP:
            raise RecipeError(
                f"recipe {data.get('name', '')}: {key}: no such table{meant(key, TOP)}"
            )
    slots = {slot: data[slot] for slot in SLOTS if slot in data}
    tables = {key: _copied(value) for key, value in data.items() if key not in slots}
    tables.setdefault("name", "unnamed")
    channels = tables.setdefault("channels", {MAIN: _copied(slots)})
    if slots and "channels" in data:
        raise RecipeError(
            f"recipe {tables['name']}: {next(iter(slots))} stands at the top and there are "
            "[channels]; put it under a channel"
        )
    if not isinstance(channels, dict) or not all(isinstance(c, dict) for c in channels.values()):
        raise RecipeError(
            f"recipe {tables['name']}: channels: expected tables, [channels.NAME.feature]"
        )
    return tables


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(one) for key, one in value.items()}
    return [_copied(one) for one in value] if isinstance(value, list) else value
