"""What all commands share: running one, its exit code, its errors, its logs, progress and output.

Every command is a function in a file of its own (`cbir/build.py`, ...): ``python -m cbir.build``
and the console script's ``cbir build`` are the same thing. Results go to stdout, everything else to
stderr: a terminal gets progress bars, a pipe or a log file plain lines. An error cbir raises on
purpose is one line, ``error: ...``, never a traceback; a traceback therefore always means a bug.

Nothing heavy is imported here or at the head of a command: ``--help`` must be there at once.
"""

from __future__ import annotations

import importlib
import json
import logging
import math
import os
import runpy
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from cbir.errors import CbirError

EXIT_OK, EXIT_ERROR, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130
EXIT_CODES = {
    EXIT_OK: "done; single bad images may have been skipped, which warnings and the summary say",
    EXIT_ERROR: "an error, told in one line on stderr: no images, a bad query or recipe, a damaged "
    "collection, a full disk, with --strict the first bad image",
    EXIT_USAGE: "the command line was not understood",
    EXIT_INTERRUPTED: "interrupted by Ctrl-C; what was there before is still whole",
}
COMMANDS = {
    "build": "Index a folder of images as a collection.",
    "search": "Find the images of a collection that show what a query image shows.",
    "evaluate": "Measure how good and how fast a collection answers.",
    "info": "Show this installation, or what is in a collection.",
    "datasets": "List, check, fetch or render data sets.",
    "demo": "Render a small set, build, search, evaluate and write a report.",
}

# Newer typer carries its own copy of click: reach the class through what typer exports.
UsageError: Any = typer.BadParameter.__base__

log = logging.getLogger("cbir")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, on one line.")]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="No progress and no log lines; warnings stay.")
]
Threads = Annotated[
    int,
    typer.Option("--threads", min=0, max=1024, metavar="N", help="Threads to use; 0: all allowed."),
]


class Command(TyperCommand):
    """A command whose help ends with the exit codes, and with whatever `more_help` yields.

    `more_help` is called only when help is asked for: it may import what is heavy.
    """

    more_help: Callable[[], Iterable[tuple[str, list[tuple[str, str]]]]] | None = None

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the sections as definition lists."""
        sections = list(self.more_help()) if self.more_help else []
        sections.append(("Exit codes", [(str(code), text) for code, text in EXIT_CODES.items()]))
        for title, rows in sections:
            with formatter.section(title):
                formatter.write_dl(rows, col_max=44)


def run(
    function: Callable[..., int | None],
    argv: Sequence[str] | None = None,
    *,
    more_help: Callable[[], Iterable[tuple[str, list[tuple[str, str]]]]] | None = None,
) -> int:
    """Run one command on `argv` (default: the process's own) and give its exit code.

    Parameters
    ----------
    function : a typer command; what it returns is the exit code (None: 0).
    more_help : yields (title, rows) for the end of ``--help``.
    """
    for stream in (sys.stdout, sys.stderr):
        # A file name may hold what the terminal's encoding can't say; that must not end a command.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    kind = type(
        "Command", (Command,), {"more_help": staticmethod(more_help) if more_help else None}
    )
    settings = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
    app.command(cls=kind, context_settings=settings, no_args_is_help=False)(function)
    name = function.__name__
    return guarded(
        lambda: typer.main.get_command(app).main(
            args=None if argv is None else list(argv),
            prog_name=f"cbir {name}",
            standalone_mode=False,
        ),
        name,
    )


def guarded(call: Callable[[], int | None], name: str) -> int:
    """Give the exit code of `call`, having told any expected error in one line on stderr."""
    try:
        code = call() or EXIT_OK
        sys.stdout.flush()
    except UsageError as error:
        code = _fail(f"{error.format_message()} Try 'cbir {name} --help'.", EXIT_USAGE)
    except (KeyboardInterrupt, typer.Abort):
        code = EXIT_INTERRUPTED
    except CbirError as error:
        code = _fail(str(error))
    except BrokenPipeError:
        # Whoever read our output has gone (| head). Nothing is left to say; the interpreter's
        # own flush at exit must not fail a second time.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_ERROR
    except OSError as error:
        code = _fail(
            f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
        )
    except MemoryError:
        code = _fail(
            "out of memory; smaller images (--set image.max_side=...) or a smaller vocabulary help"
        )
    if code == EXIT_INTERRUPTED:
        print("\ninterrupted", file=sys.stderr)
    return code


def _fail(message: str, code: int = EXIT_ERROR) -> int:
    sys.stdout.flush()
    print(f"error: {one_line(message)}", file=sys.stderr)
    return code


def main(argv: Sequence[str] | None = None) -> int:
    """Run the console script: ``cbir COMMAND`` does what ``python -m cbir.COMMAND`` does."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print("Usage: cbir COMMAND [OPTIONS]\n\nContent-based image retrieval.\n\nCommands:")
        for name, text in COMMANDS.items():
            print(f"  {name:10} {text}")
        print("\n'cbir COMMAND --help' says more; 'cbir --version' names the version.")
        return EXIT_OK if arguments else EXIT_USAGE
    name, *rest = arguments
    if name in ("-V", "--version"):
        from cbir import __version__

        print(f"cbir {__version__}")
        return EXIT_OK
    if name not in COMMANDS:
        return _fail(f"no command '{name}'; there are {', '.join(COMMANDS)}", EXIT_USAGE)
    module = importlib.import_module(f"cbir.{name}")
    if hasattr(module, "main"):
        return int(module.main(rest))
    sys.argv = [f"cbir {name}", *rest]
    runpy.run_module(f"cbir.{name}", run_name="__main__", alter_sys=False)
    return EXIT_OK


# ---------------------------------------------------------------------------------------- output


def one_line(text: str) -> str:
    """Escape what isn't printable: a newline or a stray byte in a file name stays visible."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def print_json(value: Any) -> None:
    """Print `value` as one line of JSON; NaN and infinity, which JSON lacks, become null."""
    print(json.dumps(_plain(value), allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    if isinstance(value, Path):
        return value.as_posix()
    if hasattr(value, "tolist"):  # NumPy scalars and arrays
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def print_table(
    rows: Sequence[Sequence[str]], *, head: Sequence[str] = (), left: Sequence[int] = ()
) -> None:
    """Print rows of text in aligned columns, to the right except the columns in `left`."""
    lines = [list(head), *map(list, rows)] if head else list(map(list, rows))
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))] if lines else []
    for line in lines:
        cells = (
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        print("  ".join(cells).rstrip())


def human_bytes(n: float) -> str:
    """Say a number of bytes as people do, in powers of 1024."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if n < 1024:
            return f"{n:.0f} {unit}" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1024
    return f"{n:.1f} TiB"


# ------------------------------------------------------------------------------ logs and progress


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = one_line(record.getMessage())
        return f"{record.levelname.lower()}: {text}" if record.levelno >= logging.WARNING else text


class _Handler(logging.Handler):
    """Write to stderr without tearing a progress bar that is being drawn there."""

    def emit(self, record: logging.LogRecord) -> None:
        if "tqdm" in sys.modules:
            sys.modules["tqdm"].tqdm.write(self.format(record), file=sys.stderr)
        else:
            print(self.format(record), file=sys.stderr)


def set_up_logging(*, quiet: bool) -> None:
    """Send the logs of cbir to stderr: from INFO on, with `quiet` from WARNING on."""
    handler = _Handler()
    handler.setFormatter(_Formatter())
    log.handlers[:] = [handler]
    log.setLevel(logging.WARNING if quiet else logging.INFO)
    log.propagate = False


class Progress:
    """A `progress` callback: bars on a terminal, otherwise a log line now and then.

    Call it as ``progress(stage, done, total)``; from any thread, stages one after another.
    """

    every_s = 5.0

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.terminal = sys.stderr.isatty()
        self.stage = ""
        self._bar: Any = None
        self._lock = threading.Lock()
        self._started = self._told = 0.0
        self._finished = False

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Take note that `done` of `total` steps of `stage` are done."""
        if self.quiet:
            return
        with self._lock:
            if stage != self.stage:
                self._end()
                self._begin(stage, total)
            if self.terminal:
                self._bar.total = total
                self._bar.update(done - self._bar.n)
            else:
                self._tell(done, total)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._end()

    def _begin(self, stage: str, total: int) -> None:
        self.stage, self._finished = stage, False
        self._started = self._told = time.perf_counter()
        if self.terminal:
            from tqdm import tqdm

            self._bar = tqdm(
                total=total,
                desc=f"{stage:<12}",
                file=sys.stderr,
                dynamic_ncols=True,
                bar_format="{desc} {bar:30} {n_fmt:>7} of {total_fmt:<7} {elapsed} ({remaining})",
            )

    def _tell(self, done: int, total: int) -> None:
        now = time.perf_counter()
        if self._finished or (done < total and now - self._told < self.every_s):
            return
        self._told, self._finished = now, done >= total
        log.info("%s: %d of %d, %.1f s", self.stage, done, total, now - self._started)

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        self.stage = ""


if __name__ == "__main__":
    sys.exit(main())
