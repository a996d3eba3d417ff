"""What `build`, `add`, `remove` and `update` say when they are done."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from cbir.commands.output import human_bytes, one_line, print_json, print_table
from cbir.commands.progress import log
from cbir.commands.running import EXIT_OK

if TYPE_CHECKING:
    from cbir.collection import BuildReport

SHOWN = 20


def tell(report: BuildReport, collection: Path, *, as_json: bool) -> int:
    """Warn of skipped pictures, print the report, give the exit code."""
    warn(report.failed, "skipped")
    warn(report.unreachable, "can't be reached now, kept")
    if as_json:
        print_json(as_dict(report))
    else:
        print_report(report, collection)
    return EXIT_OK


def warn(pictures: list[tuple[str, str]], what: str) -> None:
    """Log the first of some (path, reason)."""
    for path, reason in pictures[:SHOWN]:
        log.warning("%s %s: %s", what, path, reason)
    if len(pictures) > SHOWN:
        log.warning("%s %d more; --json lists all", what, len(pictures) - SHOWN)


def as_dict(report: BuildReport) -> dict[str, Any]:
    """Give the object that ``--json`` prints."""
    return {
        "images": {"seen": report.seen, "indexed": report.indexed, "failed": len(report.failed)},
        "added": report.added,
        "removed": report.removed,
        "gone": report.gone,
        "retried": report.retried,
        "failed": [{"path": path, "reason": reason} for path, reason in report.failed],
        "unreachable": [{"path": path, "reason": reason} for path, reason in report.unreachable],
        "seconds": {**report.seconds, "total": sum(report.seconds.values())},
        "bytes_per_image": report.bytes_per_image,
        "feature_bytes_per_image": report.feature_bytes_per_image,
        "peak_memory_bytes": report.peak_memory_bytes,
        "generation": report.generation,
    }


def print_report(report: BuildReport, collection: Path) -> None:
    """Print what was done as a few aligned lines."""
    parts = [f"{report.indexed:,} images indexed"]
    parts += [
        f"{n:,} {what}"
        for n, what in (
            (report.added, "added"),
            (report.removed, "removed"),
            (len(report.failed), "skipped"),
            (len(report.unreachable), "out of reach"),
            (report.gone, "gone but kept ('cbir update --prune' takes them out)"),
        )
        if n
    ]
    if not (report.added or report.removed):
        parts.append("nothing changed")
    print(f"{one_line(str(collection))}: {', '.join(parts)}")
    rows = [(f"{stage} time", f"{seconds:.1f} s") for stage, seconds in report.seconds.items()]
    rows += [
        ("total time", f"{sum(report.seconds.values()):.1f} s"),
        ("index", f"{human_bytes(report.bytes_per_image)} per image"),
        ("features", f"{human_bytes(report.feature_bytes_per_image)} per image"),
        ("peak memory", human_bytes(report.peak_memory_bytes)),
    ]
    print_table(rows, left=[0, 1], indent="  ")
