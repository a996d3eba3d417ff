"""How an index is written and read: whole, or its trained state and its rows apart.

Three folders, each a `manifest.json` beside `.npy` arrays (`cbir.store`), by kind::

    NAME          save, load                   everything
    NAME.trained  save_trained, load_trained   parameters and what was learned; an empty index
    NAME.rows     save_rows, load_rows         ids, rows and whatever search needs of them

Segments of a collection share one trained state and have rows of their own. Rows are stored in the
form in which they are searched: nothing is built again on loading, and a mapped file is searched in
place. What is read into memory is checked in full; of what is mapped only sizes are, and the
kernels are safe from whatever the bytes say.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from cbir import _checks
from cbir.errors import FormatError, ParameterError
from cbir.indexes._growing import Growing
from cbir.indexes._ids import Ids
from cbir.store import load_arrays, save_arrays

Array = NDArray[Any]
Arrays = Mapping[str, Array]


class Stored(ABC):
    """The files of an index; see the module."""

    kind: ClassVar[str]
    KNOBS: ClassVar[tuple[str, ...]]
    needs_training: ClassVar[bool]
    d: int
    metric: str
    _held: tuple[Ids, Any]

    # ---- what a class fills in ----

    def _options(self) -> dict[str, Any]:
        """Give the constructor's arguments besides the first, `d`, and the knobs."""
        return {"metric": self.metric}

    def _trained_arrays(self) -> dict[str, Array]:
        """Give what was learned."""
        return {}

    def _adopt_trained(self, arrays: Arrays, folder: Path) -> None:
        """Take what was learned over. FormatError if it can't be true."""
        assert not self.needs_training, f"{type(self).__name__} does not read what it learned"

    @abstractmethod
    def _row_arrays(self) -> dict[str, Sequence[Array]]:
        """Give the arrays of the rows, each in pieces that belong end to end."""

    @abstractmethod
    def _adopted(self, arrays: Arrays, folder: Path, *, whole: bool) -> tuple[Any, int]:
        """Give what the class holds, and the number of rows, from such arrays.

        `whole` asks to look at every value; otherwise names (`expect_names`) and sizes must do.
        FormatError if they can't be true.
        """

    # ---- what everybody calls ----

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays in use, rows marked as removed included."""
        rows = sum(piece.nbytes for pieces in self._row_arrays().values() for piece in pieces)
        trained = sum(a.nbytes for a in self._trained_arrays().values())
        return int(self._held[0].all.nbytes + rows + trained)

    def save(self, folder: str | Path) -> None:
        """Write manifest.json and .npy arrays into a folder; one already there is replaced."""
        params = {**self._params(), **self._row_params()}
        arrays: dict[str, Any] = {**self._trained_arrays(), **self._stored_rows()}
        save_arrays(Path(folder), kind=self.kind, params=params, arrays=arrays)

    def save_trained(self, folder: str | Path) -> None:
        """Write parameters and what was learned, without rows."""
        save_arrays(
            Path(folder),
            kind=f"{self.kind}.trained",
            params=self._params(),
            arrays=self._trained_arrays(),
        )

    def save_rows(self, folder: str | Path) -> None:
        """Write the rows, without what was learned."""
        params = {**self._params(), **self._row_params()}
        del params["knobs"]  # they don't change rows
        save_arrays(
            Path(folder), kind=f"{self.kind}.rows", params=params, arrays=self._stored_rows()
        )

    @classmethod
    def load(cls, folder: str | Path, mmap: bool = False) -> Self:
        """Read what `save` wrote.

        Parameters
        ----------
        folder : where it lies.
        mmap : map large arrays instead of reading them; the first `add` copies them.

        Raises
        ------
        FormatError naming the file that is missing, cut, altered or lying. With `mmap`, altered
        values of large arrays are not looked for: `cbir.store.check_arrays` does that.
        """
        params, arrays = load_arrays(Path(folder), kind=cls.kind, mmap=mmap)
        return cls._restored(params, arrays, Path(folder), whole=not mmap)

    @classmethod
    def load_trained(cls, folder: str | Path) -> Self:
        """Read what `save_trained` wrote: an index without rows."""
        params, arrays = load_arrays(Path(folder), kind=f"{cls.kind}.trained")
        index = cls._restored_trained(params, arrays, Path(folder))
        expect_names(arrays, index._trained_arrays(), Path(folder))
        return index

    def load_rows(self, folder: str | Path, mmap: bool = True) -> Self:
        """Read what `save_rows` wrote, as an index that shares what this one has learned.

        This index is not changed, and its own rows are not looked at.

        Raises
        ------
        FormatError as `load`; also where the rows are those of an index with other parameters.
        """
        folder = Path(folder)
        params, arrays = load_arrays(folder, kind=f"{self.kind}.rows", mmap=mmap)
        for name in ("d", "options"):
            value = self._params()[name]
            if params.get(name) != value:
                raise FormatError(
                    f"{folder / 'manifest.json'}: rows of an index with {name} "
                    f"{params.get(name)!r}, expected {value!r}"
                )
        return self._restored_rows(params, arrays, folder, whole=not mmap)

    # ---- parameters and arrays of ids ----

    def _params(self) -> dict[str, Any]:
        knobs = {name: getattr(self, name) for name in self.KNOBS}
        return {"d": self.d, "options": self._options(), "knobs": knobs}

    def _row_params(self) -> dict[str, Any]:
        ids = self._held[0]
        return {"next_id": ids.next_id, "rising": ids.rising}

    def _stored_rows(self) -> dict[str, Sequence[Array]]:
        ids = self._held[0]
        removed = {"removed": [ids.gone]} if len(ids.gone) else {}
        return {"ids": [ids.all], **removed, **self._row_arrays()}

    @classmethod
    def _restored_trained(cls, params: Mapping[str, Any], arrays: Arrays, folder: Path) -> Self:
        manifest = folder / "manifest.json"
        try:
            index = cls(params["d"], **params["options"], **params["knobs"])  # type: ignore[call-arg]
        except (KeyError, TypeError, ParameterError) as error:
            raise FormatError(
                f"{manifest}: params are not those of {cls.__name__}: {error}"
            ) from error
        index._adopt_trained(arrays, folder)
        return index

    @classmethod
    def _restored(
        cls, params: Mapping[str, Any], arrays: Arrays, folder: Path, *, whole: bool
    ) -> Self:
        index = cls._restored_trained(params, arrays, folder)
        learned = index._trained_arrays()
        rows = {name: a for name, a in arrays.items() if name not in learned}
        return index._restored_rows(params, rows, folder, whole=whole)

    def _restored_rows(
        self, params: Mapping[str, Any], arrays: Arrays, folder: Path, *, whole: bool
    ) -> Self:
        own = {name: a for name, a in arrays.items() if name not in ("ids", "removed")}
        if "ids" not in arrays:
            raise FormatError(f"{folder / 'manifest.json'}: holds no ids")
        data, n = self._adopted(own, folder, whole=whole)
        index = self.empty()
        index._held = (_read_ids(params, arrays, n, folder, whole=whole), data)
        return index

    @abstractmethod
    def empty(self) -> Self:
        """An index of the same parameters and the same trained state, without rows."""

    # ---- pickle: the same arrays, the same checks ----

    def __reduce__(self) -> tuple[Any, ...]:
        params = {**self._params(), **self._row_params()}
        whole = {name: np.concatenate(list(p)) for name, p in self._stored_rows().items()}
        arrays = {**{k: np.array(a) for k, a in self._trained_arrays().items()}, **whole}
        return type(self)._unpickle, (params, arrays)

    @classmethod
    def _unpickle(cls, params: Mapping[str, Any], arrays: Arrays) -> Self:
        return cls._restored(params, arrays, Path("<pickle>"), whole=True)


def _read_ids(
    params: Mapping[str, Any], arrays: Arrays, n: int, folder: Path, *, whole: bool
) -> Ids:
    manifest, path = folder / "manifest.json", folder / "ids.npy"
    try:
        next_id = _checks.check_int(params["next_id"], who="next_id", name="next_id", low=0)
        rising = params["rising"]
    except (KeyError, ParameterError) as error:
        raise FormatError(f"{manifest}: params are not those of rows: {error}") from error
    if not isinstance(rising, bool):
        raise FormatError(f"{manifest}: rising is {rising!r}, expected true or false")
    ids = expect(arrays["ids"], np.int64, 1, path)
    if len(ids) != n:
        raise FormatError(f"{path}: holds {len(ids)} ids for {n} rows")
    gone = np.array(
        expect(arrays.get("removed", np.zeros(0, np.int64)), np.int64, 1, folder / "removed.npy")
    )
    if len(gone) and (gone[0] < 0 or gone[-1] >= n or (gone[1:] <= gone[:-1]).any()):
        raise FormatError(f"{folder / 'removed.npy'}: must rise inside 0 to {n - 1}")
    read = Ids(Growing(ids), next_id, gone, rising)
    if whole and n:
        live = ids[read.live()]
        if int(ids.min()) < 0 or int(ids.max()) >= next_id or len(np.unique(live)) != len(live):
            raise FormatError(f"{path}: ids must be distinct and 0 to {next_id - 1} (next_id - 1)")
        if rising != bool((ids[1:] > ids[:-1]).all()):
            raise FormatError(f"{manifest}: rising is {rising}, ids.npy says otherwise")
    return read


def expect_names(arrays: Arrays, wanted: Iterable[str], folder: Path) -> None:
    """Raise FormatError unless `arrays` has just the names that are wanted."""
    if set(arrays) != set(wanted):
        raise FormatError(
            f"{folder / 'manifest.json'}: holds arrays {sorted(arrays)}, expected {sorted(wanted)}"
        )


def expect(array: Array, dtype: Any, ndim: int, path: Path) -> Array:
    """Give `array` C-contiguous; FormatError if its dtype or number of axes is another."""
    if array.dtype != dtype or array.ndim != ndim:
        raise FormatError(
            f"{path}: is {array.dtype} with {array.ndim} axes, "
            f"expected {np.dtype(dtype)} with {ndim}"
        )
    return np.ascontiguousarray(array)
