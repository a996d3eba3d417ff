"""One writer: a second one is told who writes, and a killed one leaves no lock."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from cbir.errors import LockError
from cbir.store import WriterLock

HOLD = """
import sys, time, pathlib
from cbir.store import WriterLock
with WriterLock(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_second_writer_is_told_who_writes_and_a_kill_frees_it(tmp_path):
    path = tmp_path / "lock"
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout.readline() == "held\n"
        with pytest.raises(LockError, match=f"process {child.pid} is writing"), WriterLock(path):
            pass
    finally:
        child.send_signal(signal.SIGKILL if os.name != "nt" else signal.SIGTERM)
        child.wait()
        child.stdout.close()
    with WriterLock(path):
        assert path.read_text() == str(os.getpid())
        with pytest.raises(LockError, match=str(os.getpid())), WriterLock(path):
            pass
    assert path.read_bytes() == b""


def test_a_full_disk_takes_the_text_and_not_the_lock(tmp_path, monkeypatch):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    for function in ("write", "ftruncate"):
        with monkeypatch.context() as m:
            m.setattr(os, function, full)
            held = WriterLock(tmp_path / "lock")
            with held, pytest.raises(LockError, match="is writing"), WriterLock(held.path):
                pass
    with WriterLock(tmp_path / "lock"):
        pass
