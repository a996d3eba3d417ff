"""Running the commands as a person does, and small pictures to run them on."""

import contextlib
import importlib
import io
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

TINY = ["--set", "vocabulary.n_words=64"]


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self):
        """The one object on stdout."""
        (line,) = self.out.splitlines()
        return json.loads(line)

    @property
    def error(self):
        """The one line that says what is wrong."""
        assert "Traceback" not in self.err, self.err
        (line,) = [one for one in self.err.splitlines() if one.startswith("error: ")]
        return line


def run(command, *arguments, input=""):
    """Run ``python -m cbir.COMMAND`` in this process: the same code, without a start each time."""
    main = importlib.import_module(f"cbir.commands.{command}").main
    out, err, before = io.StringIO(), io.StringIO(), sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(input.encode()))
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main([str(one) for one in arguments])
    finally:
        sys.stdin = before
    return Result(code, out.getvalue(), err.getvalue())


def run_apart(command, *arguments):
    """Run ``python -m cbir.COMMAND`` in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", f"cbir.{command}", *map(str, arguments)],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=300,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def view(thing, number, size=(200, 150)):
    """One of the views of thing number `thing`: shapes and blobs, turned and moved a little."""
    rng = np.random.default_rng(thing)
    w, h = size
    picture = Image.new("RGB", size, tuple(int(v) for v in rng.integers(40, 216, 3)))
    draw = ImageDraw.Draw(picture)
    for _ in range(60):
        x, y, s = rng.integers(0, w), rng.integers(0, h), rng.integers(6, 40)
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        shape = (draw.ellipse, draw.rectangle)[int(rng.integers(2))]
        shape((int(x), int(y), int(x + s), int(y + s * 0.7)), fill=colour)
    picture = picture.filter(ImageFilter.GaussianBlur(0.8))
    return picture.rotate(5 * number, translate=(3 * number, 2 * number), resample=Image.BICUBIC)


def save_views(folder, n_things=8, n_views=4):
    """Write views named as UKBench names them: four in a row show the same thing."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(n_things * n_views):
        view(i // n_views, i % n_views).save(folder / f"ukbench{i:05d}.jpg", quality=90)
    return folder
