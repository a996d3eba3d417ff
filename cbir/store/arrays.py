"""Fitted state on disk: `manifest.json` beside plain `.npy` arrays, no pickle, no own format.

The manifest holds the format version, the kind (class) of what is stored, its parameters, and for
each array its dtype, shape and SHA-256. A reader believes nothing: a missing, cut, altered or lying
file is a `FormatError` that names it. The same input gives the same bytes (keys sorted, no dates).

Cost: one pass over the bytes to write and one to check on reading (SHA-256). Mapped, an array above
1 MiB costs nothing until it is used: its header and the size of its file are checked, its bytes are
the business of `check_arrays`.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import operator
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
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
_MAGIC = b"\x93NUMPY\x01\x00"
_MAPPED = 1 << 20  # arrays above this are mapped, smaller ones read and hashed

Array = NDArray[Any]


def save_arrays(
    folder: Path | str,
    *,
    kind: str,
    params: Mapping[str, Any],
    arrays: Mapping[str, Array | Sequence[Array]],
) -> None:
    """Write `arrays` and `params` as a folder, in one step; a folder already there is replaced.

    Parameters
    ----------
    folder : where to; its parents are made.
    kind : name of what is stored, checked again by `load_arrays`.
    params : whatever JSON can say (NumPy scalars are taken; NaN and infinity are not).
    arrays : name -> array of bool, integers or floats, of any shape; or a list of such arrays,
        which are stored end to end along their first axis. Names are identifiers.

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
    pieces = {name: _pieces(name, value) for name, value in arrays.items()}
    entries: dict[str, Any] = {}
    with atomic_folder(folder) as temporary:
        for name in sorted(pieces):
            digest = hashlib.sha256()
            dtype, shape = _dtype_and_shape(pieces[name])
            write_file(temporary / f"{name}.npy", _npy(pieces[name], digest))
            entries[name] = {
                "file": f"{name}.npy",
                "dtype": dtype.str,
                "shape": list(shape),
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
    mmap : map arrays above 1 MiB read-only instead of reading them; they outlive the folder's
        deletion. Their values are not checked: see `check_arrays`.

    Raises
    ------
    FormatError naming the file that is missing, cut, altered or lying.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    if kind is not None and manifest["kind"] != kind:
        raise FormatError(f"{folder / MANIFEST}: holds {manifest['kind']!r}, expected {kind!r}")
    arrays = {}
    for name, entry in manifest["arrays"].items():
        path = _path_of(folder, name, entry)
        with _explained(path):
            arrays[name] = _load_one(path, entry, mmap)
    return manifest["params"], arrays


def check_arrays(folder: Path | str) -> None:
    """Read every byte of a folder that `save_arrays` wrote, holding little in memory.

    Raises
    ------
    FormatError naming the file that is missing, cut, altered or lying.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> folder = Path(tempfile.mkdtemp()) / "model"
    >>> save_arrays(folder, kind="demo", params={}, arrays={"x": np.arange(2.0)})
    >>> check_arrays(folder)
    """
    folder = Path(folder)
    for name, entry in read_manifest(folder)["arrays"].items():
        path = _path_of(folder, name, entry)
        with _explained(path), path.open("rb") as file:
            _check_sum(file, path, entry)
            file.seek(0)
            _read_header(file, path, entry)


def _path_of(folder: Path, name: str, entry: Any) -> Path:
    if not _NAME.match(name) or not isinstance(entry, dict) or entry.get("file") != f"{name}.npy":
        raise FormatError(f"{folder / MANIFEST}: entry of array {name!r} is not valid: {entry!r}")
    return folder / f"{name}.npy"


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn what a wrong file makes others raise into FormatError naming it."""
    try:
        yield
    except FormatError:
        raise
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror or error})") from error
    except (ValueError, SyntaxError, EOFError, TypeError, OverflowError) as error:
        raise FormatError(f"{path}: not a .npy file ({error})") from error


def _load_one(path: Path, entry: dict[str, Any], mmap: bool) -> Array:
    with path.open("rb") as file:
        mapped = mmap and os.fstat(file.fileno()).st_size > _MAPPED
        if not mapped:  # the checksum comes first: nothing of an altered file is ever parsed
            _check_sum(file, path, entry)
            file.seek(0)
        dtype, shape, start = _read_header(file, path, entry)
        if mapped:
            # np.memmap's own class slows every slice down; its memory lives on as the base
            return np.asarray(np.memmap(file, dtype, "r", start, shape))
        return np.fromfile(file, dtype, count=math.prod(shape)).reshape(shape)


def _read_header(
    file: io.BufferedReader, path: Path, entry: dict[str, Any]
) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """Give dtype, shape and where the values begin; all of it as the manifest and the file say.

    The header must be, byte by byte, the one that the manifest promises: nothing is parsed.
    """
    try:
        dtype = np.dtype(str(entry.get("dtype")))
        shape = tuple(operator.index(n) for n in entry["shape"])
    except (KeyError, TypeError):
        dtype, shape = np.dtype(object), ()
    if dtype.str != entry.get("dtype") or dtype.kind not in _KINDS or min(shape, default=0) < 0:
        raise FormatError(f"{path}: {MANIFEST} says {entry!r}, which cbir never writes")
    promised = _header(dtype, shape)
    if file.read(len(promised)) != promised:
        raise FormatError(f"{path}: does not begin as {dtype} {shape} of {MANIFEST} does")
    start, size = file.tell(), os.fstat(file.fileno()).st_size
    if size != start + math.prod(shape) * dtype.itemsize:
        raise FormatError(f"{path}: {size} bytes are not those of {dtype} {shape}: cut or altered")
    return dtype, shape, start


def _header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """Give the header of a .npy file, version 1.0, as NumPy 2 writes it, whatever NumPy is here."""
    text = f"{{'descr': {dtype.str!r}, 'fortran_order': False, 'shape': {shape!r}, }}"
    if shape:
        text += " " * (21 - len(repr(shape[0])))  # room for the first axis to grow
    unpadded = len(_MAGIC) + 2 + len(text) + 1
    text += " " * (64 - unpadded % 64) + "\n"  # values begin at a cache line
    return _MAGIC + len(text).to_bytes(2, "little") + text.encode("latin-1")


def _check_sum(file: io.BufferedReader, path: Path, entry: dict[str, Any]) -> None:
    digest = hashlib.sha256()
    while block := file.read(_BLOCK):
        digest.update(block)
    if digest.hexdigest() != entry.get("sha256"):
        raise FormatError(f"{path}: checksum differs from {MANIFEST}: cut or altered")


def _pieces(name: str, value: Array | Sequence[Array]) -> list[Array]:
    """Give `value` as plain arrays that belong end to end, or refuse what can't be stored."""
    if not _NAME.match(name):
        raise ParameterError(f"save_arrays: array name {name!r}, expected an identifier")
    parts = [np.asarray(a) for a in (value if isinstance(value, list | tuple) else [value])]
    for part in parts:
        if part.dtype.kind not in _KINDS:
            raise DTypeError(
                f"save_arrays: {name} is {part.dtype}, expected bool, integers or floats"
            )
        if part.dtype != parts[0].dtype or part.shape[1:] != parts[0].shape[1:]:
            raise ParameterError(
                f"save_arrays: pieces of {name} are {part.dtype} {part.shape} and "
                f"{parts[0].dtype} {parts[0].shape}; they don't belong end to end"
            )
    if not parts:
        raise ParameterError(f"save_arrays: {name} is an empty list of arrays")
    return parts


def _dtype_and_shape(parts: Sequence[Array]) -> tuple[np.dtype[Any], tuple[int, ...]]:
    dtype, shape = parts[0].dtype.newbyteorder("<"), parts[0].shape
    if len(parts) > 1:
        shape = (sum(len(p) for p in parts), *shape[1:])
    return dtype, shape


def _npy(parts: Sequence[Array], digest: hashlib._Hash) -> Iterator[bytes | memoryview]:
    """Give header and body of a .npy file, little-endian and C-ordered, and hash them."""
    dtype, shape = _dtype_and_shape(parts)
    chunks: list[bytes | memoryview] = [_header(dtype, shape)]
    for part in parts:
        plain = np.array(part, dtype=dtype, order="C", copy=None)
        if plain.size:
            chunks.append(memoryview(plain.reshape(-1).view(np.uint8).data))
    for chunk in chunks:
        digest.update(chunk)
        yield chunk


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
