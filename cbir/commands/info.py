"""Show this installation (``python -m cbir.info``) or a collection (``... OUT.cbir``)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from cbir import _cli


def info(
    collection: Annotated[
        Path | None,
        typer.Argument(metavar="[COLLECTION]", help="A collection; without it, the installation."),
    ] = None,
    features: Annotated[
        Path | None, typer.Option("-f", "--features", help="The same as COLLECTION.")
    ] = None,
    as_json: _cli.Json = False,
) -> int:
    """Show this installation, or what is in a collection."""
    _cli.set_up_logging(quiet=False)
    path = collection or features
    if path is None:
        from cbir import _config

        facts = _config.config()
        _cli.print_json(facts) if as_json else _config.show_config()
        return _cli.EXIT_OK
    from cbir.collection import Collection

    opened = Collection.open(path)
    recipe = {
        **opened.recipe.model_dump(mode="json", exclude_none=True),
        "hash": opened.recipe.hash,
    }
    failed = [{"path": name, "reason": reason} for name, reason in opened.failed]
    facts = {**opened.info(), "recipe": recipe, "failed": failed}
    facts.pop("recipe_hash", None)
    _cli.print_json(facts) if as_json else print_facts(facts)
    return _cli.EXIT_OK


def print_facts(facts: dict[str, Any], indent: str = "") -> None:
    """Print nested facts: a value per line, names aligned, tables and lists indented."""
    simple = {
        name: value for name, value in facts.items() if not isinstance(value, (dict, list, tuple))
    }
    width = max((len(name) for name in simple), default=0)
    for name, value in facts.items():
        flat = isinstance(value, (list, tuple)) and not any(isinstance(v, dict) for v in value)
        if isinstance(value, dict) and value:
            print(f"{indent}{name}")
            print_facts(value, indent + "  ")
        elif isinstance(value, (list, tuple)) and value and not flat:
            print(f"{indent}{name}")
            for one in value:
                text = ": ".join(map(str, one.values())) if isinstance(one, dict) else str(one)
                print(f"{indent}  {_cli.one_line(text)}")
        else:
            print(f"{indent}{name:<{width}}  {_cli.one_line(_say(name, value))}")


def _say(name: str, value: Any) -> str:
    if value is None or (isinstance(value, (dict, list, tuple)) and not value):
        return "-"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    if isinstance(value, (int, float)) and not isinstance(value, bool) and "bytes" in name:
        return f"{value:,.0f} ({_cli.human_bytes(value)})"
    return str(value)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code."""
    return _cli.run(info, argv)


if __name__ == "__main__":
    sys.exit(main())
