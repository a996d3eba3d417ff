from cbir.commands.demo import RECIPES
from tests.command_line import run


def test_demo_makes_everything_and_says_where(tmp_path):
    out = tmp_path / "a demo"
    done = run("demo", "-o", out, "-n", 6, "--quiet")
    assert done.code == 0, done.err
    assert len(list((out / "images").glob("*.jpg"))) == 24
    for recipe in RECIPES:
        assert "<html" in (out / f"report-{recipe}" / "index.html").read_text()
        assert (out / f"answer-{recipe}.png").stat().st_size > 10_000
        assert f"report-{recipe}/index.html" in done.out
    table = [
        line.split()
        for line in done.out.splitlines()
        if line.split() and line.split()[0] in RECIPES
    ]
    assert len(table) == 4 and all(1 <= float(row[1]) <= 4 for row in table)


def test_demo_passes_on_the_exit_code(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    assert run("demo", "-o", tmp_path / "file", "-n", 2).code == 1
