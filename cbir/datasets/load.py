"""A data set as it lies on disk: its images, their labels, and queries with their lists where it
has such.

The truth rule of the card says how: see `_RULES`. A new rule is one function there and its name in
`card.Truth`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from cbir.datasets.card import Card, card, image_paths
from cbir.datasets.labels import folder_labels, resolve_labels
from cbir.errors import FormatError, ParameterError


@dataclass(frozen=True)
class Query:
    """A query with its own lists. `region` is (x, y, width, height) in pixels of the image, None
    for all of it.
    """

    path: str
    relevant: list[str]
    junk: list[str] = field(default_factory=list)
    region: tuple[float, float, float, float] | None = None


@dataclass(frozen=True)
class Dataset:
    """Images below `folder` (relative POSIX paths, natural order), one label each, and queries
    where they are named.

    Without `queries` every labelled image is a query: UKBench with itself in the database, others
    without. `database` are the images that may answer, where some only ask; None: all.
    """

    card: Card
    folder: Path
    paths: list[str]
    labels: list[str | None]
    queries: list[Query] = field(default_factory=list)
    database: list[str] | None = None


def load(name: str, root: str | Path) -> Dataset:
    """Find a data set in `root`.

    Raises
    ------
    ParameterError when the name is unknown or `root` holds none of its images, FormatError when its
    truth files are missing or wrong.
    """
    this = card(name)
    paths = image_paths(this, root)
    folder = this.image_folder(root)
    if not paths:
        raise ParameterError(
            f"{name}: {folder} holds no {this.pattern}; `python -m cbir.datasets fetch {name}`?"
        )
    return Dataset(this, folder, paths, *_RULES[this.truth.rule](this, Path(root), paths))


_Truth = tuple[list[str | None], list[Query], list[str] | None]


def _number(path: str) -> int:
    digits = re.search(r"([0-9]+)\.[A-Za-z]+$", path)
    if not digits:
        raise FormatError(f"{path!r} has no number in its name")
    return int(digits[1])


def _ukbench(this: Card, root: Path, paths: list[str]) -> _Truth:
    return resolve_labels("ukbench", paths), [], None


def _folders(this: Card, root: Path, paths: list[str]) -> _Truth:
    return folder_labels(paths), [], None


def _holidays(this: Card, root: Path, paths: list[str]) -> _Truth:
    groups: dict[int, list[str]] = {}
    for path in paths:
        if not re.fullmatch(r"[0-9]{6}", PurePosixPath(path).stem):
            raise FormatError(f"{this.name}: {path!r} has no name of six digits (100000.jpg)")
        groups.setdefault(_number(path) // 100, []).append(path)
    queries = [
        Query(path, relevant=[p for p in groups[_number(path) // 100] if p != path], junk=[path])
        for path in paths
        if _number(path) % 100 == 0
    ]
    return [str(_number(p) // 100) for p in paths], queries, None


def _blocks(this: Card, root: Path, paths: list[str]) -> _Truth:
    labels: list[str | None] = []
    for path in paths:
        top = PurePosixPath(path).parts[0]
        per_class = this.truth.per_class.get(top)
        labels.append(None if per_class is None else str(_number(path) // per_class))
    database = [(p, x) for p, x in zip(paths, labels, strict=True) if not p.startswith("queries/")]
    queries = [
        Query(path, relevant=[p for p, x in database if x == label])
        for path, label in zip(paths, labels, strict=True)
        if path.startswith("queries/")
    ]
    return labels, queries, [path for path, _ in database]


def _pairs(this: Card, root: Path, paths: list[str]) -> _Truth:
    known = set(paths)
    queries = []
    for path in paths:
        if path.startswith(f"{this.truth.queries}/"):
            match = f"{this.truth.database}/{PurePosixPath(path).name}"
            if match not in known:
                raise FormatError(f"{this.name}: {path} has no {match}")
            queries.append(Query(path, [match]))
    database = [p for p in paths if not p.startswith(f"{this.truth.queries}/")]
    return [PurePosixPath(p).stem for p in paths], queries, database


def _oxford(this: Card, root: Path, paths: list[str]) -> _Truth:
    """Files NAME_K_query.txt (image and box), NAME_K_good.txt, _ok.txt, _junk.txt, as their
    publishers wrote them.
    """
    by_stem = {PurePosixPath(p).stem: p for p in paths}
    truth = root / (this.truth.folder or ".")
    labels: dict[str, str] = {}
    queries = []

    def listed(stem: str, kind: str) -> list[str]:
        names = (truth / f"{stem}_{kind}.txt").read_text(encoding="ascii").split()
        # One that isn't there is named all the same: left out, it would cost no recall.
        return [by_stem.get(n, f"{n}.jpg") for n in names]

    for file in sorted(truth.glob("*_query.txt")):
        stem = file.name.removesuffix("_query.txt")
        try:
            name, *box = file.read_text(encoding="ascii").split()
            x0, y0, x1, y1 = map(float, box)
            image = by_stem[name.removeprefix("oxc1_")]
            relevant = listed(stem, "good") + listed(stem, "ok")
            queries.append(Query(image, relevant, listed(stem, "junk"), (x0, y0, x1 - x0, y1 - y0)))
        except (OSError, ValueError, KeyError) as error:
            raise FormatError(f"{this.name}: {file}: {error!r}") from error
        labels.update((path, re.sub(r"_[0-9]+$", "", stem)) for path in relevant)
    if not queries:
        raise FormatError(f"{this.name}: {truth} holds no *_query.txt")
    return [labels.get(p) for p in paths], queries, None


_RULES: dict[str, Callable[[Card, Path, list[str]], _Truth]] = {
    "ukbench": _ukbench,
    "folders": _folders,
    "holidays": _holidays,
    "blocks": _blocks,
    "pairs": _pairs,
    "oxford": _oxford,
}
