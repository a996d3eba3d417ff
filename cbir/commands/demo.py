"""Everything once, without data: ``python -m cbir.demo --out demo``.

Renders a small set of objects, indexes it with each named recipe, asks for one picture, measures
all and writes a report per recipe. Thin: every step is the command that a person would type, and
is shown before it runs. Run again, it finds the collections built and is done in seconds.
"""

from __future__ import annotations

import contextlib
import io
import json
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from cbir.commands.output import print_table
from cbir.commands.running import EXIT_OK, Quiet, Threads, run

RECIPES = ("bow", "vlad", "colour", "bow-colour")


class _StepFailedError(Exception):
    def __init__(self, code: int) -> None:
        self.code = code


def demo(
    out: Annotated[
        Path, typer.Option("-o", "--out", "--output", help="Folder for all that is made.")
    ] = Path("demo"),
    objects: Annotated[
        int, typer.Option("-n", "--objects", min=2, help="Objects to render, four images each.")
    ] = 60,
    threads: Threads = 0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the rendered set.")] = 0,
    quiet: Quiet = False,
) -> int:
    """Render a small set, index it with four recipes, and report on each."""
    from cbir.commands import build, datasets, evaluate, search

    images = out / "images"
    common = ["--threads", str(threads)] + (["--quiet"] if quiet else [])
    query = images / f"ukbench{4 * (objects // 2):05d}.jpg"
    rendering = ["-n", str(objects), "--seed", str(seed), *common]
    rows = []
    try:
        _step("datasets", datasets.main, ["render", "-o", str(images), *rendering])
        for recipe in RECIPES:
            collection = str(out / f"{recipe}.cbir")
            indexing = ["-o", collection, "--recipe", recipe, "--labels", "ukbench"]
            _step("build", build.main, [str(images), *indexing, *common])
            montage = ["-k", "7", "--montage", str(out / f"answer-{recipe}.png")]
            _step("search", search.main, [collection, str(query), *montage, *common])
            measuring = ["--protocol", "ukbench", "--report", str(out / f"report-{recipe}")]
            facts = _json_of("evaluate", evaluate.main, [collection, *measuring, *common, "--json"])
            metrics, took = facts["metrics"], facts["query_ms"]
            scores = [f"{metrics[name]:.3f}" for name in ("ns_score", "map", "precision@1")]
            rows.append([recipe, *scores, f"{took['p50']:.1f}"])
    except _StepFailedError as failed:
        return failed.code
    print()
    print_table(rows, head=["recipe", "N-S (of 4)", "mAP", "P@1", "query ms"], left=[0])
    print(f"\nLook at {out}/:")
    for recipe in RECIPES:
        print(f"  {f'report-{recipe}/index.html':30} answer-{recipe}.png")
    print("  images/ (rendered; python -m cbir.search takes any picture as a query)")
    return EXIT_OK


def _step(name: str, main: Callable[[Sequence[str]], int], arguments: list[str]) -> None:
    """Show a command and run it."""
    print(f"\n$ python -m cbir.{name} {shlex.join(arguments)}", flush=True)
    if code := main(arguments):
        raise _StepFailedError(code)


def _json_of(
    name: str, main: Callable[[Sequence[str]], int], arguments: list[str]
) -> dict[str, Any]:
    """Run a command with ``--json`` and give what it printed."""
    out = io.StringIO()
    print(f"\n$ python -m cbir.{name} {shlex.join(arguments)}", flush=True)
    with contextlib.redirect_stdout(out):
        code = main(arguments)
    if code:
        raise _StepFailedError(code)
    return dict(json.loads(out.getvalue()))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code."""
    return run(demo, argv)
