"""Turn what a caller hands over into what the native code takes, or say clearly what is wrong.

The binding accepts exact arrays only (C-contiguous, the right dtype). Everything forgiving happens
here: float64 is cast to float32, strided, Fortran-ordered and read-only arrays are taken (copied
where needed). float16, integers and objects are refused: a silent cast there hides a mistake.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbir.errors import DimensionError, DTypeError, ParameterError


def as_matrix(
    x: ArrayLike, *, who: str, name: str, d: int | None = None, finite: bool = True
) -> NDArray[np.float32]:
    """Give `x` as a C-contiguous (n, d) float32 array.

    Raises
    ------
    DimensionError if `x` has not two axes or not `d` columns, DTypeError for any dtype other than
    float32 and float64, ParameterError if a value is NaN or infinite.
    """
    a = np.asarray(x)
    if a.ndim != 2:
        hint = "; for one vector pass x[None, :]" if a.ndim == 1 else ""
        raise DimensionError(f"{who}: {name} has shape {a.shape}, expected (n, d){hint}")
    if d is not None and a.shape[1] != d:
        raise DimensionError(f"{who}: {name} has d={a.shape[1]}, expected d={d}")
    if a.dtype not in (np.float32, np.float64):
        raise DTypeError(
            f"{who}: {name} is {a.dtype}, expected float32 (float64 is cast); "
            f"use {name}.astype(np.float32)"
        )
    a = np.ascontiguousarray(a, np.float32)
    if finite:
        check_finite(a, who=who, name=name)
    return a


def check_finite(a: NDArray[np.float32], *, who: str, name: str) -> None:
    """Refuse NaN and infinity, naming the first row that has one."""
    # The sum of squares is not finite where any term isn't, and costs one pass without a temporary;
    # it may also overflow by itself, so only then are the values looked at one by one.
    flat = a.ravel()
    with np.errstate(over="ignore", invalid="ignore"):
        squares = np.dot(flat, flat)
    if not np.isfinite(squares):
        bad = ~np.isfinite(a)
        if bad.any():
            row = int(np.argwhere(bad)[0][0])
            raise ParameterError(
                f"{who}: {name} holds NaN or infinity, first in row {row}; drop or mend such rows"
            )


def check_k(k: Any, *, who: str) -> int:
    """Number of neighbours: a positive integer."""
    return check_int(k, who=who, name="k", low=1)


def check_int(value: Any, *, who: str, name: str, low: int, high: int | None = None) -> int:
    """Give `value` as an int inside [low, high], or raise ParameterError."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise ParameterError(f"{who}: {name}={value!r}, expected an integer")
    if value < low or (high is not None and value > high):
        allowed = f"at least {low}" if high is None else f"{low} to {high}"
        raise ParameterError(f"{who}: {name}={value}, allowed is {allowed}")
    return int(value)


def as_ids(ids: ArrayLike, *, who: str, n: int | None = None) -> NDArray[np.int64]:
    """Give `ids` as a C-contiguous (n,) int64 array of distinct non-negative numbers."""
    a = np.asarray(ids)
    if a.size == 0:
        a = a.astype(np.int64)
    if a.ndim != 1 or (n is not None and len(a) != n):
        expected = "(n,)" if n is None else f"({n},)"
        raise DimensionError(f"{who}: ids has shape {a.shape}, expected {expected}")
    if not np.issubdtype(a.dtype, np.integer):
        raise DTypeError(f"{who}: ids are {a.dtype}, expected int64")
    a = np.ascontiguousarray(a, np.int64)
    if a.size and int(a.min()) < 0:
        raise ParameterError(
            f"{who}: ids holds {int(a.min())}; ids are 0 or more, -1 means 'no hit'"
        )
    unique, counts = np.unique(a, return_counts=True)
    if len(unique) != len(a):
        raise ParameterError(f"{who}: id {int(unique[counts > 1][0])} appears twice in ids")
    return a


def threads(n_threads: Any, *, who: str) -> int:
    """Resolve 0 to the number of CPUs this process may use."""
    n = check_int(n_threads, who=who, name="n_threads", low=0, high=1024)
    if n:
        return n
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
