"""Where things lie in a collection, which generation is live, and what may be swept away.

::

    recipe.toml  catalogue.sqlite  features/part-000001.h5  model/  index/000002/  CURRENT  lock

A generation of the index is a folder that never changes once it is published. `CURRENT` names the
live one. The one before it is kept, so that a reader that has just read `CURRENT` still finds it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from cbir.errors import FormatError
from cbir.store.atomic import atomic_write, remove_stale, remove_tree

_GENERATION = re.compile(r"\d{6,}\Z")
_PART = re.compile(r"part-(\d{6,})\.h5\Z")


class Layout:
    """The paths of one collection."""

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self.recipe = self.folder / "recipe.toml"
        self.catalogue = self.folder / "catalogue.sqlite"
        self.features = self.folder / "features"
        self.model = self.folder / "model"
        self.index = self.folder / "index"
        self.current_file = self.folder / "CURRENT"
        self.lock = self.folder / "lock"

    def part(self, number: int) -> Path:
        """File of feature part `number`, counted from 1."""
        return self.features / f"part-{number:06d}.h5"

    def generation(self, number: int) -> Path:
        """Folder of index generation `number`, counted from 1."""
        return self.index / f"{number:06d}"

    def current(self) -> int:
        """Number of the live generation; 0 if no build was ever finished.

        Raises
        ------
        FormatError if CURRENT says something else than the name of a generation.
        """
        try:
            text = self.current_file.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return 0
        except (OSError, UnicodeDecodeError) as error:
            raise FormatError(f"{self.current_file}: cannot be read ({error})") from error
        if not _GENERATION.match(text) or int(text) == 0:
            raise FormatError(f"{self.current_file}: says {text[:40]!r}, expected e.g. '000001'")
        return int(text)

    def set_current(self, number: int) -> None:
        """Make a published generation the live one; this is the moment readers see it."""
        atomic_write(self.current_file, f"{number:06d}\n".encode())

    def remove_temporaries(self) -> None:
        """Delete what a killed writer left half done; only for the holder of the lock."""
        for folder in (self.folder, self.features, self.model, self.index):
            remove_stale(folder)

    def remove_other_generations(self, live: int, *, keep_previous: bool = True) -> None:
        """Delete all generations but the live one and, for readers just opening, the one before."""
        keep = {live, live - 1} if keep_previous else {live}
        if self.index.is_dir():
            for path in sorted(self.index.iterdir()):
                if _GENERATION.match(path.name) and int(path.name) not in keep:
                    remove_tree(path)

    def remove_parts_above(self, number: int) -> None:
        """Delete parts that no catalogue knows."""
        if self.features.is_dir():
            for path in sorted(self.features.iterdir()):
                match = _PART.match(path.name)
                if match and int(match[1]) > number:
                    remove_tree(path)


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder, or of one file; 0 if it isn't there."""
    if folder.is_file():
        return folder.stat().st_size
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
