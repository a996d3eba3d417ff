"""``python -m cbir.datasets list|check|fetch|render``: results on stdout, everything else on
stderr.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from tqdm import tqdm

from cbir import datasets
from cbir.errors import CbirError, ParameterError

app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__
)

Json = Annotated[bool, typer.Option("--json", help="print JSON")]
Name = Annotated[str, typer.Argument(help="data set, see `list`")]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the data sets cbir has a card of."""
    known = datasets.cards().values()
    if as_json:
        typer.echo(json.dumps([c.model_dump() for c in known], indent=2))
        return
    for card in known:
        source = f"{len(card.files)} files to fetch" if card.files else "by hand"
        typer.echo(
            f"{card.name:10} {card.n_images:>6} images {card.n_queries:>6} queries  "
            f"{card.title} ({source})"
        )
        typer.echo(f"{'':10} {card.truth.text}")
        typer.echo(f"{'':10} {card.licence}. {card.page}")


@app.command()
def check(
    name: Name,
    folder: Annotated[Path, typer.Argument(help="where it lies")],
    as_json: Json = False,
) -> None:
    """Count the images and truth files of a folder; exit code 1 when they aren't what the card
    says.
    """
    report = datasets.check(name, folder)
    if as_json:
        typer.echo(json.dumps(asdict(report), indent=2))
    else:
        state = "ok" if report.ok else "NOT ok"
        typer.echo(f"{name}: {state}, {report.n_images} images in {report.folder}")
        for problem in report.problems:
            typer.echo(f"  {problem}")
    raise typer.Exit(0 if report.ok else 1)


@app.command()
def fetch(
    name: Name,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="folder [default: datasets/NAME]")
    ] = None,
    retries: Annotated[int, typer.Option(min=0, help="attempts after the first")] = 5,
) -> None:
    """Download a data set that has a public address, and unpack it."""
    folder = out or Path("datasets") / name
    with tqdm(unit="B", unit_scale=True, file=sys.stderr, disable=not sys.stderr.isatty()) as bar:

        def progress(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        for path in datasets.fetch(name, folder, progress=progress, retries=retries):
            typer.echo(str(path))


@app.command()
def render(
    out: Annotated[Path, typer.Option("--out", "-o", help="folder for the images")],
    objects: Annotated[
        int, typer.Option("--objects", "-n", help="how many objects; 4 images each")
    ] = 50,
    seed: Annotated[int, typer.Option(help="same seed, same files")] = 0,
    size: Annotated[str, typer.Option(help="WIDTHxHEIGHT in pixels")] = "320x240",
    views: Annotated[
        int, typer.Option(help="images per object; `--labels ukbench` takes 4 for granted")
    ] = 4,
    threads: Annotated[int, typer.Option(help="0 = all CPUs")] = 0,
) -> None:
    """Make a UKBench-like set: photographs of objects that never existed."""
    try:
        width, height = (int(x) for x in size.lower().split("x"))
    except ValueError:
        raise ParameterError(f"size={size!r}, expected WIDTHxHEIGHT such as 320x240") from None
    with tqdm(
        total=objects, unit="object", file=sys.stderr, disable=not sys.stderr.isatty()
    ) as bar:

        def advance(done: int, _: int) -> None:
            bar.update(done - bar.n)

        paths = datasets.render(
            out,
            objects,
            seed=seed,
            size=(width, height),
            views=views,
            n_threads=threads,
            progress=advance,
        )
    typer.echo(f"{len(paths)} images of {objects} objects in {out}")


def main(args: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code: 0 done, 1 an error (said on stderr), 2 wrong
    usage.
    """
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s", stream=sys.stderr)
    try:
        app(None if args is None else list(args), standalone_mode=True)
    except CbirError as error:
        typer.echo(f"error: {error}", err=True)
        return 1
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
