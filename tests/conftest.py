"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest

from cbir import _core
from tests.command_line import TINY, run, save_views


@pytest.fixture(params=_core.simd_levels())
def simd_level(request):
    """Run the test once for each SIMD level this machine has."""
    before = _core.simd_level()
    _core.set_simd_level(request.param)
    yield request.param
    _core.set_simd_level(before)


@pytest.fixture(scope="session")
def cbir_data():
    """Folder of real photographs; a test that asks for it says so where it is missing."""
    folder = os.environ.get("CBIR_DATA", "")
    if not folder:
        pytest.skip("needs real photographs: set CBIR_DATA to the folder that holds ukbench1000/")
    path = Path(folder)
    # A set but wrong variable must fail: skipping would hide that nothing was checked.
    assert (path / "ukbench1000" / "images").is_dir(), (
        f"CBIR_DATA={folder} holds no ukbench1000/images"
    )
    return path


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """Folder of 8 things, 4 views each, named as UKBench names its images."""
    return save_views(tmp_path_factory.mktemp("set") / "pictures")


@pytest.fixture(scope="session")
def built(pictures, tmp_path_factory):
    """A small labelled bag-of-words collection of `pictures`; read it only."""
    out = tmp_path_factory.mktemp("built") / "things.cbir"
    done = run("build", pictures, "-o", out, *TINY, "--labels", "ukbench", "--json")
    assert done.code == 0, done.err
    return out
