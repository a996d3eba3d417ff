"""Measure a collection: ``python -m cbir.evaluate OUT.cbir --protocol ukbench --report DIR``.

Thin: `cbir.collection.asking` makes the protocol, `cbir.collection.measuring` ranks, scores and
times, `cbir.commands.evaluation_page` writes the HTML page.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cbir.commands.output import one_line, print_json, print_table
from cbir.commands.pictures import one_of, open_collection
from cbir.commands.progress import Progress, log, set_up_logging
from cbir.commands.running import EXIT_OK, Json, Quiet, Threads, UsageError, run

if TYPE_CHECKING:
    from cbir.collection import Collection
    from cbir.collection.measuring import Evaluation

EXPLAIN = {
    "ns_score": "of the 4 images of the object, how many are in the first 4",
    "accuracy": "the N-S score / 4",
    "map": "mean average precision, step rule",
    "map_trapezoid": "mean average precision, trapezoid rule (Oxford, Paris)",
    "precision@1": "the first answer is right",
}


def evaluate(
    collection: Annotated[
        Path | None, typer.Argument(metavar="COLLECTION", help="The collection to measure.")
    ] = None,
    features: Annotated[
        Path | None, typer.Option("-f", "--features", help="The same as COLLECTION.")
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            metavar="ukbench|leave-one-out|FILE.json|DATASET",
            help="Who asks and what is right: groups of four, the query included; every image "
            "against all others of its label; queries with their own lists; or the queries of a "
            "data set (holidays, oxford5k, paris6k, corel1k, smvs_dvd). Without it the labels "
            "decide between the first two.",
        ),
    ] = None,
    root: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Where DATASET lies, if not where the collection was built from."
        ),
    ] = None,
    missing: Annotated[
        str,
        typer.Option(
            metavar="error|count",
            help="A right answer that isn't in the collection: an error, or one that can't be "
            "found. Pictures that could not be read always count.",
        ),
    ] = "error",
    queries: Annotated[
        int | None,
        typer.Option("--queries", min=1, metavar="N", help="Ask only N queries, spread evenly."),
    ] = None,
    depth: Annotated[
        int | None,
        typer.Option(
            "--depth",
            min=1,
            metavar="K",
            help="Rank only K results a query: quicker, and what needs more is a lower bound.",
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write an HTML report to DIR/index.html."),
    ] = None,
    threads: Threads = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Measure how good and how fast a collection answers.

    The ranking uses the stored vectors of indexed queries. Query time is measured from the file to
    the answer (decode, describe, search) on one thread, over up to 100 queries spread evenly.
    """
    path = one_of(collection, features, "-f")
    if missing not in ("error", "count"):
        raise UsageError(f"--missing {missing!r}: expected error or count.")
    set_up_logging(quiet=quiet)
    opened = open_collection(path)
    if report is not None:
        report.mkdir(parents=True, exist_ok=True)  # what can't be written is told before the work
    from cbir.collection import asking, measuring

    asked = asking.make_protocol(opened, protocol, root=root, missing=missing)  # type: ignore[arg-type]
    if protocol is None:
        log.info("protocol %s, by the labels", asked.name)
    if queries is not None:
        asked = asked.subset(measuring.spread(len(asked), queries))
    with Progress(quiet=quiet) as progress:
        result = measuring.evaluate_collection(
            opened, asked, depth=depth, n_threads=threads, progress=progress
        )
    facts = as_dict(opened, path, result)
    if report is not None:
        from cbir.commands.evaluation_page import write_html

        facts["report"] = write_html(opened, result, facts, report)
    print_json(facts) if as_json else print_result(facts)
    return EXIT_OK


def as_dict(collection: Collection, path: Path, result: Evaluation) -> dict[str, Any]:
    """Give the object that ``--json`` prints."""
    recipe = collection.recipe
    return {
        "collection": str(path),
        "images": collection.ntotal,
        "protocol": result.protocol.name,
        "n_queries": result.n_queries,
        "n_queries_skipped": result.n_queries_skipped,
        "depth": result.depth,
        "metrics": result.metrics,
        "lower_bounds": [name for name in result.metrics if name not in result.exact],
        "notes": list(result.protocol.notes),
        "query_ms": result.query_summary(),
        "seconds": result.seconds,
        "recipe": {**recipe.to_dict(), "hash": recipe.hash},
    }


def print_result(facts: dict[str, Any]) -> None:
    """Print the numbers, one per line."""
    skipped = (
        f", {facts['n_queries_skipped']} without positives skipped"
        if facts["n_queries_skipped"]
        else ""
    )
    print(
        f"{one_line(facts['collection'])}: recipe {facts['recipe']['name']}, "
        f"{facts['images']:,} images; protocol {facts['protocol']}, "
        f"{facts['n_queries']:,} queries{skipped}"
    )
    for note in facts["notes"]:
        print(f"  note: {note}")
    if facts["lower_bounds"]:
        print(f"  note: {facts['depth']:,} results a query were ranked; >= marks lower bounds")
    rows = [
        (
            name,
            f"{'>= ' if name in facts['lower_bounds'] else ''}{value:.4f}",
            EXPLAIN.get(name, ""),
        )
        for name, value in facts["metrics"].items()
    ]
    print_table(rows, left=[0, 2], indent="  ")
    took, width = facts["query_ms"], max(map(len, facts["metrics"]))
    if took["n"]:
        print(
            f"  {'query time':<{width}}  p50 {took['p50']:.1f} ms, p95 {took['p95']:.1f} ms  "
            f"from file to answer, one thread, {took['n']} queries"
        )
    if "report" in facts:
        print(f"  {'report':<{width}}  {one_line(str(facts['report']))}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code."""
    return run(evaluate, argv)
