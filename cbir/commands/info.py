"""Show this installation (``python -m cbir.info``) or a collection (``... OUT.cbir``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from cbir.commands.output import human_bytes, one_line, print_json, print_table
from cbir.commands.pictures import open_collection
from cbir.commands.progress import set_up_logging
from cbir.commands.running import EXIT_OK, Json, UsageError, run


def info(
    collection: Annotated[
        Path | None,
        typer.Argument(metavar="[COLLECTION]", help="A collection; without it, the installation."),
    ] = None,
    features: Annotated[
        Path | None, typer.Option("-f", "--features", help="The same as COLLECTION.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Show this installation, or what is in a collection."""
    set_up_logging(quiet=False)
    if collection and features:
        raise UsageError("name one collection, as COLLECTION or with -f.")
    path = collection or features
    if path is None:
        from cbir import installation

        facts = installation.config()
        print_json(facts) if as_json else installation.show_config()
        return EXIT_OK
    opened = open_collection(path)
    facts = opened.info()
    facts.pop("recipe_hash", None)
    facts["recipe"] = {**opened.recipe.to_dict(), "hash": opened.recipe.hash}
    facts["failed"] = [{"path": name, "reason": reason} for name, reason in opened.failed]
    print_json(facts) if as_json else print_facts(facts)
    return EXIT_OK


def print_facts(facts: dict[str, Any]) -> None:
    """Print what is in a collection: what and how much, its recipe, what failed."""
    images = facts["images"]
    counts = ", ".join(f"{images[state]:,} {state}" for state in images if images[state])
    print(f"{one_line(str(facts['path']))}: {counts or 'no images'}")
    rows = [
        ("images from", one_line(str(facts["image_root"]))),
        ("labels", labels_of(facts)),
        ("recipe", f"{facts['recipe']['name']} ({facts['recipe']['hash'][:12]})"),
        ("generation", f"{facts['generation']:,}"),
    ]
    for name, one in indexes_of(facts).items():
        title = f"index {name}".rstrip()
        what = f"{one['class']}, {one['metric']}, {one['d']:,} dimensions"
        rows.append((title, f"{what}, {human_bytes(one['nbytes'])}"))
    sizes = facts["bytes"]
    parts = ", ".join(f"{name} {human_bytes(n)}" for name, n in sizes.items())
    rows.append(("on disk", f"{human_bytes(sum(sizes.values()))}: {parts}"))
    print_table(rows, left=[0, 1], indent="  ")
    print("\nrecipe")
    print_recipe({key: value for key, value in facts["recipe"].items() if key != "hash"})
    if facts["failed"]:
        print("\ncould not be read")
        for one in facts["failed"]:
            print(f"  {one_line(one['path'])}: {one_line(one['reason'])}")


def indexes_of(facts: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Give the facts of each channel's index; the only channel of a recipe has no name."""
    return facts.get("channels") or {"": facts["index"]}


def labels_of(facts: dict[str, Any]) -> str:
    """Say where the labels came from and how many there are."""
    n = facts["n_labels"]
    return f"{n:,} from {facts['labels']}" if n else "none"


def print_recipe(values: dict[str, Any]) -> None:
    """Print every value of a recipe under its full path, as ``--set`` takes it."""
    print_table(list(flat(values)), left=[0, 1], indent="  ")


def flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield (path, text) of every value in nested tables; entries of lists go by their name."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from flat(one, f"{path}.{key}" if path else str(key))
    elif isinstance(value, (list, tuple)) and any(isinstance(one, dict) for one in value):
        yield path, ", ".join(one["name"] for one in value)
        for one in value:
            options = {key: inner for key, inner in one.items() if key != "name"}
            yield from flat(options, f"{path}.{one['name']}")
    elif isinstance(value, bool):
        yield path, str(value).lower()
    elif isinstance(value, int):
        yield path, f"{value:_}"
    else:
        yield path, one_line(str(list(value) if isinstance(value, tuple) else value))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code."""
    return run(info, argv)
