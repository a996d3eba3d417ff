"""SIMD level selection: by name, by CBIR_SIMD, and what a bad name says."""

import os
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest

import cbir
from cbir import _core
from cbir.errors import ParameterError


def start(level, emulator=()):
    return subprocess.run(
        [*emulator, sys.executable, "-c", "from cbir import _core; print(_core.simd_level())"],
        env=os.environ | {"CBIR_SIMD": level},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_levels_start_with_generic_and_the_best_is_in_use_by_default():
    levels = _core.simd_levels()
    assert levels[0] == "generic"
    run = start("")
    assert run.stdout.strip() == levels[-1], run.stderr


@pytest.mark.parametrize("level", _core.simd_levels())
def test_environment_lowers_the_level(level):
    run = start(level)
    assert run.stdout.strip() == level, run.stderr


@pytest.mark.parametrize("level", ["turbo", "AVX2", "avx2 "])
def test_unknown_level_is_an_error_that_names_what_there_is(level):
    run = start(level)
    assert run.returncode == 1
    assert f"unknown SIMD level '{level}'" in run.stderr
    assert "generic" in run.stderr


@pytest.mark.skipif("CBIR_SANITIZE" in os.environ, reason="an emulator can't run a sanitizer")
def test_level_that_the_cpu_lacks_is_an_error():
    missing, emulator = {"avx2", "avx512", "avx512v"} - set(_core.simd_levels()), []
    if not missing:
        qemu = shutil.which("qemu-x86_64")
        if qemu is None:
            pytest.skip("this CPU has every level; install qemu-user to play one that has not")
        missing, emulator = {"avx512"}, [qemu, "-cpu", "Haswell-noTSX"]
        assert start("", emulator).stdout.strip() == "avx2"
    run = start(missing.pop(), emulator)
    assert run.returncode == 1
    assert "not offered by this CPU" in run.stderr


def test_set_simd_level(simd_level):
    cbir.set_simd_level(simd_level)
    assert _core.simd_level() == simd_level
    with pytest.raises(ParameterError, match="unknown SIMD level 'sse9'"):
        cbir.set_simd_level("sse9")
    assert _core.simd_level() == simd_level


def test_the_level_may_change_while_a_search_runs(simd_level):
    # Which kernels serve a call is decided once: changing the level meanwhile changes no answer.
    rng = np.random.default_rng(0)
    xb, xq = rng.random((300, 32), np.float32), rng.random((96, 32), np.float32)
    ids, words = np.arange(300), _core.KMeansWords(xb[:70].copy())
    expected, assigned = _core.flat_search(xb, ids, xq, "l2", 3, 1), words.assign(xb, 1)
    done = threading.Event()

    def change():
        while not done.is_set():
            for level in _core.simd_levels():
                _core.set_simd_level(level)

    changing = threading.Thread(target=change)
    changing.start()
    try:
        for _ in range(200):
            for found, wanted in zip(
                _core.flat_search(xb, ids, xq, "l2", 3, 1), expected, strict=True
            ):
                np.testing.assert_array_equal(found, wanted)
            np.testing.assert_array_equal(words.assign(xb, 1), assigned)
    finally:
        done.set()
        changing.join()
