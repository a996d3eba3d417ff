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
import json
import os
import re
from collections.abc import Container, Iterator
from contextlib import suppress
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

    @staticmethod
    def part_name(feature: str, number: int) -> str:
        """Name below the collection's folder of part `number` (from 1) of a feature (its hash)."""
        return f"features/{feature[:16]}/part-{number:06d}.h5"

    @staticmethod
    def segment_name(channel: str, number: int) -> str:
        """Name below the collection's folder of segment `number` (from 1) of a channel."""
        return f"index/{channel}/segment-{number:06d}"

    def part(self, feature: str, number: int) -> Path:
        """File of a feature part."""
        return self.folder / self.part_name(feature, number)

    def model(self, channel: str) -> Path:
        """Folder of the fitted stages of a channel."""
        return self.models / channel

    def segment(self, channel: str, number: int) -> Path:
        """Folder of an index segment."""
        return self.folder / self.segment_name(channel, number)

    def temporary(self, name: str) -> Path:
        """A folder for what a writer needs for a while; swept like all that is unfinished."""
        return self.folder / f"{TEMPORARY}{os.getpid()}-{name}"

    # ---- what is swept ----

    def sweep_temporaries(self) -> None:
        """Delete what a killed writer left half done; only for the holder of the lock."""
        features = self._below(self.features, _FEATURE)
        for folder in (self.folder, self.models, *features, *_folders(self.indexes)):
            self._remove(folder, _TEMPORARY, ())

    def sweep_parts(self, named: Container[str]) -> None:
        """Delete parts whose names are not among `named`, and what `set_aside` put aside."""
        for folder in self._below(self.features, _FEATURE):
            self._remove(folder, _PART, named)
            self._remove(folder, _LEFT, ())
            _remove_if_empty(folder)

    def sweep_segments(self, named: Container[str]) -> None:
        """Delete segments whose names are not among `named`."""
        for folder in _folders(self.indexes):
            self._remove(folder, _SEGMENT, named)
            _remove_if_empty(folder)

    def set_aside(self, named: Container[str]) -> list[Path]:
        """Rename parts that no catalogue names to ``left-*``; give all of those, oldest first.

        They are what a killed writer had described already. Under their own names they would be
        in the way of the parts that are written now; what is in them is taken over by content.
        """
        left: list[Path] = []
        for folder in self._below(self.features, _FEATURE):
            names = _names(folder)
            here = [folder / name for name in names if _LEFT.fullmatch(name)]
            last = max((int(one.stem.split("-")[1]) for one in here), default=0)
            for name in names:
                if _PART.fullmatch(name) and f"features/{folder.name}/{name}" not in named:
                    last += 1
                    here.append((folder / name).replace(folder / f"left-{last:06d}.h5"))
            left += here
        return left

    def unnamed(self, named: Container[str]) -> list[Path]:
        """Whatever lies in the collection's folders and is in no catalogue, sorted."""
        own = {self.marker, self.recipe, self.catalogue, self.lock}
        own |= {self.features, self.models, self.indexes, Path(f"{self.catalogue}-journal")}
        found = [self.folder / name for name in _names(self.folder)]
        found = [path for path in found if path not in own]
        for top in (self.features, self.indexes):
            found += [top / name for name in _names(top) if not (top / name).is_dir()]
        for folder in (self.models, *_folders(self.features), *_folders(self.indexes)):
            start = folder.relative_to(self.folder).as_posix()
            found += [folder / name for name in _names(folder) if f"{start}/{name}" not in named]
        return sorted(found)

    def _remove(self, folder: Path, pattern: re.Pattern[str], named: Container[str]) -> None:
        start = folder.relative_to(self.folder).as_posix()
        for name in _names(folder):
            if pattern.fullmatch(name) and f"{start}/{name}" not in named:
                # Where it can't be deleted (Windows, while a reader has it) the next one tries.
                with suppress(OSError):
                    remove_tree(folder / name)

    @staticmethod
    def _below(folder: Path, pattern: re.Pattern[str]) -> Iterator[Path]:
        return (p for p in _folders(folder) if pattern.fullmatch(p.name))


def _names(folder: Path) -> list[str]:
    """What lies in a folder, sorted; nothing if it isn't there."""
    return sorted(os.listdir(folder)) if folder.is_dir() else []  # noqa: PTH208


def _folders(folder: Path) -> list[Path]:
    return [folder / name for name in _names(folder) if (folder / name).is_dir()]


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        if not any(folder.iterdir()):
            folder.rmdir()


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder, or of one file; 0 if it isn't there."""
    if folder.is_file():
        return folder.stat().st_size
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def manifests(folder: Path) -> str:
    """Name and SHA-256 of every manifest below a folder, as JSON: they stand for all bytes there.

    Raises
    ------
    FormatError if there is none, or one can't be read.
    """
    paths = sorted(folder.rglob(MANIFEST)) if folder.is_dir() else []
    if not paths:
        raise FormatError(f"{folder / MANIFEST}: cannot be read (no such file)")
    found = {}
    for path in paths:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise FormatError(f"{path}: cannot be read ({error.strerror or error})") from error
        found[path.relative_to(folder).as_posix()] = hashlib.sha256(data).hexdigest()
    return json.dumps(found, sort_keys=True)


def check_manifests(folder: Path, expected: str) -> None:
    """Compare the manifests below a folder with what `manifests` said when they were written.

    Raises
    ------
    FormatError naming the first that is missing or another one.
    """
    wanted: dict[str, str] = json.loads(expected)
    found: dict[str, str] = json.loads(manifests(folder))
    for name in sorted({*wanted, *found}):
        if name not in found:
            raise FormatError(f"{folder / name}: cannot be read (no such file)")
        if found[name] != wanted.get(name):
            raise FormatError(f"{folder / name}: not the one that the catalogue names: altered")
