"""Native entries under random arguments (tests/core/fuzz.py): an answer or a refusal."""

import pytest

from tests.core.fuzz import ENTRIES, run


@pytest.mark.parametrize("seed", range(6))
def test_an_answer_or_a_refusal(seed):
    told = run(seed, 0, 400)
    for entry in ENTRIES:  # or the arguments would try nothing
        assert told[entry, "answered"] >= 3, entry
        assert told[entry, "refused"] >= 1, entry
