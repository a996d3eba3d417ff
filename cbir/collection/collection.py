"""The face of a collection.

::

    report = Collection.build("photos", "photos.cbir", "bow")
    photos = Collection.open("photos.cbir")
    D, I = photos.search("query.jpg", 12)
    photos.paths(I[0])

One process writes at a time; any number read meanwhile, each the generation it opened. An open
collection may be searched from many threads; `add`, `remove` and `update` swap in the new
generation in one step.

An image is known by its id: an int64, given in the order of a scan, never given twice. A picture
whose content changes gets a new id.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbir._checks import as_ids, check_k, threads
from cbir.collection import changing
from cbir.collection.checking import Checker, CheckReport
from cbir.collection.compacting import compact
from cbir.collection.opening import Live, made, open_live
from cbir.collection.report import BuildReport
from cbir.collection.scanning import Progress
from cbir.collection.writing import Writer
from cbir.errors import ParameterError
from cbir.pipeline import Pipeline, Query
from cbir.recipe import Recipe
from cbir.store import (
    ImageRow,
    Layout,
    WriterLock,
    check_marker,
    folder_bytes,
    live_seal,
)
from cbir.types import Image, Region, SearchResult

PathLike = str | os.PathLike[str]


class Collection:
    """An open collection. Make one with `Collection.build`, then `Collection.open`."""

    def __init__(self, live: Live) -> None:
        self._live = live

    # ---- making and opening ----

    @classmethod
    def build(
        cls,
        images: PathLike | Iterable[PathLike],
        path: PathLike,
        recipe: str | Path | Recipe,
        *,
        labels: PathLike | None = None,
        n_threads: int = 0,
        strict: bool = False,
        prune: bool = False,
        rehash: bool = False,
        progress: Progress | None = None,
    ) -> BuildReport:
        """Build or bring up to date the collection at `path`.

        Run again, it does only what is new. After a crash the same call goes on where it stopped.

        Parameters
        ----------
        images : a folder of pictures, walked with its subfolders; or files (their common folder
            becomes the image root), beside which only those of earlier calls are looked at.
        path : folder of the collection; made if it isn't there.
        recipe : name, TOML file or `Recipe`; must be the one the collection was made under, except
            for its name, fusion, re-rankers and search knobs, which a later build may change.
        labels : "ukbench", "folders", "none", or a CSV file (`cbir.datasets.resolve_labels`); None
            keeps to what an earlier build was told, at first "none".
        n_threads : 0 takes all this process may use. The result does not depend on it.
        strict : stop at the first picture that can't be used, instead of recording it.
        prune : take out images whose file is gone; without it they stay, and the report counts
            them. What can't be reached is not gone.
        rehash : read all files, also those whose size and time are the same.
        progress : called as progress(stage, done, total), from the calling thread; stages are
            "scan", "features", "vocabulary", "aggregation" and "index".

        Raises
        ------
        ParameterError for an empty folder, a folder that holds other things, another recipe or too
        few descriptors; ImageError if no picture at all could be used; LockError if someone else is
        writing; FormatError for a damaged collection; StorageError for a full disk. What was there
        before stays readable.
        """
        return changing.build(
            images,
            Layout(path),
            Recipe.load(recipe),
            labels=labels,
            n_threads=n_threads,
            strict=strict,
            prune=prune,
            rehash=rehash,
            progress=progress,
        )

    @classmethod
    def open(cls, path: PathLike) -> Collection:
        """Open the live generation for reading.

        Raises
        ------
        FormatError naming the file that is missing, cut, altered, or made under another recipe.
        """
        # Absolute: it is asked again, perhaps from another working directory.
        return cls(open_live(Layout(Path(path).absolute())))

    @staticmethod
    def check(path: PathLike) -> CheckReport:
        """Read every byte of the collection at `path` and say what is wrong with it.

        Raises
        ------
        FormatError if it is no collection at all.
        """
        return Checker(Layout(path)).check()

    def refresh(self) -> bool:
        """Move on to the live generation if another process has published one; True if it had."""
        if live_seal(self._live.layout.catalogue) == self._live.catalogue.generation.seal:
            return False
        self._live = open_live(self._live.layout, self._live)
        return True

    # ---- asking ----

    def describe(self, query: str | Path | bytes | Image, region: Region | None = None) -> Query:
        """Describe a query picture, to look at it or to search with it more than once.

        Raises
        ------
        ImageError if it can't be decoded; ParameterError for a region outside it.
        """
        pipeline = self._live.pipeline
        return pipeline.describe(pipeline.decode(query), region)

    def search(
        self,
        query: str | Path | bytes | Image | Query,
        k: int,
        *,
        region: Region | None = None,
        allowed: ArrayLike | None = None,
        exclude: ArrayLike | None = None,
        n_threads: int = 0,
        **knobs: Any,
    ) -> SearchResult:
        """The `k` images most like a query picture.

        Parameters
        ----------
        query : a file, its bytes, a picture (H, W, 3) uint8 RGB, or what `describe` gave.
        region : (x, y, w, h) in the query's own pixels; only what lies in it is looked for.
        k : at least 1; if there are fewer images, the rest is padded with id -1.
        allowed : only these may be found: an array of ids, or a boolean mask over ids.
        exclude : ids that are left out of the answer.
        knobs : search knobs in place of the recipe's, such as ``nprobe=16``.

        Returns
        -------
        result : `D` (1, k) float32 and `I` (1, k) int64, best first, ties by the smaller id. A
            query without keypoints has similarity 0 to all and gives the smallest ids.

        Raises
        ------
        ImageError if the query can't be decoded; ParameterError.
        """
        k = check_k(k, who="Collection.search")
        live = self._live
        if not isinstance(query, Query):
            query = live.pipeline.describe(live.pipeline.decode(query), region)
        elif region is not None:
            raise ParameterError("Collection.search: give the region to describe, not to search")
        return _answer(live, query, k, allowed, exclude, n_threads, knobs)

    def search_ids(
        self,
        ids: ArrayLike,
        k: int,
        *,
        allowed: ArrayLike | None = None,
        exclude: ArrayLike | None = None,
        n_threads: int = 0,
        **knobs: Any,
    ) -> SearchResult:
        """Search with stored vectors as queries: row i is the answer to image ``ids[i]``.

        Ids may come twice. The other arguments are those of `search`.
        """
        who = "Collection.search_ids"
        live, k = self._live, check_k(k, who=who)
        wanted = np.atleast_1d(np.asarray(ids))
        as_ids(np.unique(wanted), who=who)
        unknown = np.setdiff1d(wanted, live.catalogue.indexed(wanted.tolist()))
        if len(unknown):
            raise ParameterError(f"{who}: image {unknown[0]} is not in the index")
        wanted = wanted.astype(np.int64)
        rows = {name: live.vectors(wanted, name) for name in live.segments}
        return _answer(live, live.pipeline.query_of(rows), k, allowed, exclude, n_threads, knobs)

    # ---- what is in it ----

    @property
    def ids(self) -> NDArray[np.int64]:
        """(n,) int64: the images in the index, ascending."""
        return self._live.index(next(iter(self._live.segments))).ids

    @property
    def ntotal(self) -> int:
        """Images in the index."""
        return self._live.catalogue.generation.indexed

    @property
    def generation(self) -> int:
        """Number of the generation that is open."""
        return self._live.generation

    @property
    def path(self) -> Path:
        """Folder of the collection."""
        return self._live.layout.folder

    @property
    def recipe(self) -> Recipe:
        """The recipe it was made under, every default written out."""
        return self._live.recipe

    @property
    def pipeline(self) -> Pipeline:
        """The fitted pipeline."""
        return self._live.pipeline

    @property
    def database(self) -> Live:
        """What `Pipeline.answer` searches: the indexes, vectors and features that are open."""
        return self._live

    @property
    def image_root(self) -> Path:
        """Folder of the pictures; found again if collection and pictures moved together."""
        return changing.image_root(self._live.layout, self._live.catalogue)

    def find(self, paths: Iterable[PathLike]) -> NDArray[np.int64]:
        """Ids of images by their path, as `paths` gives it; -1 where there is none."""
        wanted = [os.fspath(path) for path in paths]
        found = self._live.catalogue.find(dict.fromkeys(wanted))
        return np.array([found.get(path, -1) for path in wanted], np.int64)

    def paths(self, ids: ArrayLike) -> list[str]:
        """Path of each id, relative to the image root; "" for the padding id -1."""
        wanted = _wanted(ids)
        found = {-1: "", **self._live.catalogue.paths(i for i in wanted if i != -1)}
        for i in wanted:
            if i not in found:
                raise ParameterError(f"{self._live.catalogue.path}: there is no image {i}")
        return [found[i] for i in wanted]

    def image_path(self, image_id: int) -> Path:
        """File of an image."""
        return self.image_root / self.paths([image_id])[0]

    def labels(self, ids: ArrayLike) -> list[str | None]:
        """Label of each id; None where there is none."""
        wanted = _wanted(ids)
        catalogue = self._live.catalogue
        found = catalogue.labels(wanted)
        unlabelled = {i for i in wanted if i not in found and i != -1}
        unknown = unlabelled - catalogue.paths(unlabelled).keys()
        if unknown:
            raise ParameterError(f"{catalogue.path}: there is no image {min(unknown)}")
        return [found.get(i) for i in wanted]

    @property
    def label_array(self) -> NDArray[np.object_]:
        """Labels of `ids`, in their order; "" where there is none."""
        # Not fixed-width text, which takes the width of the longest for each.
        return np.array([label or "" for label in self.labels(self.ids)], np.object_)

    @property
    def failed(self) -> list[tuple[str, str]]:
        """(path, reason) of the pictures that could not be indexed."""
        return [(row.path, str(row.error)) for row in self._live.catalogue.failed()]

    def row(self, image_id: int) -> ImageRow:
        """What the catalogue knows of an image: path, hash, size and state."""
        found = self._live.catalogue.images([image_id])
        if image_id not in found:
            raise ParameterError(f"{self._live.catalogue.path}: there is no image {image_id}")
        return found[image_id]

    def features(self, image_id: int, channel: str | None = None) -> Any:
        """Stored features of an image: `LocalFeatures`, a (d,) float32 vector, or a map (h, w, d).

        Only that image's are read. `channel` may be left out where there is one.
        """
        return self._live.features([image_id], self._channel(channel))[0]

    def vectors(self, ids: ArrayLike, channel: str | None = None) -> Any:
        """Rows of the index for these images, in that order."""
        return self._live.vectors(ids, self._channel(channel))

    def info(self) -> dict[str, Any]:
        """Facts for people and JSON."""
        live, layout = self._live, self._live.layout
        generation = live.catalogue.generation
        channels = {
            name: {
                "class": live.pipeline.channels[name].recipe.index.part.__name__,
                "metric": index.metric,
                "d": int(index.d),
                "nbytes": int(index.nbytes),
                "segments": len(live.catalogue.segments(name)),
            }
            for name, index in live.segments.items()
        }
        return {
            "path": str(layout.folder),
            "generation": live.generation,
            "recipe": live.recipe.name,
            "recipe_hash": live.recipe.hash,
            "images": {
                "indexed": generation.indexed,
                "failed": generation.failed,
                "removed": generation.removed,
            },
            "labels": live.catalogue.facts.get("labels", "none"),
            "n_labels": live.catalogue.count_labels(),
            "image_root": str(self.image_root),
            **({"index": channels["main"]} if list(channels) == ["main"] else {}),
            **({} if list(channels) == ["main"] else {"channels": channels}),
            "bytes": {
                "features": live.catalogue.bytes_of("parts"),
                "model": folder_bytes(layout.models),
                "index": live.catalogue.bytes_of("segments"),
                "catalogue": folder_bytes(layout.catalogue),
            },
        }

    # ---- changing it ----

    def add(
        self,
        pictures: PathLike | Iterable[PathLike],
        *,
        n_threads: int = 0,
        strict: bool = False,
        progress: Progress | None = None,
    ) -> BuildReport:
        """Index more pictures: a file, a folder, or several files, as a new generation.

        Files below the image root are known by their relative path, others by their absolute one;
        the latter stay when `build` or `update` look at the folder again.
        """
        with self._writing(n_threads, strict, progress) as writer:
            report = changing.add(writer, pictures)
        self.refresh()
        return report

    def remove(self, ids: ArrayLike) -> BuildReport:
        """Take images out of the index, as a new generation. Their ids are not used again.

        A later `build` or `update` finds their files again and adds them under new ids.
        """
        wanted = as_ids(ids, who="Collection.remove")
        with self._writing(0, False, None) as writer:
            report = changing.remove(writer, wanted.tolist())
        self.refresh()
        return report

    def update(
        self,
        *,
        prune: bool = False,
        rehash: bool = False,
        n_threads: int = 0,
        strict: bool = False,
        progress: Progress | None = None,
    ) -> BuildReport:
        """Look at the pictures again: the same as `build` with what is stored.

        Arguments are those of `build`.
        """
        with self._writing(n_threads, strict, progress) as writer:
            report = changing.update(writer, prune=prune, rehash=rehash)
        self.refresh()
        return report

    def compact(self, *, n_threads: int = 0) -> BuildReport:
        """Free what removed pictures held, and merge all segments into one for each channel."""
        with self._writing(n_threads, False, None) as writer:
            report = compact(writer)
        self.refresh()
        return report

    def _writing(self, n_threads: int, strict: bool, progress: Progress | None) -> changing.Writing:
        live = self._live
        check_marker(self.path)

        def make() -> Writer:
            writer = Writer(
                live.layout,
                live.recipe,
                pipeline=live.pipeline,
                n_threads=n_threads,
                strict=strict,
                progress=progress,
            )
            if made(writer.catalogue) != made(live.catalogue):
                raise ParameterError(
                    f"{self.path}: was built anew since it was opened, or given another recipe; "
                    "open it again"
                )
            return writer

        return changing.Writing(WriterLock(live.layout.lock), make)

    def _channel(self, name: str | None) -> str:
        names = list(self._live.segments)
        if name is None and len(names) > 1:
            raise ParameterError(f"Collection: name a channel: {', '.join(names)}")
        return name or names[0]


def _answer(
    live: Live,
    query: Query,
    k: int,
    allowed: ArrayLike | None,
    exclude: ArrayLike | None,
    n_threads: int,
    knobs: dict[str, Any],
) -> SearchResult:
    out = np.unique(np.asarray([] if exclude is None else exclude, np.int64))
    # The answer for k is a prefix of that for k + n, so n more make up for what is left out.
    wanted = k + len(out)
    found = live.pipeline.answer(
        query,
        wanted,
        live,
        allowed=allowed,
        n_threads=threads(n_threads, who="Collection.search"),
        **knobs,
    )
    if not len(out):
        return found
    stays = ~np.isin(found.I, out)
    order = np.argsort(~stays, axis=1, kind="stable")[:, :k]
    kept = np.take_along_axis(stays, order, axis=1)
    I = np.where(kept, np.take_along_axis(found.I, order, axis=1), -1)  # noqa: E741
    worst = np.float32(np.inf if live.pipeline.ascending else -np.inf)
    return SearchResult(np.where(kept, np.take_along_axis(found.D, order, axis=1), worst), I)


def _wanted(ids: ArrayLike) -> list[int]:
    wanted: list[int] = np.asarray(ids, np.int64).ravel().tolist()
    return wanted
