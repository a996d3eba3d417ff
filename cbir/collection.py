"""A collection: pictures, their features and a live index in one folder on disk.

::

    report = Collection.build("photos", "photos.cbir", "bow")
    photos = Collection.open("photos.cbir")
    D, I = photos.search("query.jpg", 12)
    photos.paths(I[0])

The folder is laid out as `cbir.store.layout` says, and written as `cbir._builder` says. One process
writes at a time; any number read meanwhile, each the generation it opened. An open collection may
be searched from many threads; `add`, `remove` and `update` swap in the new generation in one step.

An image is known by its id: an int64, given in walk order, never given twice. A picture whose
content changes gets a new id.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbir import indexes
from cbir._builder import (
    RECIPE_HASH,
    Builder,
    BuildReport,
    read_recipe,
    resolve_labels,
)
from cbir._checks import as_ids, check_k, threads
from cbir._describe import Found, Progress, scan
from cbir.errors import FormatError, ParameterError
from cbir.images import EXTENSIONS, walk
from cbir.pipeline import Pipeline, Region
from cbir.recipe import Recipe
from cbir.store import Catalogue, FeaturePart, ImageRow, Layout, WriterLock
from cbir.store.layout import folder_bytes
from cbir.types import Image, SearchResult

__all__ = ["BuildReport", "Collection"]

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class _Live:
    """One generation as it was opened; replaced as a whole, so a search sees one state only."""

    generation: int
    recipe: Recipe
    pipeline: Pipeline
    index: Any
    catalogue: Catalogue


class Collection:
    """An open collection. Make one with `Collection.build`, then `Collection.open`."""

    def __init__(self, layout: Layout, live: _Live) -> None:
        self._layout = layout
        self._live = live

    @classmethod
    def build(
        cls,
        images: PathLike,
        path: PathLike,
        recipe: str | Path | Recipe,
        *,
        labels: PathLike = "none",
        n_threads: int = 0,
        strict: bool = False,
        progress: Progress | None = None,
    ) -> BuildReport:
        """Build or bring up to date the collection at `path` from the pictures below a folder.

        Run again, it does only what is new: pictures are compared by the hash of their content.
        Pictures no longer in the folder leave the index. After a crash the same call goes on.

        Parameters
        ----------
        images : folder of pictures, walked with its subfolders.
        path : folder of the collection; made if it isn't there.
        recipe : name, TOML file or `Recipe`; must be the one the collection was made under.
        labels : "ukbench", "folders", "none", or a CSV file (`cbir.datasets.resolve_labels`).
        n_threads : 0 takes all this process may use. The result does not depend on it.
        strict : stop at the first picture that can't be used, instead of recording it.
        progress : called as progress(stage, done, total), from the calling thread.

        Raises
        ------
        ParameterError for an empty folder, another recipe or too few descriptors; ImageError if no
        picture at all could be used; LockError if someone else is writing; FormatError for a
        damaged collection; StorageError for a full disk. What was there before stays readable.
        """
        recipe = Recipe.load(recipe)
        root = Path(images)
        if not root.is_dir():
            raise ParameterError(f"{root}: no such folder of pictures")
        layout = Layout(path)
        _check_ours(layout)
        with WriterLock(layout.lock):
            options = {"n_threads": n_threads, "strict": strict, "progress": progress}
            builder = Builder(layout, recipe, **options)  # type: ignore[arg-type]
            _check_root(builder, root)
            with builder.stage("scan"):
                walked = walk(root)
                if not walked:
                    raise ParameterError(
                        f"{root}: holds no pictures; looked for {', '.join(EXTENSIONS)}"
                    )
                found = scan(
                    [(p, root / p) for p in walked],
                    n_threads=builder.n_threads,
                    progress=builder.progress,
                )
            there = {one.path for one in found}
            gone = {
                row.id
                for row in builder.catalogue.present().values()
                if row.path not in there and not Path(row.path).is_absolute()
            }
            found = _labelled(found, labels)
            facts = {
                "image_root": root.resolve().as_posix(),
                "image_root_relative": _relative(root, layout.folder),
                "labels": str(labels),
            }
            return builder.apply(found, gone, facts)

    @classmethod
    def open(cls, path: PathLike) -> Collection:
        """Open the live generation for reading.

        Raises
        ------
        FormatError naming the file that is missing, cut, altered, or made under another recipe.
        """
        layout = Layout(path)
        return cls(layout, _open_live(layout))

    def refresh(self) -> bool:
        """Move on to the live generation if another process has published one; True if it had."""
        if self._layout.current() == self._live.generation:
            return False
        self._live = _open_live(self._layout)
        return True

    def search(
        self,
        query: str | Path | bytes | Image,
        k: int,
        *,
        region: Region | None = None,
        n_threads: int = 0,
    ) -> SearchResult:
        """The `k` images most like a query picture.

        Parameters
        ----------
        query : a file, its bytes, or a picture (H, W, 3) uint8 RGB.
        region : (x, y, w, h) in pixels of the decoded query; only what lies in it is looked for.
        k : at least 1; if there are fewer images, the rest is padded with id -1.

        Returns
        -------
        result : `D` (1, k) float32 and `I` (1, k) int64, best first, ties by the smaller id. A
            query without keypoints has similarity 0 to all and gives the smallest ids.

        Raises
        ------
        ImageError if the query can't be decoded; ParameterError.
        """
        live = self._live
        k = check_k(k, who="Collection.search")
        image = live.pipeline.decode(query)
        return _search(live, live.pipeline.describe(image, region), k, n_threads)

    def search_ids(self, ids: ArrayLike, k: int, *, n_threads: int = 0) -> SearchResult:
        """Search with stored vectors as queries: row i is the answer to image ``ids[i]``."""
        live = self._live
        k = check_k(k, who="Collection.search_ids")
        wanted = np.atleast_1d(np.asarray(ids, np.int64))
        unique = as_ids(np.unique(wanted), who="Collection.search_ids")
        unknown = np.setdiff1d(unique, np.asarray(live.index.ids))
        if len(unknown):
            raise ParameterError(f"Collection.search_ids: image {unknown[0]} is not in the index")
        return _search(live, live.index.reconstruct(wanted), k, n_threads)

    @property
    def ids(self) -> NDArray[np.int64]:
        """(n,) int64: the images in the index, ascending."""
        return np.sort(np.asarray(self._live.index.ids, np.int64))

    @property
    def ntotal(self) -> int:
        """Images in the index."""
        return int(self._live.index.ntotal)

    @property
    def generation(self) -> int:
        """Number of the generation that is open."""
        return self._live.generation

    @property
    def path(self) -> Path:
        """Folder of the collection."""
        return self._layout.folder

    @property
    def recipe(self) -> Recipe:
        """The recipe it was made under, every default written out."""
        return self._live.recipe

    @property
    def pipeline(self) -> Pipeline:
        """The fitted pipeline."""
        return self._live.pipeline

    @property
    def image_root(self) -> Path:
        """Folder of the pictures; found again if collection and pictures moved together."""
        facts = self._live.catalogue.facts
        relative = facts.get("image_root_relative", "")
        beside = (self._layout.folder / relative).resolve()
        return beside if relative and beside.is_dir() else Path(facts.get("image_root", ""))

    def paths(self, ids: ArrayLike) -> list[str]:
        """Path of each id, relative to the image root; "" for the padding id -1."""
        return [row.path if row else "" for row in self._rows(ids)]

    def image_path(self, image_id: int) -> Path:
        """File of an image."""
        return self.image_root / self.paths([image_id])[0]

    def labels(self, ids: ArrayLike) -> list[str | None]:
        """Label of each id; None where there is none."""
        return [row.label if row else None for row in self._rows(ids)]

    @property
    def label_array(self) -> NDArray[np.str_]:
        """Labels of `ids`, in their order; "" where there is none."""
        return np.array([label or "" for label in self.labels(self.ids)], np.str_)

    @property
    def failed(self) -> list[tuple[str, str]]:
        """(path, reason) of the pictures that could not be indexed."""
        rows = self._live.catalogue.present().values()
        return [(row.path, str(row.error)) for row in rows if row.state == "failed"]

    def features(self, image_id: int) -> Any:
        """Stored features of an image: `LocalFeatures`, or a (d,) float32 vector."""
        row = self._rows([image_id])[0]
        if row is None or row.state == "failed":
            raise ParameterError(f"Collection.features: image {image_id} has no features")
        recipe_hash = self.recipe.features_hash
        part = FeaturePart.read(self._layout.part(row.part), recipe_hash=recipe_hash)
        return self.pipeline.features_of(part, int(np.searchsorted(part.image_ids, row.id)))

    def info(self) -> dict[str, Any]:
        """Facts for people and JSON."""
        live, layout = self._live, self._layout
        states = [row.state for row in live.catalogue.rows.values()]
        return {
            "path": str(layout.folder),
            "generation": live.generation,
            "recipe": live.recipe.name,
            "recipe_hash": live.recipe.hash,
            "images": {
                "indexed": self.ntotal,
                "failed": states.count("failed"),
                "removed": states.count("removed"),
            },
            "labels": live.catalogue.facts.get("labels", "none"),
            "n_labels": len(set(self.label_array) - {""}),
            "image_root": str(self.image_root),
            "index": {
                "class": type(live.index).__name__,
                "metric": live.index.metric,
                "d": int(live.index.d),
                "nbytes": int(live.index.nbytes),
            },
            "bytes": {
                "features": folder_bytes(layout.features),
                "model": folder_bytes(layout.model),
                "index": folder_bytes(layout.generation(live.generation)),
                "catalogue": folder_bytes(layout.catalogue),
            },
        }

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
        files = _files(pictures, self.image_root)
        with WriterLock(self._layout.lock):
            options = {"n_threads": n_threads, "strict": strict, "progress": progress}
            builder = Builder(self._layout, self.recipe, **options)  # type: ignore[arg-type]
            with builder.stage("scan"):
                found = scan(files, n_threads=builder.n_threads, progress=builder.progress)
            rows = builder.catalogue.present()
            others = [path for path in rows if path not in {one.path for one in found}]
            spec = builder.catalogue.facts.get("labels", "none")
            labels = resolve_labels(spec, [one.path for one in found] + others)
            found = [_with_label(one, label) for one, label in zip(found, labels, strict=False)]
            report = builder.apply(found, set(), {})
        self.refresh()
        return report

    def remove(self, ids: ArrayLike) -> BuildReport:
        """Take images out of the index, as a new generation. Their ids are not used again.

        A later `build` or `update` finds their files again and adds them under new ids.
        """
        wanted = as_ids(ids, who="Collection.remove")
        with WriterLock(self._layout.lock):
            builder = Builder(self._layout, self.recipe)
            rows = builder.catalogue.rows
            for i in wanted.tolist():
                if i not in rows or rows[i].state == "removed":
                    raise ParameterError(f"Collection.remove: there is no image {i}")
            report = builder.apply([], set(wanted.tolist()), {})
        self.refresh()
        return report

    def update(
        self,
        *,
        n_threads: int = 0,
        strict: bool = False,
        progress: Progress | None = None,
    ) -> BuildReport:
        """Look at the folder of pictures again: the same as `build` with what is stored."""
        report = self.build(
            self.image_root,
            self.path,
            self.recipe,
            labels=self._live.catalogue.facts.get("labels", "none"),
            n_threads=n_threads,
            strict=strict,
            progress=progress,
        )
        self.refresh()
        return report

    def _rows(self, ids: ArrayLike) -> list[ImageRow | None]:
        rows = self._live.catalogue.rows
        wanted = np.asarray(ids, np.int64).ravel().tolist()
        for i in wanted:
            if i != -1 and i not in rows:
                raise ParameterError(f"Collection: there is no image {i}")
        return [rows.get(i) for i in wanted]


def _open_live(layout: Layout) -> _Live:
    """Load what CURRENT names; if it moved on meanwhile, start again."""
    while True:
        generation = layout.current()
        if not generation:
            raise FormatError(
                f"{layout.folder}: no finished collection here ({layout.current_file.name} is "
                "missing); run the build, or run it again if it was stopped"
            )
        try:
            return _load(layout, generation)
        except FormatError:
            if layout.current() == generation:
                raise


def _load(layout: Layout, generation: int) -> _Live:
    recipe = read_recipe(layout)
    folder = layout.generation(generation)
    try:
        made_under = (folder / RECIPE_HASH).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{folder / RECIPE_HASH}: cannot be read ({error})") from error
    if made_under != recipe.hash:
        raise FormatError(
            f"{folder}: made under another recipe (hash {made_under[:12]}) than {layout.recipe} "
            f"(hash {recipe.hash[:12]})"
        )
    pipeline = Pipeline.load(layout.model, recipe)
    index = indexes.load(folder)
    # Last, so that it is at least as new as the index: a newer one still explains every id.
    catalogue = Catalogue.read(layout.catalogue)
    unknown = [i for i in np.asarray(index.ids).tolist() if i not in catalogue.rows]
    if unknown:
        raise FormatError(f"{layout.catalogue}: lacks image {unknown[0]}, which {folder} holds")
    return _Live(generation, recipe, pipeline, index, catalogue)


def _search(live: _Live, xq: Any, k: int, n_threads: int) -> SearchResult:
    n = threads(n_threads, who="Collection.search")
    result: SearchResult = live.index.search(xq, k, n_threads=n)
    return result


def _files(pictures: PathLike | Iterable[PathLike], root: Path) -> list[tuple[str, Path]]:
    """(path for the catalogue, file) of each picture, a folder walked, in the order given."""
    if isinstance(pictures, str | os.PathLike):
        one = Path(pictures)
        listed = [one / p for p in walk(one)] if one.is_dir() else [one]
    else:
        listed = [Path(p) for p in pictures]
    if not listed:
        raise ParameterError(f"Collection.add: {pictures} holds no pictures")
    known: dict[str, Path] = {}
    base = root.resolve()
    for file in listed:
        absolute = Path(os.path.abspath(file))  # noqa: PTH100  resolve() would follow links
        inside = absolute.is_relative_to(base)
        known[(absolute.relative_to(base) if inside else absolute).as_posix()] = absolute
    return list(known.items())


def _labelled(found: list[Found], spec: PathLike) -> list[Found]:
    labels = resolve_labels(spec, [one.path for one in found])
    return [_with_label(one, label) for one, label in zip(found, labels, strict=True)]


def _with_label(found: Found, label: str | None) -> Found:
    return Found(**{**vars(found), "label": label})


def _relative(root: Path, folder: Path) -> str:
    try:
        relative = os.path.relpath(root.resolve(), folder.resolve())
    except ValueError:  # another drive, on Windows
        return ""
    return Path(relative).as_posix()


def _check_ours(layout: Layout) -> None:
    """Refuse to build into a folder that holds something else."""
    if not layout.folder.is_dir():
        return  # a file in its place is refused when the folder is made
    names = {one.name for one in layout.folder.iterdir()}
    ours = {layout.lock.name, "recipe.toml", "catalogue.sqlite", "features", "CURRENT"}
    if names and not names & ours:
        raise ParameterError(
            f"{layout.folder}: holds other things ({min(names)}) and is no collection; "
            "name a new folder"
        )


def _check_root(builder: Builder, root: Path) -> None:
    """Refuse another folder than the stored one while that one is still there."""
    stored = builder.catalogue.facts.get("image_root")
    if stored and Path(stored).is_dir() and Path(stored) != root.resolve():
        raise ParameterError(
            f"{builder.layout.folder}: was built from {stored}, not from {root.resolve()}; build "
            "into another folder, or use add for pictures from elsewhere"
        )
