"""One channel of a recipe, and how the answers of several become one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from cbir.recipe.flow import check_flow
from cbir.recipe.options import Options, RecipeError, meant, read
from cbir.recipe.slots import LISTS, SLOTS, read_list, read_part
from cbir.recipe.toml import say


class FusionOptions(Options):
    """How the channels' answers become one: a weighted sum of normalised similarities."""

    weights: dict[str, Annotated[float, Field(ge=0)]] = Field(
        {}, description="factor of each channel's similarities; 1 where not said"
    )
    normalisation: Literal["none", "minmax", "zscore"] = Field(
        "none", description="what makes the similarities of two channels comparable"
    )
    depth: int = Field(
        1000, ge=1, le=10_000_000, description="hits of each channel that are scored by all"
    )


@dataclass(frozen=True)
class ChannelRecipe:
    """One way from a picture to a vector and an index: a part, with its options, in each slot."""

    feature: Options
    index: Options
    descriptor_transforms: tuple[Options, ...] = ()
    vocabulary: Options | None = None
    aggregation: Options | None = None
    transforms: tuple[Options, ...] = ()

    def parts(self) -> Iterator[tuple[str, Options]]:
        """Yield (slot, options) in the order in which data passes them."""
        for slot in SLOTS:
            found = getattr(self, slot)
            for options in found if slot in LISTS else (found,):
                if options is not None:
                    yield slot, options

    def to_tables(self) -> dict[str, Any]:
        """Give its slots as TOML has them."""
        tables: dict[str, Any] = {}
        for slot, options in self.parts():
            if slot in LISTS:
                tables.setdefault(slot, []).append(options.to_table())
            else:
                tables[slot] = options.to_table()
        return tables


def read_channel(tables: Mapping[str, Any], prefix: str) -> ChannelRecipe:
    """Check the tables of one channel, each by itself and all together.

    Parameters
    ----------
    prefix : what stands before a slot in the recipe: ``channels.bow.`` where there are several.

    Raises
    ------
    RecipeError.
    """
    for key in tables:
        if key not in SLOTS:
            raise RecipeError(f"{prefix}{key}: no such slot{meant(key, SLOTS)}")
    for slot in ("feature", "index"):
        if slot not in tables:
            raise RecipeError(f"{prefix}{slot}.name: missing; there is {', '.join(SLOTS[slot])}")
    parts: dict[str, Any] = {
        slot: (read_list if slot in LISTS else read_part)(slot, table, prefix + slot)
        for slot, table in tables.items()
    }
    channel = ChannelRecipe(**parts)
    check_flow(channel, prefix)
    return channel


def read_fusion(table: Any, channels: Mapping[str, Any]) -> FusionOptions:
    """Check the table ``fusion`` and write every channel's weight out. Raises RecipeError."""
    if not isinstance(table, dict):
        raise RecipeError(f"fusion={say(table)}: expected a table, e.g. fusion.depth=1000")
    if table and len(channels) == 1:
        raise RecipeError("fusion: there is one channel, nothing to join; take the table away")
    read(FusionOptions, table, "fusion")
    given = table.get("weights", {})
    for name in given:
        if name not in channels:
            raise RecipeError(f"fusion.weights.{name}: no such channel{meant(name, channels)}")
    weights = {name: float(given.get(name, 1)) for name in channels}
    if not any(weights.values()):
        raise RecipeError("fusion.weights: all are 0; one channel at least must count")
    return FusionOptions(**(table | {"weights": weights}))
