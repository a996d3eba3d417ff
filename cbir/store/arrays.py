"""Fitted state on disk: `manifest.json` beside plain `.npy` arrays, no pickle, no own format.

The manifest holds the format version, the kind (class) of what is stored, its parameters, and for
each array its dtype, shape and SHA-256. A reader believes nothing: a missing, cut, altered or lying
file is a `FormatError` that names it. The same input gives the same bytes (keys sorted, no dates).

Cost: one pass over the bytes to write and one to check on reading (SHA-256), also when mapped.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbir.errors import DTypeError, FormatError, ParameterError
from cbir.store.atomic import atomic_folder, write_file

FORMAT_VERSION = 1
MANIFEST = "manifest.json"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_KINDS = "biuf"  # dtype kinds stored: bool, integers, floats
_BLOCK = 1 << 22

Array = NDArray[Any]


def save_arrays(
    folder: Path | str, *, kind: str, params: Mapping[str, Any], arrays: Mapping[str, Array]
) -> None:
    """Write `arrays` and `params` as a folder, in one step; a folder already there is replaced.

    Parameters
    ----------
    folder : where to; its parents are made.
    kind : name of what is stored, checked again by `load_arrays`.
    params : whatever JSON can say (NumPy scalars are taken; NaN and infinity are not).
    arrays : name -> array of bool, integers or floats, of any shape. Names are identifiers.

    Raises
    ------
    ParameterError, DTypeError for what can't be stored; StorageError if the disk refuses.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> folder = Path(tempfile.mkdtemp()) / "model"
    >>> save_arrays(folder, kind="demo", params={"n": 2}, arrays={"x": np.arange(2.0)})
    >>> load_arrays(folder, kind="demo")
    ({'n': 2}, {'x': array([0., 1.])})
    """
    _check_names(arrays)
    entries: dict[str, Any] = {}
    with atomic_folder(folder) as temporary:
        for name in sorted(arrays):
            header, body = _npy(arrays[name])
            digest = hashlib.sha256(header)
            digest.update(body)
            write_file(temporary / f"{name}.npy", [header, body])
            a = np.asarray(arrays[name])
            entries[name] = {
                "file": f"{name}.npy",
                "dtype": _little(a.dtype).str,
                "shape": list(a.shape),
                "sha256": digest.hexdigest(),
            }
        manifest = {
            "format_version": FORMAT_VERSION,
            "kind": kind,
            "params": dict(params),
            "arrays": entries,
        }
        write_file(temporary / MANIFEST, [_to_json(manifest)])


def read_manifest(folder: Path | str) -> dict[str, Any]:
    """Give the manifest of a folder as a dict with `format_version`, `kind`, `params`, `arrays`.

    Raises
    ------
    FormatError if it is missing, cut, not ours, or of a later version.
    """
    path = Path(folder) / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:
        raise FormatError(f"{path}: not JSON, cut or altered ({error})") from error
    wanted = {"format_version": int, "kind": str, "params": dict, "arrays": dict}
    if not isinstance(manifest, dict):
        raise FormatError(f"{path}: holds {type(manifest).__name__}, expected an object")
    for key, of in wanted.items():
        if not isinstance(manifest.get(key), of):
            raise FormatError(f"{path}: {key} is {manifest.get(key)!r}, expected {of.__name__}")
    if manifest["format_version"] != FORMAT_VERSION:
        raise FormatError(
            f"{path}: format version {manifest['format_version']}, this cbir reads {FORMAT_VERSION}"
        )
    return manifest


def load_arrays(
    folder: Path | str, *, kind: str | None = None, mmap: bool = False
) -> tuple[dict[str, Any], dict[str, Array]]:
    """Read what `save_arrays` wrote: (params, arrays), each file checked against the manifest.

    Parameters
    ----------
    kind : if given, the kind that must be stored there.
    mmap : map the arrays read-only instead of copying them; they outlive the folder's deletion.

    Raises
    ------
    FormatError naming the file that is missing, cut, altered or lying.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    if kind is not None and manifest["kind"] != kind:
        raise FormatError(f"{folder / MANIFEST}: holds {manifest['kind']!r}, expected {kind!r}")
    arrays = {
        name: _load_one(folder, name, entry, mmap) for name, entry in manifest["arrays"].items()
    }
    return manifest["params"], arrays


def _load_one(folder: Path, name: str, entry: Any, mmap: bool) -> Array:
    """Read one array: header first, then size, checksum, and only then the values."""
    manifest = folder / MANIFEST
    if not _NAME.match(name) or not isinstance(entry, dict) or entry.get("file") != f"{name}.npy":
        raise FormatError(f"{manifest}: entry of array {name!r} is not valid: {entry!r}")
    path = folder / f"{name}.npy"
    try:
        # The checksum comes first: nothing of an altered file is ever parsed.
        with path.open("rb") as file:
            if _sha256(file) != entry.get("sha256"):
                raise FormatError(f"{path}: checksum differs from {MANIFEST}: cut or altered")
        array: Array = np.load(path, mmap_mode="r" if mmap else None, allow_pickle=False)
        if mmap and not array.size:  # np.load maps even these, and NumPy can't pickle such a map
            array = np.load(path, allow_pickle=False)
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror or error})") from error
    except FormatError:
        raise
    except (ValueError, SyntaxError, EOFError, TypeError) as error:
        raise FormatError(f"{path}: not a .npy file ({error})") from error
    found = {"dtype": array.dtype.str, "shape": list(array.shape)}
    for key, value in found.items():
        if value != entry.get(key):
            raise FormatError(f"{path}: {key} is {value}, {MANIFEST} says {entry.get(key)}")
    if array.dtype.kind not in _KINDS:
        raise FormatError(f"{path}: dtype {array.dtype} is never written by cbir")
    return array


def _check_names(arrays: Mapping[str, Array]) -> None:
    for name, array in arrays.items():
        if not _NAME.match(name):
            raise ParameterError(f"save_arrays: array name {name!r}, expected an identifier")
        dtype = np.asarray(array).dtype
        if dtype.kind not in _KINDS:
            raise DTypeError(f"save_arrays: {name} is {dtype}, expected bool, integers or floats")


def _little(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return dtype.newbyteorder("<")


def _npy(array: Array) -> tuple[bytes, memoryview]:
    """Header and body of a .npy file, little-endian and C-ordered whatever came in."""
    a = np.asarray(array)
    # ascontiguousarray would turn a 0-d array into a 1-d one
    a = np.array(a, dtype=_little(a.dtype), order="C", copy=None)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(a))
    body = memoryview(a.reshape(-1).view(np.uint8).data) if a.size else memoryview(b"")
    return header.getvalue(), body


def _to_json(manifest: dict[str, Any]) -> bytes:
    def plain(value: Any) -> Any:
        if isinstance(value, np.generic):
            return value.item()
        if isinstance(value, np.ndarray):
            return value.tolist()
        raise ParameterError(f"save_arrays: params hold {type(value)}, which JSON can't say")

    try:
        text = json.dumps(manifest, indent=1, sort_keys=True, default=plain, allow_nan=False)
    except ValueError as error:
        raise ParameterError(f"save_arrays: params hold NaN or infinity ({error})") from error
    return (text + "\n").encode()


def _product(shape: tuple[int, ...]) -> int:
    total = 1
    for n in shape:
        total *= int(n)
    return total


def _sha256(file: io.BufferedReader) -> str:
    digest = hashlib.sha256()
    while block := file.read(_BLOCK):
        digest.update(block)
    return digest.hexdigest()
