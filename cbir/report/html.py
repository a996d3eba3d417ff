"""A report on one evaluation as one HTML file: no script, no network, pictures and plots inside it.

`Report` holds what to say; `report.html` (jinja2, everything escaped) says it; `report.css` gives
the looks: light and dark after the reader's system, one column on a phone, black on white in print.
The page forbids itself any outside resource (Content-Security-Policy), so a hostile file name can't
fetch anything even if it got through the escaping.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from numpy.typing import ArrayLike

from cbir.errors import DimensionError, StorageError
from cbir.report.glossary import Entry, entry, headlines
from cbir.report.plots import histogram_svg, precision_recall_svg
from cbir.report.thumbnails import Picture, data_uri, printable

THUMBNAIL = 224  # pixels of the longer side: shown at half of it, sharp on dense screens
HERE = Path(__file__).parent


@dataclass(frozen=True)
class ReportRow:
    """One query and its first results.

    Attributes
    ----------
    query, results : uint8 RGB (H, W, 3) each; None, where it can't be read, is a grey tile.
    query_caption, captions : file names or the like, in full; they are cut to fit.
    truth : per result True (green), False (red), None (grey: not known, or left out).
    score : of this query, a number or text; `score_name` says of what.
    """

    query: Picture
    query_caption: str
    results: Sequence[Picture]
    captions: Sequence[str]
    truth: Sequence[bool | None]
    score: float | str
    score_name: str = "AP"


@dataclass(frozen=True)
class Report:
    """What a report says. Parts left empty are left out of the page.

    Attributes
    ----------
    title : headline, such as the name of the collection.
    protocol : who asked and what counts as right, in a sentence (`Protocol.description`).
    metrics : as `cbir.evaluation.evaluate` gives them; ``n_queries`` and ``n_queries_skipped`` are
        shown apart.
    lower_bounds : names of those of them that may in truth be higher.
    recipe_toml : the resolved recipe.
    timings : stage -> seconds.
    facts : label -> text: number of images, query time, bytes per image, machine, version.
    worst, best : queries to look at.
    precision_recall : recall and precision, (n,) each.
    distribution : label -> number of queries, such as N-S 0 to 4; `distribution_name` says of what.
    """

    title: str
    protocol: str
    metrics: Mapping[str, float]
    lower_bounds: Collection[str] = ()
    recipe_toml: str = ""
    timings: Mapping[str, float] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    worst: Sequence[ReportRow] = ()
    best: Sequence[ReportRow] = ()
    precision_recall: tuple[ArrayLike, ArrayLike] | None = None
    distribution: Mapping[str, int] | None = None
    distribution_name: str = "N-S score per query"


def write_report(folder: str | Path, report: Report) -> Path:
    """Write ``index.html`` into `folder` (made where missing), whole or not at all.

    Returns
    -------
    path : of the file. Raises StorageError where it can't be written, DimensionError where a row
        doesn't fit itself.
    """
    page = render(report).encode("utf-8", "replace")  # a lone surrogate becomes a question mark
    target = Path(folder) / "index.html"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=".index-", suffix=".html")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(page)
            Path(temporary).chmod(0o644)
            Path(temporary).replace(target)
        except BaseException:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
            raise
    except OSError as error:
        raise StorageError(f"write_report: can't write {target}: {error.strerror}") from error
    return target


def render(report: Report) -> str:
    """The page as text."""
    metrics = dict(report.metrics)
    counts = {
        key: int(metrics.pop(key)) for key in ("n_queries", "n_queries_skipped") if key in metrics
    }
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("report.html").render(
        title=printable(report.title),
        protocol=printable(report.protocol),
        css=Markup((HERE / "report.css").read_text(encoding="utf-8")),
        counts=counts,
        cards=[_bounded(one, report) for one in headlines(metrics)],
        metrics=[_bounded(entry(key, value), report) for key, value in metrics.items()],
        facts={printable(str(k)): printable(str(v)) for k, v in report.facts.items()},
        recipe=report.recipe_toml.strip(),
        stages=_stages(report.timings),
        total_seconds=seconds(sum(report.timings.values())),
        curve=_curve(report),
        histogram=_histogram(report),
        sections=[
            ("worst", "Worst queries", [_shown_row(row) for row in report.worst]),
            ("best", "Best queries", [_shown_row(row) for row in report.best]),
        ],
    )


def _bounded(shown: Entry, report: Report) -> Entry:
    return replace(shown, lower_bound=shown.key in report.lower_bounds)


def _shown_row(row: ReportRow) -> dict[str, Any]:
    """Turn a row into what the template shows."""
    n = len(row.results)
    if len(row.captions) != n or len(row.truth) != n:
        raise DimensionError(
            f"Report: the row of {row.query_caption!r} has {n} results, "
            f"{len(row.captions)} captions and {len(row.truth)} in truth"
        )
    shown = zip(row.results, row.captions, row.truth, strict=True)
    return {
        "query": _tile(row.query, row.query_caption),
        "results": [_tile(p, c) | {"kind": _kind(t)} for p, c, t in shown],
        "score": f"{row.score_name} {_score(row)}".strip(),
        "found": sum(t is not None and bool(t) for t in row.truth),
    }


def _tile(picture: Picture, caption: str) -> dict[str, Any]:
    uri, width, height = data_uri(picture, THUMBNAIL)
    return {"src": uri, "width": width, "height": height, "caption": printable(caption)}


def _score(row: ReportRow) -> str:
    if isinstance(row.score, str):
        return printable(row.score)
    if row.score_name.startswith("N-S"):  # a count
        return f"{row.score:g} of 4"
    return f"{row.score:.3f}"


def _kind(truth: bool | None) -> str:
    if truth is None:
        return "unknown"
    return "right" if truth else "wrong"


def _curve(report: Report) -> Markup | None:
    if report.precision_recall is None:
        return None
    return Markup(precision_recall_svg(*report.precision_recall))  # plots.py escapes its text


def _histogram(report: Report) -> Markup | None:
    if not report.distribution:
        return None
    name = printable(report.distribution_name)
    return Markup(histogram_svg(report.distribution, name))


def _stages(timings: Mapping[str, float]) -> list[dict[str, Any]]:
    total = sum(timings.values()) or 1.0
    return [
        {
            "name": printable(name),
            "share": 100 * value / total,
            "text": seconds(value),
            "hue": i % 8,
        }
        for i, (name, value) in enumerate(timings.items())
    ]


def seconds(value: float) -> str:
    """A duration for people: 0.8 ms, 0.42 s, 12.3 s, 3 min 20 s."""
    if value < 0.1:
        return f"{value * 1000:.1f} ms"
    if value < 10:
        return f"{value:.2f} s"
    if value < 120:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s"
