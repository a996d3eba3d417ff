"""The errors cbir raises on purpose. All derive from `CbirError`.

Each also derives from the built-in a caller would expect (`ValueError`, `TypeError`, ...), so code
that knows nothing of cbir still catches it. A message says who, which argument, what was found,
what was expected and how to mend it: ``Flat.add: xb has d=96, the index has d=128``.
"""


class CbirError(Exception):
    """Base of every error cbir raises on purpose."""


class DimensionError(CbirError, ValueError):
    """An array has the wrong number of axes, rows or columns."""


class ParameterError(CbirError, ValueError):
    """An argument or a recipe value is outside what is allowed."""


class DTypeError(CbirError, TypeError):
    """An array has a dtype that is not taken (float32 and float64 are, unless a class lists
    more).
    """


class NotTrainedError(CbirError, RuntimeError):
    """Something was used before `fit` or `train`."""


class FormatError(CbirError, ValueError):
    """A file is missing, cut, altered or says something untrue."""


class ImageError(CbirError, ValueError):
    """A picture can't be decoded, or is refused (too many pixels, too small)."""


class LockError(CbirError, RuntimeError):
    """Another process is writing to the same collection."""


class StorageError(CbirError, OSError):
    """The disk is full or refuses to be written to."""


class DependencyError(CbirError, ImportError):
    """An optional part is not installed; the message says which extra brings it."""
