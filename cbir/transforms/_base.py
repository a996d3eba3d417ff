"""What every transform has in common: types, files, and the refusal to work before `fit`."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbir import store
from cbir._checks import as_matrix
from cbir.errors import FormatError, NotTrainedError
from cbir.types import Bags, Vectors

_BLOCK = 1 << 22  # numbers worked on at a time: 32 MB where they become float64


def blocks(n: int, width: int) -> Iterator[slice]:
    """Cut `n` rows (or columns) of `width` numbers into runs small enough for copies."""
    step = max(1, _BLOCK // max(width, 1))
    return (slice(i, min(i + step, n)) for i in range(0, n, step))


class Transform(ABC):
    """A map of rows to rows: (n, d) float32 to (n, d') float32, zero rows to zero rows.

    Attributes
    ----------
    takes : types it works on; of `Bags` and `Maps` it works on the descriptors. It gives what it
        takes.
    learns : whether `fit` learns from data; if not, `transform` may be called at once.
    STATE : names of the arrays that `fit` learns, without the ``_`` they end in.
    """

    takes: ClassVar[tuple[Any, ...]] = (Bags, Vectors)
    learns: ClassVar[bool] = False
    STATE: ClassVar[tuple[str, ...]] = ()

    def fit(self, x: ArrayLike) -> Self:
        """Check `x`, (n, d) float32, and give self: there is nothing to learn.

        Raises
        ------
        DimensionError, DTypeError, ParameterError for NaN or infinity.
        """
        as_matrix(x, who=f"{type(self).__name__}.fit", name="x")
        return self

    def transform(self, x: ArrayLike) -> NDArray[np.float32]:
        """Give the new rows, (n, d') float32.

        Parameters
        ----------
        x : (n, d) float32 or float64 (cast). Not modified. Memory beside it is that of the answer.

        Raises
        ------
        NotTrainedError, DimensionError, DTypeError; ParameterError for NaN or infinity, and for an
        argument of the constructor that is out of range.
        """
        who = f"{type(self).__name__}.transform"
        self._check_fitted("transform")
        d, width = self._widths()
        x = as_matrix(x, who=who, name="x", d=d)
        out = np.empty((len(x), x.shape[1] if width is None else width), np.float32)
        for rows in blocks(len(x), x.shape[1]):
            out[rows] = self._rows(x[rows])
        return out

    @abstractmethod
    def _rows(self, x: NDArray[np.float32]) -> NDArray[Any]:
        """Give the new rows of a few checked ones, each by itself."""

    def _widths(self) -> tuple[int | None, int | None]:
        """Numbers in a row before and after; None: any, and as many as before."""
        return None, None

    def save(self, folder: Path | str) -> None:
        """Write parameters and learned state to `folder`. NotTrainedError before `fit`."""
        self._check_fitted("save")
        store.save_arrays(
            Path(folder),
            kind=type(self).__name__,
            params={name: getattr(self, name) for name in inspect.signature(type(self)).parameters},
            arrays={name: getattr(self, f"{name}_") for name in self.STATE},
        )

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """Read what `save` wrote; FormatError naming what is missing, cut or altered."""
        params, arrays = store.load_arrays(Path(folder), kind=cls.__name__)
        try:
            self = cls(**params)
            if set(arrays) != set(cls.STATE):
                raise ValueError(f"holds arrays {sorted(arrays)}, expected {sorted(cls.STATE)}")
            self._adopt(arrays)
        except (TypeError, ValueError) as error:
            raise FormatError(f"{cls.__name__}.load: {folder}: {error}") from None
        return self

    def _adopt(self, arrays: dict[str, NDArray[Any]]) -> None:
        """Take learned arrays over; ValueError if they can't be true."""
        for name, array in arrays.items():
            setattr(self, f"{name}_", array)

    def _check_fitted(self, method: str) -> None:
        if self.STATE and not hasattr(self, f"{self.STATE[0]}_"):
            who = type(self).__name__
            raise NotTrainedError(f"{who}.{method}: not fitted yet; call fit(x) first")

    def __repr__(self) -> str:
        names = inspect.signature(type(self)).parameters
        return f"{type(self).__name__}({', '.join(f'{n}={getattr(self, n)!r}' for n in names)})"
