"""Build of the native parts: one C++ extension, `cbir._core`, and the Cython modules beside their
callers.

The build targets the ABI floor of the platform. SIMD files raise their own target with a pragma and
are chosen at run time (csrc/simd/level.h), so no `-march` flag may ever appear here.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from Cython.Build import cythonize
from pybind11.setup_helpers import Pybind11Extension, build_ext
from setuptools import Extension, setup

ROOT = Path(__file__).parent
MSVC = sys.platform == "win32"

# CBIR_SANITIZE=address|thread builds for tests/sanitize.py: checks in the kernels on (CBIR_DCHECK),
# and a finding ends the process.
SANITIZERS = {
    "address": [
        "-fsanitize=address,undefined,float-cast-overflow",
        "-fno-sanitize=vptr",
        "-fno-sanitize-recover=all",
    ],
    "thread": ["-fsanitize=thread"],
}
SANITIZE = SANITIZERS.get(os.environ.get("CBIR_SANITIZE", ""), [])
DEBUG = ["-O1", "-g", "-fno-omit-frame-pointer", "-DCBIR_DEBUG"] if SANITIZE else []


class ParallelBuild(build_ext):
    """Compile the files of one extension side by side: setuptools would take them one after
    another.
    """

    def build_extensions(self) -> None:
        """Replace the compiler's file loop by a thread pool; each compiler is a process of its
        own.
        """
        compile_one_by_one = self.compiler.compile
        jobs = int(os.environ.get("CBIR_BUILD_JOBS", 0)) or os.cpu_count() or 1

        def compile_in_parallel(sources, *args, **kwargs):
            with ThreadPoolExecutor(jobs) as pool:
                objects = pool.map(lambda s: compile_one_by_one([s], *args, **kwargs), sources)
                return [one for some in objects for one in some]

        self.compiler.compile = compile_in_parallel
        super().build_extensions()


def relative(pattern: str) -> list[str]:
    """Sources matching `pattern`, sorted so that two builds link in the same order."""
    return sorted(p.relative_to(ROOT).as_posix() for p in ROOT.glob(pattern))


core = Pybind11Extension(
    "cbir._core",
    sources=relative("csrc/**/*.cpp"),
    include_dirs=["csrc"],
    depends=relative("csrc/**/*.h"),
    cxx_std=17,
    # -fno-math-errno lets sqrt be one instruction; -ffp-contract=off keeps `generic` free of
    # surprises: a fused multiply-add appears only where an intrinsic asks for it.
    extra_compile_args=[]
    if MSVC
    else [
        "-O3",
        "-fno-math-errno",
        "-ffp-contract=off",
        "-pthread",
        "-Wall",
        "-Wextra",
        "-Wno-psabi",
        *SANITIZE,
        *DEBUG,
    ],
    extra_link_args=[] if MSVC else ["-pthread", *SANITIZE],
)
flat_loops = [
    Extension(
        source[:-4].replace("/", "."),
        [source],
        extra_compile_args=[*SANITIZE, *DEBUG],
        extra_link_args=SANITIZE,
    )
    for source in relative("cbir/**/_*.pyx")
]

setup(
    ext_modules=[core, *cythonize(flat_loops, compiler_directives={"language_level": 3})],
    cmdclass={"build_ext": ParallelBuild},
)
