import os
import signal
import subprocess
import sys
import time

import pytest

import cbir
from cbir import _cli
from cbir.errors import ParameterError
from tests.command_line import TINY, run, save_views


def test_info_of_the_installation():
    done = run("info", "--json")
    assert done.code == 0
    assert done.json["simd_level"] in done.json["simd_levels"]
    plain = run("info")
    assert plain.code == 0 and "simd_level" in plain.out and "compiler" in plain.out


def test_info_of_a_collection(built, tmp_path):
    done = run("info", built, "--json")
    assert done.code == 0, done.err
    assert "bow" in done.out and "32" in done.out
    plain = run("info", built)
    assert plain.code == 0 and "recipe" in plain.out
    assert run("info", "-f", built, "--json").json == done.json


def test_info_lists_failed_images_with_reasons(tmp_path):
    folder = save_views(tmp_path / "set", n_things=2)
    (folder / "new\nline.jpg").write_bytes(b"")
    assert run("build", folder, "-o", tmp_path / "a.cbir", *TINY).code == 0
    assert "new\\nline.jpg" in run("info", tmp_path / "a.cbir").out


def test_the_console_script_has_the_same_commands(built):
    done = run("_cli", "info", built, "--json")
    assert done.json == run("info", built, "--json").json
    helped = run("_cli", "--help")
    assert helped.code == 0
    assert all(name in helped.out for name in _cli.COMMANDS)
    assert run("_cli").code == 2
    assert run("_cli", "--version").out == f"cbir {cbir.__version__}\n"
    unknown = run("_cli", "bild")
    assert unknown.code == 2 and "bild" in unknown.error


def test_heavy_modules_stay_out_of_a_command_line_that_asks_for_help_or_is_wrong():
    code = (
        "import sys, cbir.build, cbir.search, cbir.evaluate; cbir.search.main(['--help']);"
        "cbir.evaluate.main(['--wrong']);"
        "print([m for m in ('cv2', 'h5py', 'pydantic', 'matplotlib', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is a signal on POSIX")
def test_ctrl_c_is_exit_code_130(tmp_path):
    folder = save_views(tmp_path / "set", n_things=60)
    command = [sys.executable, "-m", "cbir.build", folder, "-o", tmp_path / "a.cbir", "--threads=1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(300):  # until it works on the collection; earlier is a Ctrl-C in the imports
        if (tmp_path / "a.cbir").exists():
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err and "interrupted" in err


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX pipe")
def test_a_reader_that_leaves_is_no_traceback(built):
    command = [sys.executable, "-m", "cbir.info", str(built), "--json"]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert done.returncode == 1 and done.stderr == ""


def test_expected_errors_are_one_line(capsys):
    def fail(error):
        def call():
            raise error

        return _cli.guarded(call, "test")

    assert fail(ParameterError("a\nb")) == 1
    assert capsys.readouterr().err == "error: a\\nb\n"
    assert fail(OSError(28, "No space left on device", "x.npy")) == 1
    assert capsys.readouterr().err == "error: No space left on device: x.npy\n"
    assert fail(MemoryError()) == 1
    assert "out of memory" in capsys.readouterr().err
    assert fail(KeyboardInterrupt()) == 130
    with pytest.raises(ZeroDivisionError):  # a bug keeps its traceback
        fail(ZeroDivisionError())


def test_json_has_no_nan_and_table_is_aligned(capsys):
    _cli.print_json({"a": float("nan"), "b": [float("inf"), 1.5], "c": "ü\udcff"})
    assert capsys.readouterr().out == '{"a": null, "b": [null, 1.5], "c": "\\u00fc\\udcff"}\n'
    _cli.print_table([["1", "x"], ["10", "yy"]], head=["n", "name"], left=[1])
    assert capsys.readouterr().out == " n  name\n 1  x\n10  yy\n"


def test_progress_off_a_terminal_tells_each_stage_once_at_its_end(capsys):
    _cli.set_up_logging(quiet=False)
    with _cli.Progress() as progress:
        for done in range(1, 4):
            progress("describe", done, 3)
        progress("describe", 3, 3)
        progress("index", 1, 1)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(",")[0] for line in lines] == ["describe: 3 of 3", "index: 1 of 1"]
