"""Kernels beside their peers, by pytest-benchmark.

python -m pytest benchmarks/micro --benchmark-only
python -m pytest benchmarks/micro --benchmark-disable    # each once, as the tests do: do they run?
"""

import math
from typing import Any


def median(benchmark: Any) -> float:
    """Median seconds of a call; NaN where nothing was timed."""
    return float(benchmark.stats["median"]) if benchmark.stats else math.nan
