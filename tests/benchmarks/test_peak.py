"""The probes of a core's limits give a rate at every level."""

import shutil

import pytest

from benchmarks._peak import fma_peak, issue_rate


@pytest.mark.skipif(shutil.which("c++") is None, reason="needs a C++ compiler")
def test_a_rate_at_every_level(simd_level):
    assert 0.1 < fma_peak() < 10_000
    assert 0.01 < issue_rate() < 100
