import json
import subprocess
import sys

from cbir.commands.datasets import main


def run(*args):
    return subprocess.run(
        [sys.executable, "-m", "cbir.datasets", *map(str, args)],
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_list(capsys):
    assert main(["list"]) == 0
    assert "ukbench     10200 images" in capsys.readouterr().out
    assert main(["list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["name"] == "corel1k"


def test_render_then_check(tmp_path):
    done = run("render", "-o", tmp_path, "-n", 2, "--size", "64x48")
    assert (done.returncode, done.stdout) == (0, f"8 images of 2 objects in {tmp_path}\n"), (
        done.stderr
    )
    done = run("check", "ukbench", tmp_path)
    assert done.returncode == 0 and "ok, 8 images" in done.stdout


def test_exit_codes(tmp_path, capsys):
    assert main(["check", "ukbench", str(tmp_path)]) == 1
    assert main(["check", "nothing", str(tmp_path)]) == 1
    assert "error: no data set is called 'nothing'" in capsys.readouterr().err
    assert main(["render", "-o", str(tmp_path), "--size", "big"]) == 1
    assert main(["fetch", "smvs_dvd"]) == 1
    assert main(["paint"]) == 2
