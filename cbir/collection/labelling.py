"""Labels of pictures on their way into a collection.

A label spec speaks of the paths below the image root. A picture from elsewhere has an absolute
path, of which its folders say nothing about what it shows: it gets a label only where the spec
names it (a CSV file) or its own name does (UKBench).
"""

from __future__ import annotations

import os
from pathlib import Path

from cbir.collection.scanning import is_elsewhere


def stored_spec(spec: str | os.PathLike[str]) -> str:
    """A label spec as it is kept: a file by its absolute path, so that it holds from any folder.

    Raises
    ------
    ParameterError, FormatError where it is no label spec or its file is missing.
    """
    text = os.fspath(spec)
    if text in ("none", "ukbench", "folders"):
        return text
    from cbir.datasets.labels import check_label_spec  # brings much along that others need not pay

    check_label_spec(text)
    return str(Path(text).resolve())


def labels_of(spec: str, paths: list[str], *, complete: bool) -> list[str | None]:
    """Give the label of each path, None where there is none.

    Parameters
    ----------
    paths : as the catalogue calls them.
    complete : whether `paths` are all there are, so that gaps are mistakes.

    Raises
    ------
    What `cbir.datasets.resolve_labels` raises.
    """
    if spec == "none":
        return [None] * len(paths)
    from cbir.datasets.labels import resolve_labels

    elsewhere = [is_elsewhere(path) for path in paths]
    if spec not in ("ukbench", "folders") or not any(elsewhere):
        return resolve_labels(spec, paths, complete=complete)
    inside = [path for path, out in zip(paths, elsewhere, strict=True) if not out]
    labels = iter(resolve_labels(spec, inside, complete=complete))
    return [
        _by_name(spec, path) if out else next(labels)
        for path, out in zip(paths, elsewhere, strict=True)
    ]


def _by_name(spec: str, path: str) -> str | None:
    from cbir.datasets.labels import ukbench_number

    number = ukbench_number(path) if spec == "ukbench" else None
    return None if number is None else str(number // 4)
