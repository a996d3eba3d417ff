"""What the pages say must be true: commands, flags, targets, files and quoted lines."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from cbir.commands import running

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", "CONTRIBUTING.md", "datasets/README.md"]
TEXT = {page: (ROOT / page).read_text() for page in PAGES}
COMMANDS = [
    (page, line.split("#")[0].strip())
    for page in PAGES
    for line in re.findall(r"python -m cbir\.[^`\n]+", TEXT[page])
]


def help_of(name):
    done = subprocess.run(
        [sys.executable, "-m", f"cbir.{name[0]}", *name[1:], "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": "", "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("page", "command"), COMMANDS)
def test_commands_and_flags_exist(page, command):
    words = command.split()[2:]
    name = words[0].removeprefix("cbir.")
    if name == "NAME":
        return
    assert name in running.COMMANDS
    sub = [words[1].split("|")[0]] if name == "datasets" and len(words) > 1 else []
    flags = [word for word in words[1:] if word.startswith("-")]
    if flags or sub:
        text = help_of([name, *sub])
        missing = [flag for flag in flags if not re.search(rf"(?<![\w-]){flag}(?![\w-])", text)]
        assert not missing, f"{command}: no {missing}"


@pytest.mark.parametrize("page", PAGES)
def test_make_targets_exist(page):
    targets = set(re.findall(r"(?m)^([a-z]+):", (ROOT / "Makefile").read_text()))
    for line in re.findall(r"`make ([a-z ]+)`|(?m:^make ([a-z]+))", TEXT[page]):
        assert set("".join(line).split()) <= targets, line


@pytest.mark.parametrize("page", PAGES)
def test_named_files_exist(page):
    quoted = re.findall(r"`((?:cbir|csrc|tests|benchmarks|datasets)/[^`*]*)`", TEXT[page])
    quoted = [name for name in quoted if "/X" not in name and "_X" not in name]
    made_by_fetch = re.compile(r"datasets/(ukbench|holidays|oxford5k|paris6k|corel1k|smvs_dvd)/")
    missing = [
        name for name in quoted if not made_by_fetch.match(name) and not (ROOT / name).exists()
    ]
    assert not missing


def test_quoted_lines_are_in_the_files():
    fences = re.findall(
        r"```(?:python|toml|cpp)\n(?:#|//) (\S+)\n(.*?)```", TEXT["CONTRIBUTING.md"], re.S
    )
    assert len(fences) >= 5
    for name, body in fences:
        lines = {line.strip() for line in (ROOT / name).read_text().splitlines()}
        for line in body.splitlines():
            assert line.strip() in lines, f"{name} has no line {line.strip()!r}"


def test_exit_codes_are_those_of_the_commands():
    rows = re.findall(r"(?m)^\| (\d+) \|", TEXT["README.md"])
    assert [int(code) for code in rows] == sorted(running.EXIT_CODES)
