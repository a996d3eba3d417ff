"""Look at every byte of a collection: it must be what was written, and fit together.

Opening believes what it can't check without reading everything. This reads everything: SQLite's own
pages, all rows against the catalogue's tally, the recipe, models, segments and parts against their
checksums, and who is in which of them. The digest is the same for collections that went through
the same changes, wherever they lie.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from cbir.collection.opening import read_recipe
from cbir.collection.writing import named_files
from cbir.errors import CbirError, FormatError
from cbir.indexes import Index
from cbir.pipeline import Channel
from cbir.recipe import Recipe
from cbir.store import (
    Catalogue,
    FeaturePart,
    Layout,
    PartRow,
    SegmentRow,
    check_arrays,
    check_manifests,
    check_marker,
    folder_bytes,
    live_seal,
)
from cbir.store.arrays import MANIFEST

T = TypeVar("T")


@dataclass
class CheckReport:
    """What a check found.

    Attributes
    ----------
    problems : one line each, naming the file; empty if all is well.
    orphaned : files that the collection does not need: a killed writer's, which the next writer
        takes over or sweeps, or somebody else's.
    orphaned_bytes : their size.
    files, bytes : what was read.
    digest : of the content; "" if the catalogue can't be read.
    """

    problems: list[str] = field(default_factory=list)
    orphaned: list[str] = field(default_factory=list)
    orphaned_bytes: int = 0
    files: int = 0
    bytes: int = 0
    digest: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


class Checker:
    """Checks one collection; keeps what is wrong and goes on."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.report = CheckReport()

    def check(self) -> CheckReport:
        """Look at everything; never raises what is wrong with a file."""
        check_marker(self.layout.folder)
        catalogue = self._tried(lambda: Catalogue(self.layout.catalogue))
        if catalogue is None:
            return self.report
        self._saw(self.layout.catalogue, self.layout.marker)
        self._tried(lambda: self._catalogue(catalogue))
        if catalogue.generation.number:
            recipe = self._tried(lambda: read_recipe(self.layout, catalogue))
            self._saw(self.layout.recipe)
            self._parts(catalogue)
            if recipe is not None:
                self._channels(catalogue, recipe)
        self._tried(lambda: self._orphans(catalogue))
        if self._tried(lambda: live_seal(self.layout.catalogue)) not in (
            None,
            catalogue.generation.seal,
        ):
            return Checker(self.layout).check()  # a writer has published meanwhile
        return self.report

    def _catalogue(self, catalogue: Catalogue) -> None:
        path = self.layout.catalogue
        for line in catalogue.check():
            self._wrong(f"{path}: {line}")
        tally = catalogue.tally()
        self.report.digest = _digest(catalogue, tally)
        if tally != catalogue.generation.tally:
            self._wrong(f"{path}: its rows are not those that were published: altered")
        for name in catalogue.repeated_paths():
            self._wrong(f"{path}: {name} names several images")
        counts = catalogue.counts()
        if counts != catalogue.generation[4:7]:
            self._wrong(
                f"{path}: has {counts} images indexed, failed and removed, "
                f"says {tuple(catalogue.generation[4:7])}"
            )

    def _parts(self, catalogue: Catalogue) -> None:
        found: dict[str, int] = {}
        broken = False
        for one in catalogue.parts():
            n = self._tried(partial(self._part, catalogue, one))
            found[one.feature] = found.get(one.feature, 0) + (n or 0)
            broken |= n is None
        for feature, n in found.items():
            if n != catalogue.generation.indexed and not broken:
                self._wrong(
                    f"{self.layout.part(feature, 1).parent}: has the features of {n} images, "
                    f"the catalogue names {catalogue.generation.indexed}"
                )

    def _part(self, catalogue: Catalogue, one: PartRow) -> int:
        """Compare a part with the catalogue; give how many images have their features there."""
        path = self.layout.part(one.feature, one.number)
        part = FeaturePart.read(path, feature_hash=one.feature, checksum=one.checksum)
        self._saw(path)
        rows = catalogue.images(part.image_ids.tolist())
        here = []
        for row, i in enumerate(part.image_ids.tolist()):
            known = rows.get(i)
            if known is None or known.hash != part.hashes[row].tobytes():
                raise FormatError(f"{path}: row {row} is of image {i}, which the catalogue denies")
            if (known.part, known.row) == (one.number, row):
                here.append(i)
        return len(catalogue.still_there(here))

    def _channels(self, catalogue: Catalogue, recipe: Recipe) -> None:
        for name in recipe.channels:
            folder = self.layout.model(name)
            self._arrays(folder, catalogue.facts[f"model.{name}"])
            channel = self._tried(partial(Channel.load, folder, recipe, name))
            if channel is None:
                continue
            held: list[np.ndarray] = []
            for one in catalogue.segments(name):
                found = self._tried(partial(self._segment, channel.new_index(), one))
                if found is not None:
                    held.append(np.setdiff1d(found, catalogue.masked(one)))
                else:
                    held.append(catalogue.indexed_ids(one.first_id, one.last_id))
            ids = np.concatenate([np.zeros(0, np.int64), *held])
            wrong = np.setxor1d(ids, catalogue.indexed_ids())
            if len(wrong):
                self._wrong(
                    f"{self.layout.indexes / name}: image {wrong[0]} is in the catalogue or in the "
                    f"segments, and not in both ({len(wrong)} such images)"
                )

    def _segment(self, empty: Index, one: SegmentRow) -> np.ndarray:
        folder = self.layout.segment(one.channel, one.number)
        self._arrays(folder, one.manifest)
        return np.asarray(empty.load_rows(folder, mmap=False).ids)

    def _arrays(self, folder: Path, expected: str) -> None:
        def look() -> None:
            check_manifests(folder, expected)
            for manifest in sorted(folder.rglob(MANIFEST)):
                check_arrays(manifest.parent)

        self._tried(look)
        self._saw(*(p for p in folder.rglob("*") if p.is_file()))

    def _orphans(self, catalogue: Catalogue) -> None:
        named = named_files(catalogue)
        channels = [key[6:] for key in catalogue.facts if key.startswith("model.")]
        named |= {f"model/{name}" for name in channels}
        for path in self.layout.unnamed(named):
            self.report.orphaned.append(str(path))
            self.report.orphaned_bytes += folder_bytes(path)

    def _tried(self, function: Callable[[], T]) -> T | None:
        try:
            return function()
        except CbirError as error:
            self._wrong(str(error))
            return None

    def _wrong(self, line: str) -> None:
        if line not in self.report.problems:
            self.report.problems.append(line)

    def _saw(self, *paths: Path) -> None:
        for path in paths:
            if path.is_file():
                self.report.files += 1
                self.report.bytes += path.stat().st_size


def _digest(catalogue: Catalogue, tally: str) -> str:
    """What the collection is: the rows, and the recipe and models that they are of."""
    facts: Iterable[tuple[str, str]] = sorted(
        (key, value)
        for key, value in catalogue.facts.items()
        if key in ("recipe_hash", "recipe_file") or key.startswith("model.")
    )
    what = (catalogue.generation[:4], tally, list(facts))
    return hashlib.sha256(ascii(what).encode()).hexdigest()
