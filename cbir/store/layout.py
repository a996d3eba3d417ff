"""Where things lie in a collection, and what a writer may sweep away.

::

    CBIR  recipe.toml  catalogue.sqlite  lock
    features/<16 hex digits>/part-000001.h5
    model/<channel>/
    index/<channel>/segment-000007/

Files never change once the catalogue names them. What neither the live generation nor the one
before names is swept by the next writer: the one before is kept for readers that are just opening
it. Only names that cbir writes are ever deleted, and only in these folders; whatever else somebody
put there stays.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Container, Iterator
from pathlib import Path

from cbir.errors import FormatError
from cbir.store.arrays import MANIFEST
from cbir.store.atomic import TEMPORARY, remove_tree
from cbir.store.marker import MARKER

_TEMPORARY = re.compile(re.escape(TEMPORARY) + r"\d+-.+", re.DOTALL)
_FEATURE = re.compile(r"[0-9a-f]{16}")
_PART = re.compile(r"part-(\d{6,})\.h5")
_LEFT = re.compile(r"left-(\d{6,})\.h5")
_SEGMENT = re.compile(r"segment-(\d{6,})")


class Layout:
    """The paths of one collection."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.marker = self.folder / MARKER
        self.recipe = self.folder / "recipe.toml"
        self.catalogue = self.folder / "catalogue.sqlite"
        self.features = self.folder / "features"
        self.models = self.folder / "model"
        self.indexes = self.folder / "index"
        self.lock = self.folder / "lock"

    def part(self, feature: str, number: int) -> Path:
        """File of feature part `number` (from 1) of the feature whose hash is `feature`."""
        return self.features / feature[:16] / f"part-{number:06d}.h5"

    def model(self, channel: str) -> Path:
        """Folder of the fitted stages of a channel."""
        return self.models / channel

    def segment(self, channel: str, number: int) -> Path:
        """Folder of index segment `number` (from 1) of a channel."""
        return self.indexes / channel / f"segment-{number:06d}"

    def temporary(self, name: str) -> Path:
        """A folder for what a writer needs for a while; swept like all that is unfinished."""
        return self.folder / f"{TEMPORARY}{os.getpid()}-{name}"

    # ---- what is swept ----

    def sweep_temporaries(self) -> None:
        """Delete what a killed writer left half done; only for the holder of the lock."""
        for folder in (self.folder, self.models, *self._below(self.features, _FEATURE)):
            _remove(folder, _TEMPORARY)
        for folder in _folders(self.indexes):
            _remove(folder, _TEMPORARY)

    def sweep_parts(self, named: Container[Path]) -> None:
        """Delete parts that are not among `named`, and what `set_aside` put aside."""
        for folder in self._below(self.features, _FEATURE):
            _remove(folder, _PART, named)
            _remove(folder, _LEFT)
            _remove_if_empty(folder)

    def sweep_segments(self, named: Container[Path]) -> None:
        """Delete segments that are not among `named`."""
        for folder in _folders(self.indexes):
            _remove(folder, _SEGMENT, named)
            _remove_if_empty(folder)

    def set_aside(self, named: Container[Path]) -> list[Path]:
        """Rename parts that no catalogue names to ``left-*``; give all of those, oldest first.

        They are what a killed writer had described already. Under their own names they would be
        in the way of the parts that are written now; what is in them is taken over by content.
        """
        left: list[Path] = []
        for folder in self._below(self.features, _FEATURE):
            here = sorted(p for p in folder.iterdir() if _LEFT.fullmatch(p.name))
            last = max((int(p.stem.split("-")[1]) for p in here), default=0)
            for path in sorted(folder.iterdir()):
                if _PART.fullmatch(path.name) and path not in named:
                    last += 1
                    here.append(path.replace(folder / f"left-{last:06d}.h5"))
            left += here
        return left

    def unnamed(self, named: Container[Path]) -> list[Path]:
        """Whatever lies in the collection's folders and is in no catalogue, sorted."""
        own = {self.marker, self.recipe, self.catalogue, self.lock}
        own |= {self.features, self.models, self.indexes, Path(f"{self.catalogue}-journal")}
        found = [p for p in self._entries(self.folder) if p not in own]
        for folder in (*_folders(self.features), *_folders(self.indexes)):
            found += [p for p in self._entries(folder) if p not in named]
        found += [p for p in self._entries(self.models) if p not in named]
        for top in (self.features, self.indexes):
            found += [p for p in self._entries(top) if not p.is_dir()]
        return sorted(found)

    @staticmethod
    def _below(folder: Path, pattern: re.Pattern[str]) -> Iterator[Path]:
        return (p for p in _folders(folder) if pattern.fullmatch(p.name))

    @staticmethod
    def _entries(folder: Path) -> list[Path]:
        return list(folder.iterdir()) if folder.is_dir() else []


def _folders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []


def _remove(folder: Path, pattern: re.Pattern[str], named: Container[Path] = ()) -> None:
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if pattern.fullmatch(path.name) and path not in named:
                remove_tree(path)


def _remove_if_empty(folder: Path) -> None:
    if not any(folder.iterdir()):
        folder.rmdir()


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder, or of one file; 0 if it isn't there."""
    if folder.is_file():
        return folder.stat().st_size
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def folder_digest(folder: Path) -> str:
    """SHA-256 over all manifests below a folder, which stand for every byte beside them.

    Raises
    ------
    FormatError if there is none.
    """
    digest = hashlib.sha256()
    paths = sorted(folder.rglob(MANIFEST)) if folder.is_dir() else []
    if not paths:
        raise FormatError(f"{folder / MANIFEST}: cannot be read (no such file)")
    for path in paths:
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        try:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        except OSError as error:
            raise FormatError(f"{path}: cannot be read ({error.strerror or error})") from error
    return digest.hexdigest()
