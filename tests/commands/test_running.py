import json
import os
import signal
import subprocess
import sys
import time

import pytest

import cbir
from cbir.commands import running
from cbir.errors import ParameterError
from tests.command_line import run, run_apart, save_views

MODULE = [sys.executable, "-m", "cbir"]


def call(*arguments):
    """Run ``python -m cbir ARGUMENTS``."""
    return subprocess.run(
        [*MODULE, *map(str, arguments)], capture_output=True, text=True, timeout=120
    )


def test_the_module_and_the_console_script_have_the_same_commands(built):
    done = call("info", built, "--json")
    assert json.loads(done.stdout) == run("info", built, "--json").json
    helped = call("--help")
    assert helped.returncode == 0
    listed = [line.split()[0] for line in helped.stdout.splitlines() if line.startswith("  ")]
    assert tuple(listed) == running.COMMANDS
    assert call().returncode == 2
    assert call("--version").stdout == f"cbir {cbir.__version__}\n"
    unknown = call("bild")
    assert (
        unknown.returncode == 2 and "bild" in unknown.stderr and "Traceback" not in unknown.stderr
    )
    assert running.main(["--version"]) == 0


@pytest.mark.parametrize("name", running.COMMANDS)
def test_every_command_has_its_door_and_its_help(name):
    done = run_apart(name, "--help")
    assert done.code == 0, done.err
    assert done.out.startswith(f"Usage: cbir {name} ")
    assert running.summary(name).endswith(".") and len(running.summary(name)) < 80
    assert running.summary(name) in " ".join(done.out.split())
    if name != "datasets":  # whose commands say it themselves
        assert "Exit codes" in done.out and "130" in done.out


def test_the_public_names_load_late_and_all_load():
    code = (
        "import sys, cbir; light = 'numpy' not in sys.modules;"
        "from cbir import Collection, Recipe; print(light, Collection.__module__);"
        "print([name for name in cbir.__all__ if name not in dir(cbir)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0].startswith("True cbir.collection")
    assert done.stdout.splitlines()[1] == "[]"
    assert set(cbir.__all__) == set(cbir._HOMES)
    for name in cbir.__all__:
        assert getattr(cbir, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = cbir.nothing


def test_heavy_modules_stay_out_of_a_command_line_that_asks_for_help_or_is_wrong():
    code = (
        "import sys; from cbir.commands import running, search, evaluate; search.main(['--help']);"
        "evaluate.main(['--wrong']); running.main(['--help']);"
        "print([m for m in ('cv2', 'h5py', 'pydantic', 'numpy', 'PIL', 'rich')"
        " if m in sys.modules])"
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


@pytest.mark.skipif(os.name == "nt", reason="pipes are POSIX's here")
def test_a_reader_of_the_list_of_commands_that_leaves_is_no_traceback():
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*MODULE, "--help"], stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert done.returncode == 1 and done.stderr == ""


def test_a_simd_level_that_is_none_is_an_error_in_a_line():
    environment = os.environ | {"CBIR_SIMD": "fast"}
    done = subprocess.run([*MODULE, "info"], capture_output=True, text=True, env=environment)
    assert done.returncode == 1 and done.stderr.startswith("error: CBIR_SIMD: ")
    assert "'fast'" in done.stderr and "generic" in done.stderr and done.stderr.count("\n") == 1


def test_native_code_that_is_not_compiled_is_said_in_a_line(capsys):
    def call():
        raise ImportError("cannot import name '_core' from 'cbir'")

    assert running.guarded(call, "cbir info") == 1
    assert "pip install ." in capsys.readouterr().err


def test_expected_errors_are_one_line(capsys):
    def fail(error):
        def call():
            raise error

        return running.guarded(call, "cbir test")

    assert fail(ParameterError("a\nb")) == 1
    assert capsys.readouterr().err == "error: a\\nb\n"
    assert fail(OSError(28, "No space left on device", "x.npy")) == 1
    assert capsys.readouterr().err == "error: No space left on device: x.npy\n"
    assert fail(MemoryError()) == 1
    assert "out of memory" in capsys.readouterr().err
    assert fail(running.UsageError("name it.")) == 2
    assert capsys.readouterr().err == "error: name it. Try 'cbir test --help'.\n"
    assert fail(KeyboardInterrupt()) == 130
    with pytest.raises(ZeroDivisionError):  # a bug keeps its traceback
        fail(ZeroDivisionError())
