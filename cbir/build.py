"""Index a folder of images: ``python -m cbir.build IMAGES -o OUT.cbir --recipe bow``.

Thin: `cbir.recipe.Recipe.load` resolves the recipe, `cbir.collection.Collection.build` does the
work. The same command run again on a finished collection changes nothing, and on one that was
interrupted goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cbir import _cli

if TYPE_CHECKING:
    from cbir.collection import BuildReport

SHOWN_FAILURES = 20


def build(
    out: Annotated[
        Path, typer.Option("-o", "--out", "--output", help="The collection to make: a folder.")
    ],
    images: Annotated[
        Path | None, typer.Argument(metavar="IMAGES", help="Folder of images, walked recursively.")
    ] = None,
    dataset: Annotated[
        Path | None, typer.Option("-d", "--dataset", help="The same as IMAGES.")
    ] = None,
    recipe: Annotated[
        str, typer.Option(metavar="NAME|FILE.toml", help="How an image becomes an answer (below).")
    ] = "bow",
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="Change one value of the recipe; repeatable."
        ),
    ] = None,
    labels: Annotated[
        str,
        typer.Option(
            metavar="ukbench|folders|none|FILE.csv",
            help="What the images show: four in a row the same object, one folder per class, "
            "nothing known, or a table of path,label.",
        ),
    ] = "none",
    threads: _cli.Threads = 0,
    seed: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Seed of everything random; as --set seed=N."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first bad image instead of skipping it.")
    ] = False,
    as_json: _cli.Json = False,
    quiet: _cli.Quiet = False,
) -> int:
    """Index a folder of images as a collection.

    Interrupted or killed, the same command goes on where it stopped.
    """
    if (images is None) == (dataset is None):
        raise _cli.UsageError("give the folder of images once, as IMAGES or with -d.")
    _cli.set_up_logging(quiet=quiet)
    from cbir.collection import Collection
    from cbir.recipe import Recipe

    changes = list(overrides or [])
    if seed is not None:
        changes.append(f"seed={seed}")
    resolved = Recipe.load(recipe, overrides=changes)
    with _cli.Progress(quiet=quiet) as progress:
        report = Collection.build(
            images or dataset,  # type: ignore[arg-type]  # one of them is given
            out,
            resolved,
            labels=labels,
            n_threads=threads,
            strict=strict,
            progress=progress,
        )
    for path, reason in report.failed[:SHOWN_FAILURES]:
        _cli.log.warning("skipped %s: %s", path, reason)
    if len(report.failed) > SHOWN_FAILURES:
        hidden = len(report.failed) - SHOWN_FAILURES
        _cli.log.warning("skipped %d more; 'cbir info %s' lists all", hidden, out)
    if as_json:
        _cli.print_json(as_dict(report))
    else:
        print_report(report, out)
    return _cli.EXIT_OK


def as_dict(report: BuildReport) -> dict[str, Any]:
    """Give the object that ``--json`` prints."""
    return {
        "images": {"seen": report.seen, "indexed": report.indexed, "failed": len(report.failed)},
        "failed": [{"path": path, "reason": reason} for path, reason in report.failed],
        "seconds": {**report.seconds, "total": sum(report.seconds.values())},
        "bytes_per_image": report.bytes_per_image,
        "feature_bytes_per_image": report.feature_bytes_per_image,
        "peak_memory_bytes": report.peak_memory_bytes,
        "generation": report.generation,
    }


def print_report(report: BuildReport, out: Path) -> None:
    """Print what was built as a few aligned lines."""
    failed = f", {len(report.failed):,} skipped" if report.failed else ""
    print(
        f"{_cli.one_line(str(out))}: {report.indexed:,} of {report.seen:,} images indexed{failed}"
    )
    rows = [(f"{stage} time", f"{seconds:.1f} s") for stage, seconds in report.seconds.items()]
    rows += [
        ("total time", f"{sum(report.seconds.values()):.1f} s"),
        ("index", f"{_cli.human_bytes(report.bytes_per_image)} per image"),
        ("features", f"{_cli.human_bytes(report.feature_bytes_per_image)} per image"),
        ("peak memory", _cli.human_bytes(report.peak_memory_bytes)),
    ]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"  {name:<{width}}  {value}")


def recipe_help() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield the recipes and every key that ``--set`` takes (imports late)."""
    from cbir import _recipe_help

    return _recipe_help.recipe_help()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code."""
    return _cli.run(build, argv, more_help=recipe_help)


if __name__ == "__main__":
    sys.exit(main())
