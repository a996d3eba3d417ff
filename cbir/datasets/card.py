"""The card of a data set: where it comes from, under which licence, how many images, and what
counts as right.

A card is a TOML file in ``cbir/datasets/cards``; `Card` is its schema. A key that isn't in the
schema is an error, so a misspelt card fails its test and not its reader. A card whose publisher
gives no checksum has none; `check` then counts the files, which finds a cut download or a wrong
folder, though not an altered picture.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cbir.datasets.natural import natural_key
from cbir.errors import FormatError, ParameterError

CARDS = Path(__file__).parent / "cards"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class File(_Strict):
    """One file to fetch."""

    url: str = Field(description="address; archives (.tar, .tgz, .zip, ...) are unpacked")
    sha256: str | None = Field(
        None, pattern="^[0-9a-f]{64}$", description="checksum of the file, where published"
    )
    into: str = Field(".", description="folder below the data set's into which it goes")
    max_bytes: int = Field(20 * 2**30, gt=0, description="give up beyond this size")


class Truth(_Strict):
    """What is relevant to a query."""

    rule: Literal["ukbench", "folders", "holidays", "oxford", "blocks", "pairs"]
    text: str
    folder: str | None = None
    per_class: dict[str, int] = Field(default_factory=dict)
    database: str | None = None
    queries: str | None = None


class Card(_Strict):
    """Everything cbir knows of a data set without having it."""

    name: str
    title: str
    paper: str
    page: str
    licence: str
    n_images: int
    n_queries: int
    pattern: str
    folder: str
    notes: str
    truth: Truth
    files: tuple[File, ...] = ()

    def image_folder(self, root: str | Path) -> Path:
        """Where the images lie: `folder` below `root`, or `root` itself where that isn't there."""
        inner = Path(root) / self.folder
        return inner if inner.is_dir() else Path(root)


@dataclass(frozen=True)
class CheckReport:
    """What `check` found: `ok` is True when counts (and truth files, where the card asks for them)
    are right.
    """

    name: str
    folder: str
    ok: bool
    n_images: int
    expected: int
    problems: list[str] = field(default_factory=list)


@cache
def cards() -> dict[str, Card]:
    """All cards by name, in alphabetical order.

    Examples
    --------
    >>> sorted(cards())
    ['corel1k', 'holidays', 'oxford5k', 'paris6k', 'smvs_dvd', 'ukbench']
    >>> cards()["ukbench"].n_images
    10200
    """
    return {path.stem: read_card(path) for path in sorted(CARDS.glob("*.toml"))}


def read_card(path: str | Path) -> Card:
    """Read one card; raises FormatError naming the file and the key."""
    path = Path(path)
    try:
        card = Card.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, ValidationError, OSError, UnicodeDecodeError) as error:
        raise FormatError(f"card {path}: {error}") from error
    if card.name != path.stem:
        raise FormatError(
            f"card {path}: name = {card.name!r}, expected {path.stem!r}, the name of the file"
        )
    return card


def card(name: str) -> Card:
    """Return the card called `name`; raises ParameterError that lists those there are."""
    try:
        return cards()[name]
    except KeyError:
        raise ParameterError(
            f"no data set is called {name!r}; there are {', '.join(cards())}"
        ) from None


def image_paths(card: Card, root: str | Path) -> list[str]:
    """Images of a data set, relative POSIX paths below its image folder, in natural order."""
    folder = card.image_folder(root)
    found = (p.relative_to(folder).as_posix() for p in folder.rglob(card.pattern) if p.is_file())
    return sorted(found, key=natural_key)


def check(name: str, root: str | Path) -> CheckReport:
    """Compare a folder with a card: are all the images there, and the truth.

    A subset of UKBench is fine when it is a multiple of 4; the report then says that it is a
    subset. Raises ParameterError when the data set is unknown.
    """
    from cbir.datasets.labels import subset_warning, ukbench_labels

    this = card(name)
    folder = this.image_folder(root)
    paths = image_paths(this, root) if folder.is_dir() else []
    problems = []
    ok = len(paths) == this.n_images
    if not folder.is_dir():
        problems.append(f"{folder} is not a folder")
    elif this.truth.rule == "ukbench" and paths:
        try:
            ukbench_labels(paths)
            ok = True
            if len(paths) != this.n_images:
                problems.append(f"a subset: {len(paths)} of {this.n_images} images")
            if warning := subset_warning(paths):
                problems.append(warning)
        except ParameterError as error:
            ok = False
            problems.append(str(error))
    elif not ok:
        problems.append(f"{len(paths)} files match {this.pattern}, expected {this.n_images}")
    if (
        this.truth.folder
        and len(list((Path(root) / this.truth.folder).glob("*_query.txt"))) != this.n_queries
    ):
        ok = False
        problems.append(
            f"{Path(root) / this.truth.folder} lacks the {this.n_queries} files *_query.txt"
        )
    return CheckReport(name, str(folder), ok, len(paths), this.n_images, problems)
