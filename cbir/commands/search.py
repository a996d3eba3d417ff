"""Ask a collection: ``python -m cbir.search OUT.cbir QUERY.jpg -k 12 --montage answer.png``.

Thin: `cbir.collection.Collection.search` answers, `cbir.report.montage` draws. Several queries are
answered one after another; one that can't be read is told on stderr and stands in the JSON with its
error, the others are answered, and the exit code is 1.

A query in which not one keypoint is found (a blank page) is like nothing: under a recipe of local
features alone it gets no results, a warning and exit code 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cbir.commands.output import one_line, print_json, print_table
from cbir.commands.pictures import id_of_file, open_collection
from cbir.commands.progress import log, set_up_logging
from cbir.commands.running import EXIT_ERROR, EXIT_OK, Json, Quiet, Threads, UsageError, run
from cbir.errors import ImageError, ParameterError

if TYPE_CHECKING:
    from cbir.collection import Collection
    from cbir.types import Region

DRAWN = (".png", ".jpg", ".jpeg", ".webp")
HEADS = {"l2": "distance²", "l1": "distance"}


def search(
    collection: Annotated[
        Path | None, typer.Argument(metavar="COLLECTION", help="The collection to ask.")
    ] = None,
    query: Annotated[
        list[Path] | None, typer.Argument(metavar="QUERY", help="Images to ask for.")
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option("-f", "--features", help="The collection, instead of the argument."),
    ] = None,
    image: Annotated[
        list[Path] | None,
        typer.Option("-i", "--image", metavar="QUERY", help="A query image, as QUERY; repeatable."),
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, metavar="K", help="Answers per query.")] = 12,
    threshold: Annotated[
        float | None,
        typer.Option(
            metavar="T",
            help="Leave out answers that score below T (with distances: that are farther than T).",
        ),
    ] = None,
    exclude_self: Annotated[
        bool,
        typer.Option(
            "--exclude-self", help="Leave the query out of its answers, where it is indexed itself."
        ),
    ] = False,
    region: Annotated[
        str | None,
        typer.Option(metavar="X,Y,W,H", help="Look only at this part of the query, in its pixels."),
    ] = None,
    montage: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT.png",
            help="Draw query and answers as one picture; of several queries OUT-1.png, OUT-2.png.",
        ),
    ] = None,
    threads: Threads = 0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Find the images of a collection that show what a query image shows.

    A query in which no keypoint is found (a blank page) gets no answers but a warning, unless the
    recipe looks at colours or the like as well.
    """
    given = [path for path in (collection, *(query or [])) if path is not None]
    if features is None:
        if not given:
            raise UsageError("name a collection and a query image.")
        features = given.pop(0)
    queries = given + list(image or [])
    if not queries:
        raise UsageError("name a query image.")
    if threshold is not None and math.isnan(threshold):
        raise UsageError("--threshold is nan: expected a number.")
    if montage is not None and montage.suffix.lower() not in DRAWN:
        raise UsageError(f"--montage {montage}: expected a name that ends in {', '.join(DRAWN)}.")
    box = parse_region(region)
    set_up_logging(quiet=quiet)
    opened = open_collection(features, queries)
    answers: list[dict[str, Any]] = []
    for number, one in enumerate(queries, start=1):
        try:
            answer = ask(
                opened,
                one,
                k,
                region=box,
                threshold=threshold,
                exclude_self=exclude_self,
                n_threads=threads,
            )
        except (ImageError, OSError) as error:
            if len(queries) == 1:
                raise
            log.error("%s", error)
            answers.append({"path": str(one), "error": str(error)})
            continue
        answers.append(answer)
        if not as_json:
            print_answer(opened, answer, blank_before=number > 1)
        if montage is not None:
            out = montage
            if len(queries) > 1:
                out = montage.with_name(f"{montage.stem}-{number}{montage.suffix}")
            draw(opened, answer, out)
            log.info("montage: %s", out)
    if as_json:
        print_json({"collection": features, "metric": metric(opened), "queries": answers})
    return EXIT_ERROR if any("error" in answer for answer in answers) else EXIT_OK


def parse_region(text: str | None) -> Region | None:
    """Read "x,y,w,h" in pixels."""
    if text is None:
        return None
    try:
        x, y, w, h = (float(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(f"--region {text!r}: expected four numbers x,y,w,h.") from None
    if not (min(x, y) >= 0 and min(w, h) > 0 and max(x, y, w, h) < float("inf")):
        raise typer.BadParameter(f"--region {text!r}: x and y are 0 or more, w and h above 0.")
    return x, y, w, h


def ask(
    collection: Collection,
    query: Path,
    k: int,
    *,
    region: Region | None = None,
    threshold: float | None = None,
    exclude_self: bool = False,
    n_threads: int = 0,
) -> dict[str, Any]:
    """Answer one query as ``--json`` prints it: path, label, keypoints, results.

    ``keypoints`` is how many were found; None where no channel of the recipe looks for any.
    """
    try:
        described = collection.describe(query, region)
    except ParameterError as error:  # the region lies outside this picture
        raise ImageError(f"{query}: {error}") from None
    own = id_of_file(collection, query)
    hits: list[tuple[int, float]] = []
    if described.n_keypoints != 0 or looks_at_more_than_keypoints(collection):
        exclude = [own] if exclude_self and own is not None else None
        most = min(k, max(1, collection.ntotal))  # room for more would be filled with no hits
        found = collection.search(described, most, exclude=exclude, n_threads=n_threads)
        hits = [(int(i), float(s)) for s, i in zip(found.D[0], found.I[0], strict=True) if i >= 0]
    if described.n_keypoints == 0:
        left = "the other features answer alone" if hits else "nothing can be like it"
        where = " in the region" if region else ""
        log.warning("%s: no keypoints found%s; %s", query, where, left)
    if threshold is not None:
        far = collection.pipeline.ascending
        hits = [(i, s) for i, s in hits if (s <= threshold if far else s >= threshold)]
    ids = [i for i, _ in hits]
    rows = zip(hits, collection.paths(ids), collection.labels(ids), strict=True)
    return {
        "path": str(query),
        "label": None if own is None else collection.labels([own])[0],
        "keypoints": described.n_keypoints,
        "results": [
            {"rank": rank, "id": i, "path": path, "score": score, "label": label}
            for rank, ((i, score), path, label) in enumerate(rows, start=1)
        ],
    }


def looks_at_more_than_keypoints(collection: Collection) -> bool:
    """Whether a channel describes the whole picture, so that a blank one can still be compared."""
    from cbir.types import Bags

    channels = collection.pipeline.channels.values()
    return any(channel.feature.gives is not Bags for channel in channels)


def metric(collection: Collection) -> str:
    """Name what the numbers are: "cosine", "l2", ...; "score" where several channels are fused."""
    channels = list(collection.recipe.channels.values())
    return str(channels[0].index.metric) if len(channels) == 1 else "score"


def print_answer(collection: Collection, answer: dict[str, Any], *, blank_before: bool) -> None:
    """Print one answer as a table."""
    if blank_before:
        print()
    label = f"  (label {answer['label']})" if answer["label"] is not None else ""
    print(one_line(answer["path"]) + label)
    if not answer["results"]:
        print("  no results")
        return
    labelled = any(one["label"] is not None for one in answer["results"])
    rows = [
        [
            str(one["rank"]),
            f"{one['score']:.4f}",
            str(one["id"]),
            *([one_line(one["label"] or "-")] if labelled else []),
            one_line(one["path"]),
        ]
        for one in answer["results"]
    ]
    head = [
        "rank",
        HEADS.get(metric(collection), "score"),
        "id",
        *(["label"] if labelled else []),
        "path",
    ]
    print_table(rows, head=head, left=[len(head) - 1])


def draw(collection: Collection, answer: dict[str, Any], out: Path) -> None:
    """Draw query and answers; green and red borders where the query's label is known."""
    from cbir import report
    from cbir.commands.tiles import TILE, columns_for, load_tile, tile_of

    truth = None
    if answer["label"] is not None:
        truth = [one["label"] == answer["label"] for one in answer["results"]]
    results = answer["results"]
    picture = report.montage(
        tile_of(Path(answer["path"])),
        [load_tile(collection, one["id"]) for one in results],
        truth=truth,
        captions=[(Path(one["path"]).name, f"{one['score']:.3f}") for one in results],
        query_caption=Path(answer["path"]).name,
        columns=columns_for(1 + len(results)),
        tile=TILE,
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    picture.save(out)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code."""
    return run(search, argv)
