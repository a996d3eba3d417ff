"""Do the parts of a channel fit together? Each says what it takes and gives; neighbours must agree.

A part's `gives` is a type of `cbir.types`; its `takes` is one, or a tuple of which any will do. A
transform gives what it took: descriptors before the aggregation, vectors after it. `Maps` are
`Bags`, so what takes the one takes the other.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from cbir.recipe.options import Options, RecipeError
from cbir.recipe.slots import SLOTS
from cbir.types import Bags, Vectors

if TYPE_CHECKING:
    from cbir.recipe.channel import ChannelRecipe


def check_flow(channel: ChannelRecipe, prefix: str = "") -> None:
    """Refuse a channel whose neighbours don't fit, naming both, their types and a cure.

    Parameters
    ----------
    prefix : what stands before a slot in the recipe: ``channels.bow.`` where there are several.
    """
    last = f"{prefix}feature {channel.feature.name}"
    now = channel.feature.part.gives
    for slot, options in channel.parts():
        if slot in ("feature", "vocabulary"):
            continue
        here, takes = f"{prefix}{slot} {options.name}", _takes(slot, options)
        if not any(_is(now, one) for one in takes):
            raise RecipeError(
                f"{last} gives {_called(now)}, {here} takes {' or '.join(map(_called, takes))}; "
                + _cure(channel, prefix, now, slot, options)
            )
        if slot == "aggregation":
            now = options.part.gives
        last = here
    _check_vocabulary(channel, prefix)


def _takes(slot: str, options: Options) -> list[Any]:
    takes = options.part.takes
    takes = list(takes) if isinstance(takes, tuple) else [takes]
    if slot in ("descriptor_transforms", "transforms"):
        return [one for one in takes if _is(one, Bags) == (slot == "descriptor_transforms")]
    return takes


def _cure(channel: ChannelRecipe, prefix: str, now: Any, slot: str, options: Options) -> str:
    """Say what to take away, to put between, or to choose instead."""
    if slot == "aggregation":
        sets = [f"{slot}=none" for slot in ("vocabulary", "aggregation") if getattr(channel, slot)]
        if not _is(now, channel.index.part.takes):
            sets += [f"index.name={name}" for name in _for_index(now)[:1]]
        return f"take it away: {_sets(prefix, sets)}"
    if _is(now, Bags) and slot != "descriptor_transforms":
        names = [name for name, part in SLOTS["aggregation"].items() if _is(now, part.takes)]
        setting = _sets(prefix, ["aggregation.name=" + "|".join(names)])
        return f"put an aggregation between them: {setting}"
    if slot == "index":
        return f"choose {_sets(prefix, ['index.name=' + '|'.join(_for_index(now))])}"
    return f"take it away: {_sets(prefix, [f'{slot}.{options.name}=none'])}"


def _check_vocabulary(channel: ChannelRecipe, prefix: str) -> None:
    vocabulary, aggregation = channel.vocabulary, channel.aggregation
    wants = (
        aggregation is not None and "vocabulary" in inspect.signature(aggregation.part).parameters
    )
    if wants and vocabulary is None:
        assert aggregation is not None
        names = "|".join(SLOTS["vocabulary"])
        raise RecipeError(
            f"{prefix}aggregation {aggregation.name} needs a vocabulary; "
            f"choose {_sets(prefix, [f'vocabulary.name={names}'])}"
        )
    if vocabulary is not None and not wants:
        user = f"{prefix}aggregation {aggregation.name}" if aggregation else "no aggregation"
        raise RecipeError(
            f"{prefix}vocabulary {vocabulary.name} serves nothing: there is {user} to use it; "
            f"take it away: {_sets(prefix, ['vocabulary=none'])}"
        )


def _for_index(now: Any) -> list[str]:
    return [name for name, part in SLOTS["index"].items() if _is(now, part.takes)]


def _sets(prefix: str, settings: list[str]) -> str:
    return " ".join(f"--set {prefix}{one}" for one in settings)


def _is(kind: Any, wanted: Any) -> bool:
    """Whether data of type `kind` will do where `wanted` is taken."""
    if isinstance(wanted, tuple):
        return any(_is(kind, one) for one in wanted)
    classes = isinstance(kind, type) and isinstance(wanted, type)
    return bool(kind == wanted or (classes and issubclass(kind, wanted)))


def _called(kind: Any) -> str:
    return "Vectors" if kind == Vectors else str(kind.__name__)
