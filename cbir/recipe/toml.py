"""Values and recipes as TOML text."""

from __future__ import annotations

import json
from typing import Any

_GROUPED = 100_000  # whole numbers from here on are hard to read in one piece
_LONGEST = 60  # characters of a value shown in a message


def say(value: Any) -> str:
    """Say a value as TOML does, cut where it is long; for messages."""
    text = value_text(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def value_text(value: Any) -> str:
    r"""Give one value as TOML; long whole numbers in groups of three digits.

    >>> value_text([True, 0.5, 'a "word"\n', {"b": 178956970}])
    '[true, 0.5, "a \\"word\\"\\n", {b = 178_956_970}]'
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON's escapes are TOML's, but for DEL, which TOML wants escaped.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(map(value_text, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {value_text(one)}" for key, one in value.items()) + "}"
    return f"{value:_}" if isinstance(value, int) and abs(value) >= _GROUPED else str(value)
