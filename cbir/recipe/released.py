"""Hashes that survive new options: what differs from the defaults of the first release.

`released.toml` holds those defaults and never changes a line. A hash is the SHA-256 of JSON, keys
sorted, over the parts in each slot and those of their values that are not as they were released.
A new option therefore leaves the hash of an old recipe alone, and so does a changed default, as
long as a stored recipe says every value (`complete` fills in what it can't yet have said).
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any

from cbir.recipe.options import Options

RELEASED: dict[str, Any] = tomllib.loads(
    (Path(__file__).parent / "released.toml").read_text(encoding="utf-8")
)


def released(slot: str, name: str = "") -> dict[str, Any]:
    """Give the released defaults of a part, or of the table ``image``; {} where there are none."""
    table: dict[str, Any] = RELEASED.get(
        "transforms" if slot == "descriptor_transforms" else slot, {}
    )
    return table.get(name, {}) if name else table


def changed(slot: str, options: Options) -> dict[str, Any]:
    """Give the part's name and the values that are not the released defaults, knobs left out."""
    table = options.to_table()
    table.pop("search", None)
    as_it_was = released(slot, options.name)
    return {k: v for k, v in table.items() if k not in as_it_was or as_it_was[k] != v}


def complete(slot: str, table: Any) -> Any:
    """Give a stored table with the released defaults of options that it doesn't say."""
    name = table.get("name", "") if isinstance(table, dict) else None
    return released(slot, name) | table if isinstance(name, str) else table


def digest(value: Any) -> str:
    """SHA-256 of a plain value, 64 hexadecimal digits."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
