"""Data sets: ``python -m cbir.datasets list``, ``check``, ``fetch`` or ``render``.

Thin: `cbir.datasets` knows the cards, downloads and renders.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cbir.commands.output import human_bytes, one_line, print_json
from cbir.commands.progress import Progress, set_up_logging
from cbir.commands.running import EXIT_ERROR, EXIT_OK, Function, Json, Quiet, Threads, run
from cbir.errors import ParameterError

ABOUT = "List, check, fetch or render data sets."

Name = Annotated[str, typer.Argument(metavar="NAME", help="A data set, as `list` names it.")]


def list_(as_json: Json = False) -> int:
    """List the data sets cbir has a card of."""
    from cbir import datasets

    known = datasets.cards().values()
    if as_json:
        print_json([card.model_dump() for card in known])
        return EXIT_OK
    for card in known:
        source = f"{len(card.files)} files to fetch" if card.files else "by hand"
        print(
            f"{card.name:10} {card.n_images:>6} images {card.n_queries:>6} queries  "
            f"{card.title} ({source})"
        )
        print(f"{'':10} {card.truth.text}")
        print(f"{'':10} {card.licence}. {card.page}")
    return EXIT_OK


def check(
    name: Name,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where it lies.")],
    as_json: Json = False,
) -> int:
    """Check that a folder holds what the card says; exit code 1 if not."""
    from cbir import datasets

    report = datasets.check(name, folder)
    if as_json:
        print_json(asdict(report))
    else:
        state = "ok" if report.ok else "NOT ok"
        print(f"{name}: {state}, {report.n_images} images in {one_line(report.folder)}")
        for problem in report.problems:
            print(f"  {one_line(problem)}")
    return EXIT_OK if report.ok else EXIT_ERROR


def fetch(
    name: Name,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder [default: datasets/NAME].")
    ] = None,
    retries: Annotated[int, typer.Option(min=0, help="Attempts after the first.")] = 5,
    quiet: Quiet = False,
) -> int:
    """Download a data set that has a public address, and unpack it."""
    set_up_logging(quiet=quiet)
    from cbir import datasets

    with Progress(quiet=quiet, count=human_bytes) as progress:
        paths = datasets.fetch(
            name,
            out or Path("datasets") / name,
            progress=lambda done, total: progress(name, done, total or 0),
            retries=retries,
        )
    for path in paths:
        print(one_line(str(path)))
    return EXIT_OK


def render(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the images.")],
    objects: Annotated[
        int, typer.Option("--objects", "-n", help="How many objects; 4 images each.")
    ] = 50,
    seed: Annotated[int, typer.Option(help="Same seed, same files.")] = 0,
    size: Annotated[str, typer.Option(help="WIDTHxHEIGHT in pixels.")] = "320x240",
    views: Annotated[
        int, typer.Option(help="Images per object; `--labels ukbench` takes 4 for granted.")
    ] = 4,
    threads: Threads = 0,
    quiet: Quiet = False,
) -> int:
    """Make a UKBench-like set of objects that never existed."""
    set_up_logging(quiet=quiet)
    from cbir import datasets

    try:
        width, height = (int(x) for x in size.lower().split("x"))
    except ValueError:
        raise ParameterError(f"size={size!r}, expected WIDTHxHEIGHT such as 320x240") from None
    with Progress(quiet=quiet) as progress:
        paths = datasets.render(
            out,
            objects,
            seed=seed,
            size=(width, height),
            views=views,
            n_threads=threads,
            progress=lambda done, total: progress("render", done, total),
        )
    print(f"{len(paths)} images of {objects} objects in {one_line(str(out))}")
    return EXIT_OK


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code."""
    words: dict[str, Function] = {"list": list_, "check": check, "fetch": fetch, "render": render}
    return run(words, argv, name="datasets", about=ABOUT)
