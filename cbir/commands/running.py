"""Running a command: its arguments, its exit code, its errors in a line.

Every command is a function in a file of its own (`cbir/commands/build.py`, ...). ``python -m
cbir.build``, ``python -m cbir build`` and the console script's ``cbir build`` are the same thing.
Results go to stdout, everything else to stderr. An error cbir raises on purpose is one line,
``error: ...``, never a traceback; a traceback therefore always means a bug.

Nothing heavy is imported here or at the head of a command: ``--help`` must be there at once.
"""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from cbir.commands.output import one_line
from cbir.errors import CbirError

COMMANDS = (
    "build",
    "search",
    "evaluate",
    "info",
    "add",
    "remove",
    "update",
    "check",
    "compact",
    "recipes",
    "datasets",
    "demo",
)
EXIT_OK, EXIT_ERROR, EXIT_USAGE, EXIT_INTERRUPTED = 0, 1, 2, 130
EXIT_CODES = {
    EXIT_OK: "done; single bad images may have been skipped, which warnings and the summary say",
    EXIT_ERROR: "an error, told in one line on stderr: no images, a bad query or recipe, a damaged "
    "collection, a full disk, with --strict the first bad image",
    EXIT_USAGE: "the command line was not understood",
    EXIT_INTERRUPTED: "interrupted by Ctrl-C; what was there before is still whole",
}

# Newer typer carries its own copy of click: reach the class through what typer exports.
UsageError: Any = typer.BadParameter.__base__

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object, on one line.")]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="No progress and no log lines; warnings stay.")
]
Threads = Annotated[
    int,
    typer.Option("--threads", min=0, metavar="N", help="Threads to use; 0: all allowed."),
]

Function = Callable[..., int | None]


class _Command(TyperCommand):
    """A command whose help ends with the exit codes."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), text) for code, text in EXIT_CODES.items()], col_max=44)


class _Group(TyperGroup):
    """Commands in the order they were written in."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(self.commands)


def run(
    command: Function | Mapping[str, Function],
    argv: Sequence[str] | None = None,
    *,
    name: str | None = None,
    about: str = "",
) -> int:
    """Run a command on `argv` (default: the process's own) and give its exit code.

    Parameters
    ----------
    command : a typer command, what it returns is the exit code (None: 0); or several, by the word
        that picks one.
    name : of the command as it is typed; the function's own where not given.
    about : what ``--help`` says at the head of several commands.
    """
    for stream in (sys.stdout, sys.stderr):
        # A file name may hold what the terminal's encoding can't say; that must not end a command.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    settings = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
    app = typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        cls=_Group,
        help=about or None,
        context_settings=settings,
    )
    if isinstance(command, Mapping):
        for word, function in command.items():
            app.command(word, cls=_Command, context_settings=settings)(function)
        app.callback()(lambda: None)
        name = name or ""
    else:
        app.command(cls=_Command, context_settings=settings)(command)
        name = name or command.__name__
    called = f"cbir {name}".strip()
    return guarded(
        lambda: typer.main.get_command(app).main(
            args=None if argv is None else list(argv), prog_name=called, standalone_mode=False
        ),
        called,
    )


def guarded(call: Callable[[], int | None], name: str) -> int:
    """Give the exit code of `call`, having told any expected error in one line on stderr.

    `name` is how the command is typed, for the hint at its help.
    """
    try:
        code = call() or EXIT_OK
        sys.stdout.flush()
    except UsageError as error:
        message = error.format_message().rstrip(".")
        code = fail(f"{message}. Try '{name} --help'.", EXIT_USAGE)
    except (KeyboardInterrupt, typer.Abort):
        code = EXIT_INTERRUPTED
    except CbirError as error:
        code = fail(str(error))
    except ImportError as error:  # the native code: not compiled, or CBIR_SIMD asks for what isn't
        if "SIMD level" in str(error):
            code = fail(f"CBIR_SIMD: {error}")
        elif "'_core'" in str(error):
            code = fail("the native code isn't compiled here; 'pip install .' or 'make build' does")
        else:
            raise
    except BrokenPipeError:
        # Whoever read our output has gone (| head). Nothing is left to say; the interpreter's
        # own flush at exit must not fail a second time.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_ERROR
    except OSError as error:
        code = fail(
            f"{error.strerror or error}" + (f": {error.filename}" if error.filename else "")
        )
    except MemoryError:
        code = fail(
            "out of memory; smaller images (--set image.max_side=...) or a smaller vocabulary help"
        )
    if code == EXIT_INTERRUPTED:  # raised, or already turned into its code by typer
        print("\ninterrupted", file=sys.stderr)
    return code


def fail(message: str, code: int = EXIT_ERROR) -> int:
    """Say what is wrong in one line on stderr; give the exit code."""
    sys.stdout.flush()
    print(f"error: {one_line(message)}", file=sys.stderr)
    return code


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``cbir COMMAND``, the console script."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    return guarded(lambda: _dispatch(arguments), "cbir")


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help"):
        print("Usage: cbir COMMAND [OPTIONS]\n\nContent-based image retrieval.\n\nCommands:")
        for name in COMMANDS:
            print(f"  {name:10} {summary(name)}")
        print("\n'cbir COMMAND --help' says more; 'cbir --version' names the version.")
        return EXIT_OK if arguments else EXIT_USAGE
    name, *rest = arguments
    if name in ("-V", "--version"):
        from cbir import __version__

        print(f"cbir {__version__}")
        return EXIT_OK
    if name not in COMMANDS:
        return fail(f"no command '{name}'; there are {', '.join(COMMANDS)}", EXIT_USAGE)
    return int(importlib.import_module(f"cbir.commands.{name}").main(rest))


def summary(name: str) -> str:
    """Give the first line of what a command says of itself."""
    module = importlib.import_module(f"cbir.commands.{name}")
    about = getattr(module, "ABOUT", None) or inspect.getdoc(getattr(module, name)) or ""
    return str(about).splitlines()[0]
