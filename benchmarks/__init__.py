"""Benchmarks beside peers; README.md says how they are measured.

The OpenBLAS inside faiss takes a CPU that it doesn't know for a Pentium 4 ("Prescott") and is
then four times slower than it can be. Equal footing: before any peer is imported, all of them are
told to use their AVX-512 or AVX2 kernels. Who sets ``OPENBLAS_CORETYPE`` has their own way.
"""

import os

from cbir import _core

if "avx2" in _core.simd_levels():
    CORE = "SKYLAKEX" if "avx512" in _core.simd_levels() else "HASWELL"
    os.environ.setdefault("OPENBLAS_CORETYPE", CORE)
