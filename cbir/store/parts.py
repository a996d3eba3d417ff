"""Feature parts: immutable HDF5 files, each with one feature of a few hundred images.

::

    image_ids    (n,) int64            labels   (n,) fixed-length UTF-8, "" where there is none
    hashes       (n, 32) uint8         SHA-256 of the picture's file: what the features are of
    sizes        (n, 2) int32          width and height of the upright picture
    features     (n, d) float32        one vector per image           global features
    descriptors  (N, d) uint8|float32  of all images end to end       local features and maps
    offsets      (n + 1,) int64        image i has rows offsets[i] to offsets[i + 1]
    keypoints    (N, 4) float32        x, y, scale, angle             local features
    grids        (n, 2) int32          height and width               maps

Labels are those of the day the part was made; the catalogue has those of today. Attributes:
format_version, cbir_version, feature_hash (of what decides the features), checksum (of all of it).
The same input gives the same bytes: the file is made in memory, HDF5 keeps no time stamps here, and
it is put in place in one step.

`FeaturePart.read` reads and checks everything; `read_features` reads the rows asked for and no
more, so it believes the checksum without making it again.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbir.errors import FormatError
from cbir.store.atomic import atomic_write
from cbir.types import LocalFeatures

FORMAT_VERSION = 2
_DATA = ("features", "descriptors", "offsets", "keypoints", "grids")

Stored = LocalFeatures | NDArray[Any]
"""Features of an image as they are stored: local ones, a vector (d,), or a map (h, w, d)."""


@dataclass(eq=False)
class FeaturePart:
    """The content of one part; see the module's head for the arrays."""

    image_ids: NDArray[np.int64]
    labels: list[str]
    hashes: NDArray[np.uint8]
    sizes: NDArray[np.int32]
    features: NDArray[np.float32] | None = None
    descriptors: NDArray[np.float32] | NDArray[np.uint8] | None = None
    offsets: NDArray[np.int64] | None = None
    keypoints: NDArray[np.float32] | None = None
    grids: NDArray[np.int32] | None = None

    @classmethod
    def of(
        cls,
        ids: Sequence[int],
        labels: Sequence[str],
        hashes: Sequence[bytes],
        sizes: Sequence[tuple[int, int]],
        stored: Sequence[Stored],
    ) -> FeaturePart:
        """Put the features of some images together; at least one, all of one kind."""
        part = cls(
            image_ids=np.array(ids, np.int64),
            labels=list(labels),
            hashes=np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, 32),
            sizes=np.array(sizes, np.int32).reshape(-1, 2),
        )
        local = [one for one in stored if isinstance(one, LocalFeatures)]
        arrays = [np.asarray(one) for one in stored if not isinstance(one, LocalFeatures)]
        if local:
            part.keypoints = np.concatenate([one.keypoints for one in local])
            part.offsets = _offsets([len(one) for one in local])
            part.descriptors = _joined([one.descriptors for one in local])
        elif arrays[0].ndim == 3:
            part.grids = np.array([one.shape[:2] for one in arrays], np.int32)
            part.offsets = _offsets([one.shape[0] * one.shape[1] for one in arrays])
            part.descriptors = _joined([one.reshape(-1, one.shape[2]) for one in arrays])
        else:
            part.features = np.stack(arrays).astype(np.float32, copy=False)
        return part

    def __len__(self) -> int:
        return len(self.image_ids)

    @property
    def n_rows(self) -> int:
        """Descriptors in the part; for global features one per image."""
        return len(self) if self.descriptors is None else len(self.descriptors)

    def stored(self, row: int) -> Stored:
        """Features of image number `row`, as `of` took them; a copy, which holds nothing else."""
        if self.features is not None:
            return np.array(self.features[row])
        assert self.descriptors is not None and self.offsets is not None
        span = slice(int(self.offsets[row]), int(self.offsets[row + 1]))
        descriptors: Any = np.array(self.descriptors[span])
        if self.grids is not None:
            height, width = self.grids[row].tolist()
            place: NDArray[Any] = descriptors.reshape(height, width, -1)
            return place
        assert self.keypoints is not None
        return LocalFeatures(np.array(self.keypoints[span]), descriptors)

    def write(self, path: Path, *, feature_hash: str, cbir_version: str) -> str:
        """Publish the part and give its checksum. Raises StorageError."""
        import h5py

        arrays = self._arrays()
        attributes: dict[str, Any] = {
            "format_version": FORMAT_VERSION,
            "cbir_version": cbir_version,
            "feature_hash": feature_hash,
        }
        attributes["checksum"] = _checksum(attributes, arrays)
        buffer = io.BytesIO()
        with h5py.File(buffer, "w", track_order=False) as file:
            for name in sorted(arrays):
                file.create_dataset(name, data=arrays[name], track_times=False)
            for name in sorted(attributes):
                file.attrs[name] = attributes[name]
        atomic_write(path, buffer.getbuffer())
        return str(attributes["checksum"])

    @classmethod
    def read(
        cls, path: Path, *, feature_hash: str | None = None, checksum: str | None = None
    ) -> FeaturePart:
        """Read and check a part.

        Parameters
        ----------
        feature_hash : what it must have been made under, if given.
        checksum : what it must be, if given; it is always compared with the file's own.

        Raises
        ------
        FormatError naming the file: missing, cut, altered, lying, or made under another recipe.
        """
        try:
            data = path.read_bytes()
        except OSError as error:
            raise FormatError(f"{path}: cannot be read ({error.strerror or error})") from error
        with _opened(path, io.BytesIO(data), feature_hash) as file:
            attributes = {name: _plain(value) for name, value in file.attrs.items()}
            arrays = {name: np.asarray(file[name][()]) for name in file}
        found = attributes.pop("checksum", None)
        if found != _checksum(attributes, arrays) or (checksum is not None and found != checksum):
            raise FormatError(f"{path}: checksum differs: cut or altered")
        part = _part(path, arrays)
        if not part._fits():
            raise FormatError(f"{path}: its arrays do not fit together")
        return part

    def _fits(self) -> bool:
        n = len(self)
        fits = len(self.labels) == n and self.sizes.shape == (n, 2)
        fits &= self.hashes.shape == (n, 32)
        if self.offsets is None or self.descriptors is None:
            return bool(fits and self.features is not None and len(self.features) == n)
        fits &= len(self.offsets) == n + 1 and self.offsets[0] == 0
        fits &= bool(self.offsets[-1] == self.n_rows and np.all(np.diff(self.offsets) >= 0))
        if self.grids is not None:
            return bool(
                fits
                and self.grids.shape == (n, 2)
                and np.array_equal(self.grids.astype(np.int64).prod(1), np.diff(self.offsets))
            )
        return bool(
            fits and self.keypoints is not None and self.keypoints.shape == (self.n_rows, 4)
        )

    def _arrays(self) -> dict[str, NDArray[Any]]:
        encoded = [label.encode() for label in self.labels]
        width = max([1, *map(len, encoded)])
        arrays: dict[str, NDArray[Any]] = {
            "image_ids": self.image_ids,
            "labels": np.array(encoded, dtype=f"S{width}"),
            "hashes": self.hashes,
            "sizes": self.sizes,
        }
        for name in _DATA:
            value = getattr(self, name)
            if value is not None:
                arrays[name] = np.ascontiguousarray(value)
        return arrays


def read_features(
    path: Path, rows: Sequence[int], *, feature_hash: str
) -> list[tuple[int, Stored]]:
    """(image id, features) of some rows of a part; nothing else of it is read.

    Raises
    ------
    FormatError naming the file: missing, cut, damaged, without such a row, of another recipe.
    """
    found: list[tuple[int, Stored]] = []
    with _opened(path, path, feature_hash) as file:
        data = {name: file[name] for name in file}
        ids = data["image_ids"][()].tolist()
        offsets = data["offsets"][()].tolist() if "offsets" in data else []
        for row in rows:
            if not 0 <= row < len(ids):
                raise FormatError(f"{path}: has no row {row}, it holds {len(ids)} images")
            span = offsets[row : row + 2]
            if offsets and not 0 <= span[0] <= span[1] <= len(data["descriptors"]):
                raise FormatError(f"{path}: offsets of row {row} are {span}: altered")
            found.append((ids[row], _slice(data, row, *span)))
    return found


def read_hashes(path: Path, *, feature_hash: str) -> list[bytes]:
    """Of which files a part holds the features, by row: SHA-256 each. FormatError."""
    with _opened(path, path, feature_hash) as file:
        return [row.tobytes() for row in np.asarray(file["hashes"][()])]


def _slice(data: dict[str, Any], row: int, start: int = 0, end: int = 0) -> Stored:
    """Features of one image; `start` and `end` are its rows where it has several."""
    if "features" in data:
        vector: NDArray[np.float32] = data["features"][row]
        return vector
    descriptors = data["descriptors"][start:end]
    if "grids" in data:
        height, width = data["grids"][row].tolist()
        return np.asarray(descriptors).reshape(height, width, -1)
    return LocalFeatures(data["keypoints"][start:end], descriptors)


@contextmanager
def _opened(path: Path, source: Any, feature_hash: str | None) -> Iterator[Any]:
    """An HDF5 file whose version and recipe fit; whatever goes wrong is a FormatError."""
    import h5py  # 50 ms that a search need not pay

    try:
        # Parts never change, so no lock is needed, which some file systems don't have.
        with h5py.File(source, "r", locking=False) as file:
            version = _plain(file.attrs.get("format_version"))
            if version != FORMAT_VERSION:
                raise FormatError(
                    f"{path}: format version {version}, this cbir reads {FORMAT_VERSION}"
                )
            made = str(file.attrs.get("feature_hash"))
            if feature_hash is not None and made != feature_hash:
                raise FormatError(
                    f"{path}: made under another recipe (hash {made[:12]}, expected "
                    f"{feature_hash[:12]}); build into another folder"
                )
            yield file
    except FormatError:
        raise
    except OSError as error:
        if not path.exists():
            raise FormatError(f"{path}: cannot be read (no such file)") from error
        raise FormatError(f"{path}: not HDF5, cut or altered ({error})") from error
    except (KeyError, ValueError, RuntimeError, TypeError, AttributeError, IndexError) as error:
        raise FormatError(f"{path}: not HDF5, cut or altered ({error})") from error


def _part(path: Path, arrays: dict[str, NDArray[Any]]) -> FeaturePart:
    try:
        labels = [label.decode() for label in arrays["labels"].tolist()]
        fixed: dict[str, Any] = {name: arrays[name] for name in ("image_ids", "hashes", "sizes")}
        data: dict[str, Any] = {name: arrays.get(name) for name in _DATA}
        return FeaturePart(labels=labels, **fixed, **data)
    except (KeyError, ValueError, AttributeError) as error:
        raise FormatError(f"{path}: lacks or misspells {error}") from error


def _offsets(lengths: Sequence[int]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _joined(descriptors: Sequence[NDArray[Any]]) -> NDArray[Any]:
    # Blank pictures have no values to tell the type by: uint8 unless any picture needs float32.
    filled = [one for one in descriptors if len(one)] or [descriptors[0]]
    return np.concatenate(filled)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _checksum(attributes: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> str:
    # An altered file may give names and values of any type, so they are compared as they look.
    said = sorted((ascii(name), ascii(value)) for name, value in attributes.items())
    digest = hashlib.sha256(ascii(said).encode())
    for name in sorted(arrays, key=ascii):
        a = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {a.dtype.str} {a.shape}".encode())
        digest.update(a.tobytes() if a.dtype.kind == "S" else a.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
