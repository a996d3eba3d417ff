"""Feature parts: immutable HDF5 files, each with the features of a fixed number of images.

::

    image_ids    (n,) int64            labels   (n,) fixed-length UTF-8, "" where there is none
    sizes        (n, 2) int32          width and height of the decoded picture
    features     (n, d) float32        one vector per image           global features
    descriptors  (N, d) uint8|float32  of all images end to end       local features
    keypoints    (N, 4) float32        x, y, scale, angle             local features
    offsets      (n + 1,) int64        image i has rows offsets[i] to offsets[i + 1]

Attributes: format_version, cbir_version, recipe_hash (of what decides the features), key (which
images, with which content, the part stands for), failed (JSON: id -> why), checksum. A part made
under another recipe, cut or altered, is refused. The same input gives the same bytes: the file is
made in memory, HDF5 keeps no time stamps here, and it is put in place in one step.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from cbir.errors import FormatError
from cbir.store.atomic import atomic_write

FORMAT_VERSION = 1
_LOCAL = ("descriptors", "keypoints", "offsets")


@dataclass
class FeaturePart:
    """The content of one part; local features have `descriptors`, global ones `features`."""

    image_ids: NDArray[np.int64]
    labels: list[str]
    sizes: NDArray[np.int32]
    features: NDArray[np.float32] | None = None
    descriptors: NDArray[np.float32] | NDArray[np.uint8] | None = None
    keypoints: NDArray[np.float32] | None = None
    offsets: NDArray[np.int64] | None = None
    key: str = ""
    failed: dict[int, str] = field(default_factory=dict)

    @property
    def n_descriptors(self) -> int:
        """Descriptors in the part; for global features one per image."""
        x = self.descriptors if self.descriptors is not None else self.features
        return 0 if x is None else len(x)

    def write(self, path: Path, *, recipe_hash: str, cbir_version: str) -> str:
        """Publish the part and give its checksum. Raises StorageError."""
        arrays = self._arrays()
        attributes: dict[str, Any] = {
            "format_version": FORMAT_VERSION,
            "cbir_version": cbir_version,
            "recipe_hash": recipe_hash,
            "key": self.key,
        }
        # HDF5 keeps at most 64 kB per attribute, and many failures say more than that.
        failed = json.dumps({str(k): v for k, v in sorted(self.failed.items())})
        arrays["failed"] = np.frombuffer(failed.encode(), np.uint8)
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
    def read(cls, path: Path, *, recipe_hash: str | None = None) -> FeaturePart:
        """Read and check a part; `recipe_hash` is what it must have been made under.

        Raises
        ------
        FormatError naming the file: missing, cut, altered, lying, or made under another recipe.
        """
        try:
            data = path.read_bytes()
        except OSError as error:
            raise FormatError(f"{path}: cannot be read ({error.strerror or error})") from error
        try:
            with h5py.File(io.BytesIO(data), "r") as file:
                attributes = {name: _plain(value) for name, value in file.attrs.items()}
                arrays = {name: np.asarray(file[name][()]) for name in file}
        except (OSError, KeyError, ValueError, RuntimeError, TypeError, AttributeError) as error:
            raise FormatError(f"{path}: not HDF5, cut or altered ({error})") from error
        if attributes.get("format_version") != FORMAT_VERSION:
            raise FormatError(
                f"{path}: format version {attributes.get('format_version')}, "
                f"this cbir reads {FORMAT_VERSION}"
            )
        found = attributes.pop("checksum", None)
        if found != _checksum(attributes, arrays):
            raise FormatError(f"{path}: checksum differs: cut or altered")
        if recipe_hash is not None and attributes.get("recipe_hash") != recipe_hash:
            made = str(attributes.get("recipe_hash"))
            raise FormatError(
                f"{path}: made under another recipe (hash {made[:12]}, expected "
                f"{recipe_hash[:12]}); build into another folder"
            )
        return cls._checked(path, attributes, arrays)

    @classmethod
    def _checked(
        cls, path: Path, attributes: dict[str, Any], arrays: dict[str, NDArray[Any]]
    ) -> FeaturePart:
        try:
            failed = json.loads(arrays["failed"].tobytes())
            part = cls(
                image_ids=arrays["image_ids"],
                labels=[label.decode() for label in arrays["labels"].tolist()],
                sizes=arrays["sizes"],
                features=arrays.get("features"),
                descriptors=arrays.get("descriptors"),
                keypoints=arrays.get("keypoints"),
                offsets=arrays.get("offsets"),
                key=attributes["key"],
                failed={int(k): v for k, v in failed.items()},
            )
        except (KeyError, ValueError, AttributeError) as error:
            raise FormatError(f"{path}: lacks or misspells {error}") from error
        n = len(part.image_ids)
        fits = len(part.labels) == n and part.sizes.shape == (n, 2)
        if part.offsets is not None:
            total = part.n_descriptors
            fits &= part.keypoints is not None and part.keypoints.shape == (total, 4)
            fits &= len(part.offsets) == n + 1 and part.offsets[0] == 0
            fits &= bool(part.offsets[-1] == total and np.all(np.diff(part.offsets) >= 0))
        else:
            fits &= part.features is not None and len(part.features) == n
        if not fits:
            raise FormatError(f"{path}: its arrays do not fit together")
        return part

    def _arrays(self) -> dict[str, NDArray[Any]]:
        encoded = [label.encode() for label in self.labels]
        width = max([1, *map(len, encoded)])
        arrays: dict[str, NDArray[Any]] = {
            "image_ids": np.asarray(self.image_ids, np.int64),
            "labels": np.array(encoded, dtype=f"S{width}"),
            "sizes": np.asarray(self.sizes, np.int32).reshape(len(self.image_ids), 2),
        }
        for name in ("features", *_LOCAL):
            value = getattr(self, name)
            if value is not None:
                arrays[name] = np.ascontiguousarray(value)
        return arrays


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _checksum(attributes: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256(json.dumps(attributes, sort_keys=True, default=str).encode())
    for name in sorted(arrays):
        a = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {a.dtype.str} {a.shape}".encode())
        digest.update(a.tobytes() if a.dtype.kind == "S" else a.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
