"""The tables of the pages are those of the results."""

import pytest

from benchmarks import summary
from benchmarks.schema import ROOT


@pytest.mark.parametrize("name", summary.PAGES)
def test_pages_show_the_results(name):
    assert summary.page(name) == (ROOT / name).read_text(encoding="utf-8"), (
        "run python -m benchmarks.summary"
    )


def test_a_page_without_marks_is_refused():
    with pytest.raises(ValueError, match="no marks of 'speed'"):
        summary.fill("nothing here", "speed", "| a |")
