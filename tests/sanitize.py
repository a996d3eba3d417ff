"""Run native tests under a sanitizer: ``python tests/sanitize.py address|thread [ARGUMENTS]``.

ARGUMENTS are pytest's, or ``-m MODULE ...``; without any, the native tests run. The working tree is
copied to build/sanitize-KIND and compiled there with the sanitizer, so that the ordinary build
stays as it is. ``address`` is AddressSanitizer with UndefinedBehaviorSanitizer, ``thread`` is
ThreadSanitizer; the first finding ends the run. Needs GCC, whose run-time libraries are loaded
before Python's own.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIBRARY = {"address": "libasan.so", "thread": "libtsan.so"}
NATIVE = ["tests/core", "tests/vocabulary", "tests/aggregation", "tests/indexes"]
# ThreadSanitizer looks at what runs beside each other; sizes and widths are the other's business.
BESIDE = "thread or parallel or concurrent or ctrl or interrupt or same_bytes or seeds"
ARGUMENTS = {"address": NATIVE, "thread": [*NATIVE, "-k", BESIDE]}


def copy_tree(to: Path) -> None:
    """Bring what git knows, and new files that it does not ignore, up to date in `to`."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    names = {name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()}
    for name in sorted(names):
        source, target = ROOT / name, to / name
        if target.exists() and target.stat().st_mtime == source.stat().st_mtime:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
    for old in [*to.glob("csrc/**/*"), *to.glob("tests/**/*.py"), *to.glob("cbir/**/*.py")]:
        if old.is_file() and old.relative_to(to).as_posix() not in names:
            old.unlink()


def library(name: str) -> str:
    """Path of one of GCC's run-time libraries."""
    found = subprocess.run(
        [os.environ.get("CXX", "g++"), f"-print-file-name={name}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    if not Path(found).is_absolute():
        sys.exit(
            f"tests/sanitize.py: the compiler has no {name}; install GCC's sanitizer libraries"
        )
    return found


def main(kind: str, arguments: list[str]) -> int:
    tree = ROOT / "build" / f"sanitize-{kind}"
    copy_tree(tree)
    env = os.environ | {"CBIR_SANITIZE": kind}
    build = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    if subprocess.run(build, cwd=tree, env=env).returncode:
        return 1
    env |= {
        # libstdc++ beside it: the sanitizer wraps its throw, and Python would bring it too late.
        "LD_PRELOAD": f"{library(LIBRARY[kind])} {library('libstdc++.so.6')}",
        # Python frees little at its end; a refused allocation gives NULL, as without a sanitizer.
        "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1:halt_on_error=1",
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
        "TSAN_OPTIONS": f"halt_on_error=1:suppressions={ROOT / 'tests' / 'sanitize.supp'}",
        "PYTHONMALLOC": "malloc",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    # ThreadSanitizer wants its addresses free: without randomisation they are.
    fixed = ["setarch", "-R"] if kind == "thread" and shutil.which("setarch") else []
    if arguments[:1] != ["-m"]:
        pytest = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--capture=sys"]
        arguments = [*pytest, *(arguments or ARGUMENTS[kind])]
    return subprocess.run([*fixed, sys.executable, *arguments], cwd=tree, env=env).returncode


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in LIBRARY:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2:]))
