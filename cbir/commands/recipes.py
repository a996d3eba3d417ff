"""List recipes, or show one in full: ``python -m cbir.recipes bow --set seed=3``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from cbir.commands.output import print_json, print_table
from cbir.commands.running import EXIT_OK, Json, UsageError, run


def recipes(
    recipe: Annotated[
        str | None,
        typer.Argument(metavar="[NAME|FILE.toml]", help="The recipe to show; without it, a list."),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change one value first; repeatable. 'none' takes a slot away: vocabulary=none.",
        ),
    ] = None,
    as_json: Json = False,
) -> int:
    """List the recipes that come with cbir, or show one with every value explained.

    What is shown is a recipe file: kept and changed, it can be given to build.
    """
    from cbir.recipe import Recipe
    from cbir.recipe.slots import SLOTS, registry

    if recipe is not None:
        resolved = Recipe.load(recipe, overrides or [])
        if as_json:
            print_json({**resolved.to_dict(), "hash": resolved.hash})
        else:
            print(resolved.to_toml(), end="")
        return EXIT_OK
    if overrides:
        raise UsageError("--set changes a recipe; name the one to show")
    about = {name: Recipe.describe(name) for name in Recipe.names()}
    parts = {slot: list(registry(slot)) for slot in (*SLOTS, "rerank")}
    if as_json:
        print_json({"recipes": about, "parts": parts})
        return EXIT_OK
    print_table(list(about.items()), left=(0, 1))
    print("\nParts for each slot (--set SLOT.name=PART)")
    rows = [(slot, ", ".join(names)) for slot, names in parts.items()]
    print_table(rows, left=(0, 1), indent="  ")
    print("\n'cbir recipes NAME' shows a recipe with every value explained.")
    return EXIT_OK


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code."""
    return run(recipes, argv)
