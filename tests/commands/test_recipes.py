"""cbir recipes: the list, and one recipe in full."""

import json

import pytest

from cbir.commands.recipes import main
from cbir.recipe import Recipe


def test_the_list_has_a_line_for_each_recipe(capsys):
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name, line in zip(Recipe.names(), lines, strict=False):
        assert line.split() == [name, *Recipe.describe(name).split()]
        assert len(line) <= 100
    assert "  rerank                 original" in lines
    assert main(["--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert list(listed["recipes"]) == Recipe.names()
    assert listed["parts"]["index"] == ["flat", "inverted_file"]


@pytest.mark.parametrize("name", Recipe.names())
def test_what_is_shown_is_a_recipe_file(name, capsys, tmp_path):
    assert main([name, "--set", "seed=5"]) == 0
    (tmp_path / "mine.toml").write_text(capsys.readouterr().out, encoding="utf-8")
    assert Recipe.load(tmp_path / "mine.toml") == Recipe.load(name, ["seed=5"])
    assert main([str(tmp_path / "mine.toml"), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown.pop("hash") == Recipe.load(name, ["seed=5"]).hash
    assert shown == Recipe.load(name, ["seed=5"]).to_dict()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["bwo"], 1, 'error: recipe "bwo": no such recipe or file; did you mean bow?'),
        (["bow", "--set", "vocabulary.n_words=0"], 1, "error: recipe bow: vocabulary.n_words=0"),
        (["bow", "--set", "n_words"], 1, "error: --set 'n_words': expected path=value"),
        (["--set", "seed=5"], 2, "error: --set changes a recipe; name the one to show."),
    ],
)
def test_mistakes_are_told_in_a_line(arguments, code, message, capsys):
    assert main(arguments) == code
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(message)
    assert told.err.count("\n") == 1
