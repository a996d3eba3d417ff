"""parallel_for: every chunk once, exceptions carried out, Ctrl-C honoured."""

import signal
import subprocess
import sys
import time

import pytest

from cbir import _core
from tests.core.programs import compiled


@pytest.mark.parametrize("n_threads", [0, 1, 2, 4, 64])
@pytest.mark.parametrize("n_chunks", [0, 1, 2, 3, 1000])
def test_every_chunk_runs_once(n_chunks, n_threads):
    assert _core._parallel_probe(n_chunks, n_threads, -1, 0) == [1] * n_chunks


@pytest.mark.parametrize("n_threads", [1, 2, 4, 16])
def test_the_lowest_failing_chunk_is_reported(n_threads):
    for _ in range(20):  # chunks 37, 74, 111, ... fail
        with pytest.raises(RuntimeError, match=r"^chunk 37$"):
            _core._parallel_probe(500, n_threads, 37, 0)


def test_available_threads():
    assert _core.available_threads() >= 1


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
@pytest.mark.parametrize("n_threads", [1, 2])
def test_ctrl_c_stops_the_loop(n_threads):
    # 3,000 chunks of 20 ms: a minute on one thread, if it is not interrupted.
    call = f"_core._parallel_probe(3000, {n_threads}, -1, 20)"
    code = f"from cbir import _core; print('go', flush=True); {call}"
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout.readline() == "go\n"
    time.sleep(0.3)
    child.send_signal(signal.SIGINT)
    try:
        _, stderr = child.communicate(timeout=15)
    finally:
        child.kill()
    assert "KeyboardInterrupt" in stderr


@pytest.fixture(scope="module")
def faults(tmp_path_factory):
    return compiled(tmp_path_factory.mktemp("faults"), "parallel_faults", "core/parallel.cpp")


@pytest.mark.parametrize("case", ["no-memory", "nested"])
def test_faults(faults, case):
    done = subprocess.run([faults, case], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_wild_number_of_threads_is_cut():
    assert _core._parallel_probe(100_000, 2**31 - 1, -1, 0) == [1] * 100_000
