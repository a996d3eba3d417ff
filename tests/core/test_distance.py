"""Row distances: the same bits at every level, in order and gathered, and with a stride."""

import subprocess

from tests.core.programs import compiled


def test_every_level_and_form_gives_the_same_bits(tmp_path):
    sources = [f"core/distance_{level}.cpp" for level in ("generic", "avx2", "avx512")]
    program = compiled(tmp_path, "distance_check", *sources, "simd/level.cpp")
    done = subprocess.run([program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
