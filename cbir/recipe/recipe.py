"""`Recipe`: all choices from a picture to an answer, checked.

A recipe is read from TOML into nested tables, its channels under one another (`with_channels`);
overrides change these tables; then every table is checked by the model of its part, and the parts
of a channel against one another. What comes out is frozen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from cbir.images import decode
from cbir.recipe import comparing, released, writing
from cbir.recipe.channel import ChannelRecipe, FusionOptions, read_channel, read_fusion
from cbir.recipe.options import Options, RecipeError, meant, options_of, read
from cbir.recipe.overrides import override
from cbir.recipe.slots import LISTS, SLOTS, read_list
from cbir.recipe.tables import MAIN, NAMED, names, parsed, read_file, with_channels
from cbir.recipe.toml import say


class Seed(Options):
    """Where random choices start."""

    seed: int = Field(0, ge=0, le=2**32 - 1, description="seed of every random choice")


@dataclass(frozen=True)
class Recipe:
    """All choices from a picture to an answer. Made by `load`, `from_dict` or `from_stored`.

    Attributes
    ----------
    name : a label; it is in no hash.
    seed : of every random choice.
    image : how a picture is decoded, the options of `cbir.images.decode`.
    channels : the ways to a vector, by name; ``main`` where a recipe names none.
    fusion : how the answers of several channels become one, every weight written out.
    rerank : re-rankers, in the order in which they work.

    Examples
    --------
    >>> recipe = Recipe.load("bow", ["vocabulary.n_words=5000"])
    >>> recipe.channel.vocabulary.n_words, recipe.channel.index.name
    (5000, 'inverted_file')
    """

    name: str
    seed: int
    image: Options
    channels: Mapping[str, ChannelRecipe]
    fusion: FusionOptions
    rerank: tuple[Options, ...] = ()

    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # it holds a dict

    # ---------------------------------------------------------------------------------- reading

    @classmethod
    def load(cls, source: str | Path | Recipe, overrides: Iterable[str] = ()) -> Recipe:
        """Read a recipe, then apply overrides.

        Parameters
        ----------
        source : name of a recipe that comes with cbir (`names`), a TOML file, or a `Recipe`.
        overrides : ``path=value``, as `cbir.recipe.overrides` says.

        Raises
        ------
        RecipeError naming the key, what was found and what is allowed.
        """
        data = source.to_dict() if isinstance(source, Recipe) else read_file(source)
        tables = with_channels(data)
        for one in overrides:
            override(tables, one)
        return cls._checked(tables)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Recipe:
        """Check nested tables, as TOML gives them. Raises RecipeError."""
        return cls._checked(with_channels(data))

    @classmethod
    def from_stored(cls, text: str) -> Recipe:
        """Read the recipe of a collection, which `to_toml` wrote, perhaps long ago.

        Options that were added since take the default of their first release, under which the
        collection was made, whatever today's default is. Raises RecipeError.
        """
        tables = with_channels(parsed(text, "the stored recipe"))
        tables["image"] = released.complete("image", tables.get("image", {}))
        for channel in tables["channels"].values():
            for slot in SLOTS.keys() & channel.keys():
                found = channel[slot]
                channel[slot] = (
                    [released.complete(slot, one) for one in found]
                    if isinstance(found, list)
                    else released.complete(slot, found)
                )
        return cls._checked(tables)

    @staticmethod
    def names() -> list[str]:
        """Names of the recipes that come with cbir."""
        return names()

    @staticmethod
    def describe(name: str) -> str:
        """Give the first comment of a named recipe: what it is, in a line."""
        first = (NAMED / f"{name}.toml").read_text(encoding="utf-8").partition("\n")[0]
        return first.lstrip("# ").strip()

    # ---------------------------------------------------------------------------------- asking

    @property
    def channel(self) -> ChannelRecipe:
        """The only channel; RecipeError where there are several."""
        if len(self.channels) > 1:
            raise RecipeError(
                f"recipe {self.name} has the channels {', '.join(self.channels)}; say which"
            )
        return next(iter(self.channels.values()))

    @property
    def hash(self) -> str:
        """SHA-256 over the hashes of the channels, by name."""
        return released.digest({name: self.channel_hash(name) for name in self.channels})

    def channel_hash(self, name: str) -> str:
        """SHA-256 over what a channel's stored vectors and index depend on.

        That is the seed, the image options and the channel, where they differ from the defaults
        of their first release. Search knobs, fusion and re-ranking are not in it.
        """
        channel = self.channels[name]
        said: dict[str, Any] = self._image()
        if self.seed != released.RELEASED["seed"]:
            said["seed"] = self.seed
        for slot, options in channel.parts():
            part = released.changed(slot, options)
            if slot in LISTS:
                said.setdefault(slot, []).append(part)
            else:
                said[slot] = part
        return released.digest(said)

    def feature_hash(self, name: str) -> str:
        """SHA-256 over what a channel's stored features depend on: image options and feature."""
        feature = self.channels[name].feature
        return released.digest(self._image() | {"feature": released.changed("feature", feature)})

    def to_dict(self) -> dict[str, Any]:
        """Give every value as TOML has it; the slots at the top where the only channel is main."""
        data: dict[str, Any] = {
            "name": self.name,
            "seed": self.seed,
            "image": self.image.to_table(),
        }
        if list(self.channels) == [MAIN]:
            data |= self.channel.to_tables()
        else:
            data["channels"] = {name: one.to_tables() for name, one in self.channels.items()}
        if len(self.channels) > 1:
            data["fusion"] = self.fusion.to_table()
        if self.rerank:
            data["rerank"] = [options.to_table() for options in self.rerank]
        return data

    def to_toml(self) -> str:
        """Give every value as TOML, each explained in a comment."""
        return writing.to_toml(self)

    def differences(self, other: Recipe) -> list[str]:
        """Say where another recipe differs in what the hashes cover; [] where the hashes agree.

        >>> Recipe.load("bow", ["vocabulary.n_words=5000"]).differences(Recipe.load("bow"))
        ['vocabulary.n_words=5000 instead of "auto"']
        """
        return comparing.differences(self, other)

    def _image(self) -> dict[str, Any]:
        image = released.changed("image", self.image)
        return {"image": image} if image else {}

    @classmethod
    def _checked(cls, tables: dict[str, Any]) -> Recipe:
        name = tables["name"]
        if not (isinstance(name, str) and 0 < len(name) <= 100 and name.isprintable()):
            raise RecipeError(f"recipe: name={say(name)}: expected 1 to 100 printable characters")
        try:
            flat = list(tables["channels"]) == [MAIN]
            channels = {
                key: read_channel(one, "" if flat else f"channels.{key}.")
                for key, one in _named_well(tables["channels"]).items()
            }
            return cls(
                name,
                read(Seed, {"seed": tables.get("seed", 0)}, "").seed,
                read(options_of(decode, ""), _table(tables, "image"), "image"),
                channels,
                read_fusion(tables.get("fusion", {}), channels),
                _rerank(tables.get("rerank", []), channels),
            )
        except RecipeError as error:
            raise RecipeError(f"recipe {name}: {error}") from None


def _table(tables: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = tables.get(key, {})
    if not isinstance(found, dict):
        raise RecipeError(f"{key}={say(found)}: expected a table")
    return found


def _rerank(tables: Any, channels: Mapping[str, Any]) -> tuple[Options, ...]:
    """Check the re-rankers; one with an option ``channel`` names one where there are several."""
    rerankers = read_list("rerank", tables, "rerank")
    for one in rerankers:
        channel = one.arguments().get("channel")
        where = f"rerank.{one.name}.channel"
        if channel == "" and len(channels) > 1:
            raise RecipeError(f"{where}: say one, there is {', '.join(channels)}")
        if channel and channel not in channels:
            raise RecipeError(f"{where}={say(channel)}: no such channel{meant(channel, channels)}")
    return rerankers


def _named_well(channels: dict[str, Any]) -> dict[str, Any]:
    if not channels:
        raise RecipeError("channels: there is none; a recipe has one at least")
    for key in channels:
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,31}", key):
            raise RecipeError(
                f"channels.{key}: a channel's name, a folder's too, is 1 to 32 of a-z, 0-9, - and _"
            )
    return channels
