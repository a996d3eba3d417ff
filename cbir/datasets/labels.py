"""Which images show the same thing: labels by UKBench's numbers, by folder, or from a CSV file.

`resolve_labels` gives one label or None per image. None means "not known": such an image is indexed
and can be found, but is neither a query nor a right answer when results are scored.
"""

from __future__ import annotations

import csv
import logging
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from cbir.errors import FormatError, ParameterError

log = logging.getLogger(__name__)

_UKBENCH = re.compile(r"ukbench([0-9]+)\.[A-Za-z]+", re.IGNORECASE)


def resolve_labels(
    spec: str | Path, paths: Sequence[str], *, complete: bool = True
) -> list[str | None]:
    """Give each path its label.

    Parameters
    ----------
    spec : "none" (all None); "ukbench" (object N // 4 of ukbenchNNNNN.jpg); "folders" (the first
        folder of the path, None for images at the top); or the path of a CSV file with the columns
        path,label.
    paths : relative POSIX paths, in any order.
    complete : insist on all four views of each object for "ukbench", and on an image for every row
        of a CSV file. Turn off when adding single images.

    Returns
    -------
    Labels in the order of `paths`. Raises ParameterError when `spec` is none of these or a UKBench
    set has gaps, FormatError (with file and line) when a CSV file is wrong.

    Examples
    --------
    >>> resolve_labels("folders", ["cats/1.jpg", "dogs/old/7.jpg", "logo.png"])
    ['cats', 'dogs', None]
    """
    check_label_spec(spec)
    if spec == "none":
        return [None] * len(paths)
    if spec == "ukbench":
        if (warning := subset_warning(paths)) and complete:
            log.warning("%s", warning)
        return list(ukbench_labels(paths, complete=complete))
    if spec == "folders":
        return folder_labels(paths)
    return csv_labels(spec, paths, complete=complete)


def check_label_spec(spec: str | Path) -> None:
    """Refuse what is no label spec, before any work is spent on pictures.

    Raises
    ------
    ParameterError where `spec` is none of "none", "ukbench", "folders" and a CSV file; FormatError
    where such a file is missing.
    """
    if spec in ("none", "ukbench", "folders") or Path(spec).is_file():
        return
    if str(spec).lower().endswith((".csv", ".tsv", ".txt")):
        raise FormatError(f"labels {spec}: there is no such file")
    raise ParameterError(
        f"labels={str(spec)!r}, allowed is none, ukbench, folders or a CSV file path,label"
    )


def ukbench_number(path: str) -> int | None:
    """Return N of ``.../ukbenchN.jpg``, None for other names."""
    match = _UKBENCH.fullmatch(path.rpartition("/")[2])
    return int(match[1]) if match else None


def ukbench_labels(paths: Sequence[str], *, complete: bool = True) -> list[str]:
    """Objects of UKBench images: N // 4 of ``ukbenchNNNNN.jpg``, in a set of any multiple of 4.

    The division is a whole one: where the text that teaches this writes ``(i / 4) + 1`` it means
    Python 2; in Python 3 that gives each image a label of its own and every score collapses to 1 of
    4, in silence.

    Raises
    ------
    ParameterError naming the path that isn't called ``ukbenchNNNNN.jpg``, the number that comes
    twice, or the object that hasn't four images.

    Examples
    --------
    >>> ukbench_labels(["ukbench00003.jpg", "ukbench00004.jpg"], complete=False)
    ['0', '1']
    """
    numbers = []
    for path in paths:
        number = ukbench_number(path)
        if number is None:
            raise ParameterError(
                f"labels=ukbench: {path!r} is not called ukbenchNNNNN.jpg; "
                "rename it, move it away or use other labels"
            )
        numbers.append(number)
    if complete:
        twice = [n for n, count in Counter(numbers).items() if count > 1]
        if twice:
            raise ParameterError(f"labels=ukbench: number {min(twice)} appears twice")
        sizes = Counter(n // 4 for n in numbers)
        gaps = sorted(label for label, size in sizes.items() if size != 4)
        if gaps:
            raise ParameterError(
                f"labels=ukbench: {len(paths)} images, {len(gaps)} objects without all "
                f"4 views; the first is object {gaps[0]} (ukbench{4 * gaps[0]:05d} to "
                f"{4 * gaps[0] + 3:05d}) with {sizes[gaps[0]]}"
            )
    return [str(n // 4) for n in numbers]


def subset_warning(paths: Sequence[str]) -> str | None:
    """What to say of a beginning of UKBench: its first objects are easier than the rest."""
    numbers = [n for n in map(ukbench_number, paths) if n is not None]
    if len(numbers) == 1000 and sorted(numbers) == list(range(1000)):
        return (
            "these are the first 1,000 images of UKBench, an easy subset: "
            "don't compare scores on them with those of all 10,200"
        )
    return None


def folder_labels(paths: Sequence[str]) -> list[str | None]:
    """Return the first folder of each path; None for images that lie at the top."""
    parts = (p.partition("/") for p in paths)
    return [first if slash else None for first, slash, _ in parts]


def csv_labels(
    file: str | Path, paths: Sequence[str], *, complete: bool = True
) -> list[str | None]:
    """Labels from a CSV (or, by its name, TSV) file of two columns, path and label; a header is
    optional.

    Paths are relative to the image folder. An empty label means None, as does a path the file
    doesn't name. UTF-8, with or without BOM; fields with commas or newlines in double quotes.

    Raises
    ------
    FormatError naming file and line: missing file, not two columns, a path twice with different
    labels; if `complete`, a path that is not among the images.
    """
    file = Path(file)
    known = set(paths)
    labels: dict[str, str] = {}
    first_line: dict[str, int] = {}
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(
                stream, delimiter="\t" if file.suffix == ".tsv" else ",", strict=True
            )
            for i, row in enumerate(reader):
                where = f"{file}, line {reader.line_num}"
                if not row or (len(row) == 1 and not row[0].strip()):
                    continue
                if len(row) != 2:
                    raise FormatError(f"{where}: {len(row)} columns, expected 2: path,label")
                path, label = row[0].strip(), row[1].strip()
                if i == 0 and path.lower() in ("path", "file", "image") and path not in known:
                    continue
                path = path if path in known else path.replace("\\", "/").removeprefix("./")
                if path not in known:
                    if not complete:
                        continue
                    raise FormatError(
                        f"{where}: {path!r} is not among the {len(paths)} images; "
                        "paths are relative to their folder"
                    )
                if path in labels and labels[path] != label:
                    raise FormatError(
                        f"{where}: {path!r} is {label!r}, "
                        f"but {labels[path]!r} in line {first_line[path]}"
                    )
                labels[path], first_line[path] = label, reader.line_num
    except csv.Error as error:
        raise FormatError(f"{file}, line {reader.line_num}: {error}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(f"labels {file}: {error}") from error
    return [labels.get(p) or None for p in paths]
