"""Tables, JSON, sizes and progress, without a collection."""

import logging
import os
import subprocess
import sys

import pytest

from cbir.commands.output import human_bytes, print_json, print_table
from cbir.commands.progress import Progress, log, set_up_logging


def test_json_has_no_nan_and_table_is_aligned(capsys):
    print_json({"a": float("nan"), "b": [float("inf"), 1.5], "c": "ü\udcff"})
    assert capsys.readouterr().out == '{"a": null, "b": [null, 1.5], "c": "\\u00fc\\udcff"}\n'
    print_table([["1", "x"], ["10", "yy"]], head=["n", "name"], left=[1])
    assert capsys.readouterr().out == " n  name\n 1  x\n10  yy\n"
    print_table([])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("n", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (17514010, "16.7 MiB"), (2**41, "2.0 TiB")],
)
def test_sizes_for_people(n, text):
    assert human_bytes(n) == text


def test_progress_off_a_terminal_tells_each_stage_once_at_its_end(capsys):
    set_up_logging(quiet=False)
    with Progress() as progress:
        for done in range(1, 4):
            progress("describe", done, 3)
        progress("describe", 3, 3)
        progress("index", 1, 1)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == ["describe: 3 of 3", "index: 1 of 1"]


def test_quiet_progress_says_nothing_and_warnings_stay(capsys):
    set_up_logging(quiet=True)
    with Progress(quiet=True) as progress:
        progress("describe", 1, 1)
        log.warning("skipped a\nb")
        log.info("not now")
    assert capsys.readouterr().err == "warning: skipped a\\nb\n"
    assert log.level == logging.WARNING


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
def test_bars_on_a_terminal_go_to_stderr_and_log_lines_stay_whole():
    import pty

    code = (
        "from cbir.commands.progress import *\n"
        "set_up_logging(quiet=False)\n"
        "with Progress() as p:\n"
        "    for i in range(4): p('features', i, 3)\n"
        "    log.warning('skipped [red]x[/red].jpg')\n"
        "    p('index', 5, 0)\n"
        "print('result')\n"
    )
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        text=True,
        check=True,
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            block = os.read(ours, 65536)
        except OSError:  # Linux says so when nobody holds the other end any more
            break
        if not block:
            break
        shown += block
    os.close(ours)
    text = shown.decode()
    assert done.stdout == "result\n"
    assert "features" in text and "3 of 3" in text and "index" in text
    assert "warning: skipped [red]x[/red].jpg" in text  # not taken for markup
