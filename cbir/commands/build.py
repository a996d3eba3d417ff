"""Index images: ``python -m cbir.build IMAGES -o OUT.cbir --recipe bow``.

Thin: `cbir.recipe.Recipe.load` resolves the recipe, `cbir.collection.Collection.build` does the
work. The same command run again on a finished collection changes nothing, and on one that was
interrupted goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from cbir.commands.changes import tell
from cbir.commands.pictures import listed_pictures
from cbir.commands.progress import Progress, set_up_logging
from cbir.commands.running import Json, Quiet, Threads, UsageError, run
from cbir.errors import ParameterError


def build(
    out: Annotated[
        Path, typer.Option("-o", "--out", "--output", help="The collection to make: a folder.")
    ],
    images: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="IMAGES",
            help="A folder of images, walked recursively; or files; or - for a list on stdin.",
        ),
    ] = None,
    dataset: Annotated[
        Path | None, typer.Option("-d", "--dataset", help="The same as IMAGES.")
    ] = None,
    files_from: Annotated[
        Path | None,
        typer.Option(
            "--files-from",
            metavar="FILE",
            help="Index the files listed in FILE, one a line (or NUL between); - is stdin.",
        ),
    ] = None,
    recipe: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE.toml",
            help="How an image becomes an answer; 'cbir recipes' lists the named ones.",
        ),
    ] = "bow",
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change one value of the recipe; repeatable. 'cbir recipes NAME' shows them all.",
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="ukbench|folders|none|FILE.csv",
            help="What the images show: four in a row the same object, one folder per class, "
            "nothing known, or a table of path,label; left out: as before, at first none.",
        ),
    ] = None,
    threads: Threads = 0,
    seed: Annotated[
        int | None,
        typer.Option(min=0, metavar="N", help="Seed of everything random; as --set seed=N."),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Stop at the first bad image instead of skipping it.")
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Index images as a collection.

    Interrupted or killed, the same command goes on where it stopped.
    """
    if images and dataset:
        raise UsageError("give images once, as IMAGES or with -d.")
    pictures = listed_pictures(images or ([dataset] if dataset else []), files_from)
    if out.exists() and not out.is_dir():
        raise ParameterError(f"{out}: is a file, and a collection is a folder; name a new one")
    set_up_logging(quiet=quiet)
    from cbir.collection import Collection
    from cbir.recipe import Recipe

    changes = list(overrides or [])
    if seed is not None:
        changes.append(f"seed={seed}")
    resolved = Recipe.load(recipe, changes)
    with Progress(quiet=quiet) as progress:
        report = Collection.build(
            pictures,
            out,
            resolved,
            labels=labels,
            n_threads=threads,
            strict=strict,
            progress=progress,
        )
    return tell(report, out, as_json=as_json)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code."""
    return run(build, argv)
