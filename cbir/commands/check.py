"""Check a collection to the last byte: ``python -m cbir.check OUT.cbir``.

Thin: `cbir.collection.Collection.check` reads every file and compares checksums. Searches don't:
they map what they need, and look at sizes and headers only.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from cbir.commands.output import human_bytes, one_line, print_json, print_table
from cbir.commands.pictures import must_be_folder
from cbir.commands.progress import set_up_logging
from cbir.commands.running import EXIT_ERROR, EXIT_OK, Json, run

SHOWN = 20


def check(
    collection: Annotated[
        Path, typer.Argument(metavar="COLLECTION", help="The collection to check.")
    ],
    as_json: Json = False,
) -> int:
    """Read every file of a collection and say what is wrong with it.

    Exit code 1 when something is missing, cut or altered. Files that nothing refers to are listed
    and are no fault: the next writer sweeps them.
    """
    set_up_logging(quiet=False)
    must_be_folder(collection)
    from cbir.collection import Collection

    report = Collection.check(collection)
    facts: dict[str, Any] = {
        "collection": collection,
        "ok": report.ok,
        "problems": report.problems,
        "orphaned": report.orphaned,
        "files": report.files,
        "bytes": report.bytes,
        "digest": report.digest,
    }
    print_json(facts) if as_json else print_facts(facts)
    return EXIT_OK if report.ok else EXIT_ERROR


def print_facts(facts: dict[str, Any]) -> None:
    """Print what was found: the verdict, then each problem on a line."""
    n = len(facts["problems"])
    verdict = "ok" if facts["ok"] else f"{n} problem{'s' if n != 1 else ''}"
    print(f"{one_line(str(facts['collection']))}: {verdict}")
    rows = [("read", f"{facts['files']:,} files, {human_bytes(facts['bytes'])}")]
    if facts["digest"]:
        rows.append(("content", facts["digest"]))
    print_table(rows, left=[0, 1], indent="  ")
    for title, lines in (("wrong", facts["problems"]), ("not used", facts["orphaned"])):
        for line in lines[:SHOWN]:
            print(f"  {title}: {one_line(str(line))}")
        if len(lines) > SHOWN:
            print(f"  {title}: {len(lines) - SHOWN} more; --json lists all")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code."""
    return run(check, argv)
