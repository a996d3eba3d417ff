"""One generation of a collection, opened for reading.

What is read: the catalogue's header, the recipe, the model and the manifests; rows of the index are
mapped and read from the disk when they are searched. Opening again after a change reads only what
is new.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cbir.errors import FormatError, ParameterError
from cbir.features import unpacked
from cbir.indexes import Index, Segments
from cbir.pipeline import Pipeline
from cbir.recipe import Recipe
from cbir.store import (
    Catalogue,
    Layout,
    SegmentRow,
    check_manifests,
    check_marker,
    live_seal,
    read_features,
)
from cbir.types import Features


@dataclass(frozen=True, eq=False)
class Live:
    """A generation as it was opened, and the `cbir.pipeline.Database` that it is searched as.

    It is replaced as a whole, so whoever holds one sees one state only.
    """

    layout: Layout
    recipe: Recipe
    pipeline: Pipeline
    catalogue: Catalogue
    segments: dict[str, Segments]
    mapped: dict[SegmentRow, Index] = field(default_factory=dict)

    @property
    def generation(self) -> int:
        """Its number."""
        return self.catalogue.generation.number

    def index(self, channel: str) -> Segments:
        """Index of a channel."""
        if channel not in self.segments:
            raise ParameterError(
                f"Collection: no channel {channel!r}, there is {', '.join(self.segments)}"
            )
        return self.segments[channel]

    def vectors(self, ids: ArrayLike, channel: str) -> Any:
        """Rows of these images, in that order."""
        return self.index(channel).reconstruct(ids)

    def features(self, ids: ArrayLike, channel: str) -> list[Features]:
        """Stored features of these images, in that order; only their rows are read.

        Raises
        ------
        ParameterError for an image that has none; FormatError.
        """
        self.index(channel)
        feature = self.pipeline.channels[channel].feature
        key = self.pipeline.channels[channel].feature_hash
        wanted = np.atleast_1d(np.asarray(ids, np.int64)).tolist()
        rows = self.catalogue.images(wanted)
        by_part: dict[int, dict[int, int]] = {}
        for i in wanted:
            if i not in rows or rows[i].part < 1:
                raise ParameterError(f"Collection.features: image {i} has no features")
            by_part.setdefault(rows[i].part, {})[i] = rows[i].row
        found: dict[int, Features] = {}
        for number, places in by_part.items():
            path = self.layout.part(key, number)
            read = read_features(path, list(places.values()), feature_hash=key)
            for i, (held, stored) in zip(places, read, strict=True):
                if held != i:
                    raise FormatError(f"{path}: row {places[i]} is of image {held}, not {i}")
                found[i] = unpacked(feature, stored)
        return [found[i] for i in wanted]


def open_live(layout: Layout, before: Live | None = None) -> Live:
    """Open the live generation; if it is followed by another one meanwhile, start again.

    Parameters
    ----------
    before : an earlier generation of the same collection, of which everything unchanged is kept.

    Raises
    ------
    FormatError naming the file that is missing, cut, altered, or made under another recipe.
    """
    check_marker(layout.folder)
    while True:
        catalogue = Catalogue(layout.catalogue)
        if not catalogue.generation.number:
            raise FormatError(
                f"{layout.folder}: no finished collection here; "
                "run the build, or run it again if it was stopped"
            )
        try:
            return _load(layout, catalogue, before)
        except FormatError:
            if live_seal(layout.catalogue) == catalogue.generation.seal:
                raise
            catalogue.close()


def read_recipe(layout: Layout, catalogue: Catalogue) -> Recipe:
    """The recipe a collection was made under.

    Raises
    ------
    FormatError if the file is missing or is not the one that the catalogue knows.
    """
    try:
        data = layout.recipe.read_bytes()
        text = data.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{layout.recipe}: cannot be read ({error})") from error
    # While one is being replaced by another (`Writer.change_recipe`), either may lie here.
    if hashlib.sha256(data).hexdigest() not in catalogue.facts.get("recipe_file", "").split():
        raise FormatError(
            f"{layout.recipe}: cut or altered; to change what may be changed (fusion, re-rankers, "
            "search knobs), build with another recipe"
        )
    try:
        recipe = Recipe.from_stored(text)
    except ValueError as error:  # RecipeError is one
        raise FormatError(f"{layout.recipe}: {error}") from error
    if recipe.hash != catalogue.facts.get("recipe_hash"):
        raise FormatError(f"{layout.recipe}: not the recipe that the collection was made under")
    return recipe


def _load(layout: Layout, catalogue: Catalogue, before: Live | None) -> Live:
    if before is not None and made(before.catalogue) == made(catalogue):
        recipe, pipeline, mapped = before.recipe, before.pipeline, before.mapped
    else:
        recipe, mapped = read_recipe(layout, catalogue), {}
        for name in recipe.channels:
            check_manifests(layout.model(name), catalogue.facts[f"model.{name}"])
        pipeline = Pipeline.load(layout.models, recipe)
    now: dict[SegmentRow, Index] = {}
    segments: dict[str, Segments] = {}
    for name, channel in pipeline.channels.items():
        empty = channel.new_index()
        rows = catalogue.segments(name)
        for row in rows:
            now[row] = mapped[row] if row in mapped else _mapped(layout, empty, row)
        removed = [catalogue.masked(row) for row in rows]
        segments[name] = _union(empty, [now[row] for row in rows], removed)
    return Live(layout, recipe, pipeline, catalogue, segments, now)


def made(catalogue: Catalogue) -> dict[str, str]:
    """Facts that stay as they are, unless the collection is deleted and built anew."""
    return {
        key: value
        for key, value in catalogue.facts.items()
        if key == "recipe_file" or key.startswith("model.")
    }


def _union(empty: Index, indexes: Sequence[Index], removed: Sequence[Any]) -> Segments:
    return Segments([empty, *indexes], np.concatenate([np.zeros(0, np.int64), *removed]))


def _mapped(layout: Layout, empty: Index, row: SegmentRow) -> Index:
    folder = layout.segment(row.channel, row.number)
    check_manifests(folder, row.manifest)
    index = empty.load_rows(folder, mmap=True)
    if index.ntotal != row.rows:
        raise FormatError(f"{folder}: holds {index.ntotal} rows, the catalogue says {row.rows}")
    return index
