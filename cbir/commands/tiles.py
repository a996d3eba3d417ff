"""Pictures for showing: what `search --montage` and the report of `evaluate` draw."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cbir import images
from cbir.errors import ImageError

if TYPE_CHECKING:
    from cbir.collection import Collection
    from cbir.types import Image

TILE = 200


def tile_of(path: Path, side: int = 2 * TILE) -> Image | None:
    """Decode a picture for showing; None where the file has gone or can't be read."""
    try:
        return images.decode(path, max_side=side)
    except (ImageError, OSError):
        return None


def load_tile(collection: Collection, image_id: int, side: int = 2 * TILE) -> Image | None:
    """Decode an indexed image for showing, as `tile_of`."""
    return tile_of(collection.image_path(image_id), side)


def columns_for(n_tiles: int) -> int:
    """Choose 4 to 7 tiles per row: the last row as full as can be, then the fewest.

    >>> [columns_for(n) for n in (6, 8, 13)]
    [6, 4, 7]
    """
    return min(range(4, 8), key=lambda columns: (-n_tiles % columns, columns))
