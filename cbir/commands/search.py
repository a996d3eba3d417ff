"""Ask a collection: ``python -m cbir.search OUT.cbir QUERY.jpg -k 12 --montage answer.png``.

Thin: `cbir.collection.Collection.search` answers, `cbir.report.montage` draws. Several queries are
answered one after another; one that can't be read is told on stderr, the others are answered, and
the exit code is 1.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cbir import _cli
from cbir.errors import ImageError

if TYPE_CHECKING:
    from cbir.collection import Collection

TILE = 200
Region = tuple[int, int, int, int]


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
    threads: _cli.Threads = 0,
    as_json: _cli.Json = False,
    quiet: _cli.Quiet = False,
) -> int:
    """Find the images of a collection that show what a query image shows."""
    given = [path for path in (collection, *(query or [])) if path is not None]
    if features is None:
        if not given:
            raise _cli.UsageError("name a collection and a query image.")
        features = given.pop(0)
    queries = given + list(image or [])
    if not queries:
        raise _cli.UsageError("name a query image.")
    box = parse_region(region)
    _cli.set_up_logging(quiet=quiet)
    from cbir.collection import Collection

    opened = Collection.open(features)
    ids = opened.ids.tolist()
    names = dict(zip(opened.paths(ids), ids, strict=True))
    answers, code = [], _cli.EXIT_OK
    for number, one in enumerate(queries, start=1):
        try:
            answer = ask(opened, one, k, region=box, n_threads=threads)
            answer["label"] = query_label(opened, names, one)
        except (ImageError, FileNotFoundError, IsADirectoryError, PermissionError) as error:
            if len(queries) == 1:
                raise
            logging.getLogger("cbir").error("%s", error)
            code = _cli.EXIT_ERROR
            continue
        answers.append(answer)
        if not as_json:
            print_answer(opened, answer, blank_before=number > 1)
        if montage is not None:
            out = montage
            if len(queries) > 1:
                out = montage.with_name(f"{montage.stem}-{number}{montage.suffix}")
            draw(opened, answer, out)
            _cli.log.info("montage: %s", out)
    if as_json:
        _cli.print_json({"collection": features, "metric": metric(opened), "queries": answers})
    return code


def parse_region(text: str | None) -> Region | None:
    """Read "x,y,w,h" in whole pixels."""
    if text is None:
        return None
    try:
        x, y, w, h = (int(part) for part in text.split(","))
    except ValueError:
        raise typer.BadParameter(
            f"--region {text!r}: expected four whole numbers x,y,w,h."
        ) from None
    if min(x, y) < 0 or min(w, h) < 1:
        raise typer.BadParameter(f"--region {text!r}: x and y are 0 or more, w and h 1 or more.")
    return x, y, w, h


def ask(
    collection: Collection, query: Path, k: int, *, region: Region | None = None, n_threads: int = 0
) -> dict[str, Any]:
    """Answer one query as ``--json`` prints it: path, label, results."""
    found = collection.search(query, k, region=region, n_threads=n_threads)
    hits = [(int(i), float(s)) for s, i in zip(found.D[0], found.I[0], strict=True) if i >= 0]
    ids = [i for i, _ in hits]
    rows = zip(hits, collection.paths(ids), collection.labels(ids), strict=True)
    return {
        "path": str(query),
        "label": None,
        "results": [
            {"rank": rank, "id": i, "path": path, "score": score, "label": label}
            for rank, ((i, score), path, label) in enumerate(rows, start=1)
        ],
    }


def query_label(collection: Collection, names: dict[str, int], query: Path) -> str | None:
    """Give the label of a query that is itself an image of the collection, else None."""
    try:
        relative = query.resolve().relative_to(Path(collection.image_root).resolve()).as_posix()
    except ValueError:
        return None
    return collection.labels([names[relative]])[0] if relative in names else None


def metric(collection: Collection) -> str:
    """Name what a score is: a similarity ("cosine", ...) or a distance ("l2", "l1")."""
    return str(collection.recipe.index.metric)


def print_answer(collection: Collection, answer: dict[str, Any], *, blank_before: bool) -> None:
    """Print one answer as a table."""
    if blank_before:
        print()
    label = f"  (label {answer['label']})" if answer["label"] is not None else ""
    print(_cli.one_line(answer["path"]) + label)
    heads = {"l2": "distance²", "l1": "distance"}
    labelled = any(one["label"] is not None for one in answer["results"])
    rows = [
        [
            str(one["rank"]),
            f"{one['score']:.4f}",
            str(one["id"]),
            *([_cli.one_line(one["label"] or "-")] if labelled else []),
            _cli.one_line(one["path"]),
        ]
        for one in answer["results"]
    ]
    head = [
        "rank",
        heads.get(metric(collection), "score"),
        "id",
        *(["label"] if labelled else []),
        "path",
    ]
    _cli.print_table(rows, head=head, left=[len(head) - 1])


def draw(collection: Collection, answer: dict[str, Any], out: Path) -> None:
    """Draw query and answers; green and red borders where the query's label is known."""
    from cbir import images, report

    truth = None
    if answer["label"] is not None:
        truth = [one["label"] == answer["label"] for one in answer["results"]]
    results = answer["results"]
    picture = report.montage(
        images.decode(Path(answer["path"]), max_side=2 * TILE),
        [load_tile(collection, one["id"]) for one in results],
        truth=truth,
        captions=[(Path(one["path"]).name, f"{one['score']:.3f}") for one in results],
        query_caption=Path(answer["path"]).name,
        columns=columns_for(1 + len(results)),
        tile=TILE,
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        picture.save(out)
    except ValueError as error:  # Pillow does not know the suffix
        raise ImageError(f"search: --montage {out}: {error}; use .png or .jpg") from None


def columns_for(n_tiles: int) -> int:
    """Choose 4 to 7 tiles per row: the last row as full as can be, then the fewest."""
    return min(range(4, 8), key=lambda columns: (-n_tiles % columns, columns))


def load_tile(collection: Collection, image_id: int, side: int = 2 * TILE) -> Any:
    """Decode an indexed image for showing; its path where the file has gone or can't be read."""
    from cbir import images

    path = collection.image_path(image_id)
    try:
        return images.decode(path, max_side=side)
    except (ImageError, OSError):
        return path  # the montage and the report draw a grey tile that says so


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code."""
    return _cli.run(search, argv)


if __name__ == "__main__":
    sys.exit(main())
