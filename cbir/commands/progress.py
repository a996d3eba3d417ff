"""What commands say on stderr while they work: bars on a terminal, plain log lines elsewhere."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from cbir.commands.output import one_line

log = logging.getLogger("cbir")


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = one_line(record.getMessage())
        return f"{record.levelname.lower()}: {text}" if record.levelno >= logging.WARNING else text


class _Handler(logging.Handler):
    """Write to whatever stderr is now: while bars are drawn, rich puts lines above them."""

    def emit(self, record: logging.LogRecord) -> None:
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

    Call it as ``progress(stage, done, total)``; from any thread, stages one after another. A total
    of 0 means that it isn't known. `count` turns a number into what is shown.
    """

    every_s = 5.0

    def __init__(self, *, quiet: bool = False, count: Callable[[int], str] | None = None) -> None:
        self.quiet = quiet
        self.terminal = sys.stderr.isatty()
        self.stage = ""
        self._count = count or (lambda n: f"{n:,}")
        self._bars: Any = None
        self._task: Any = None
        self._lock = threading.Lock()
        self._started = self._told = 0.0
        self._finished = False

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Take note that `done` of `total` steps of `stage` are done."""
        if self.quiet:
            return
        with self._lock:
            if stage != self.stage:
                self.stage, self._finished = stage, False
                self._started = self._told = time.perf_counter()
                if self.terminal:
                    self._begin(stage)
            if self.terminal:
                told = (
                    f"{self._count(done)} of {self._count(total)}" if total else self._count(done)
                )
                self._bars.update(self._task, completed=done, total=total or None, told=told)
            else:
                self._tell(done, total)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            if self._bars is not None:
                self._bars.stop()
                self._bars = None
            self.stage = ""

    def _begin(self, stage: str) -> None:
        """Draw a bar for one more stage; those before stay above it."""
        from rich import progress
        from rich.console import Console

        if self._bars is None:
            self._bars = progress.Progress(
                progress.TextColumn("{task.description:<12}", markup=False),
                progress.BarColumn(bar_width=30),
                progress.TextColumn("{task.fields[told]:>18}", markup=False),
                progress.TimeRemainingColumn(elapsed_when_finished=True),
                console=Console(stderr=True),
                redirect_stdout=False,  # results never go to stderr
            )
            self._bars.start()
        self._task = self._bars.add_task(stage, total=None, told="")

    def _tell(self, done: int, total: int) -> None:
        now = time.perf_counter()
        last = 0 < total <= done
        if self._finished or (not last and now - self._told < self.every_s):
            return
        self._told, self._finished = now, last
        of = f" of {self._count(total)}" if total else ""
        log.info("%s: %s%s, %.1f s", self.stage, self._count(done), of, now - self._started)
