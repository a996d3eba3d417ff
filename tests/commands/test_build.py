import pytest

from tests.command_line import TINY, run, save_views


@pytest.mark.parametrize("recipe", ["bow", "vlad", "colour"])
def test_json_ends_with_one_object(recipe, pictures, tmp_path):
    words = ["--set", "vocabulary.n_words=16"] if recipe != "colour" else []
    done = run("build", pictures, "-o", tmp_path / "a.cbir", "--recipe", recipe, *words, "--json")
    assert done.code == 0, done.err
    report = done.json
    assert report["images"] == {"seen": 32, "indexed": 32, "failed": 0}
    assert report["failed"] == []
    assert report["seconds"]["total"] > 0
    assert report["bytes_per_image"] > 0
    assert report["peak_memory_bytes"] > 1 << 20


def test_plain_output_and_plain_log_lines(pictures, tmp_path):
    done = run("build", pictures, "-o", tmp_path / "a.cbir", *TINY)
    assert done.code == 0, done.err
    assert "32 images indexed, 32 added" in done.out
    assert "peak memory" in done.out
    assert "\r" not in done.err and "32 of 32" in done.err  # a log line, not a progress bar


def test_quiet_says_nothing_on_stderr(pictures, tmp_path):
    done = run("build", pictures, "-o", tmp_path / "a.cbir", *TINY, "--quiet")
    assert (done.code, done.err) == (0, "")


def test_walk_through_flags_mean_the_same(pictures, tmp_path):
    done = run("build", "-d", pictures, "-o", tmp_path / "a.cbir", *TINY, "--json")
    assert done.json["images"]["indexed"] == 32


def test_a_bad_image_is_skipped_told_and_counted(tmp_path):
    folder = save_views(tmp_path / "set", n_things=2)
    (folder / "broken.jpg").write_bytes(b"no image")
    done = run("build", folder, "-o", tmp_path / "a.cbir", *TINY, "--json")
    assert done.code == 0
    assert done.json["images"] == {"seen": 9, "indexed": 8, "failed": 1}
    assert done.json["failed"][0]["path"] == "broken.jpg" and done.json["failed"][0]["reason"]
    assert "warning: skipped broken.jpg" in done.err


def test_of_many_bad_images_the_first_are_told_and_all_are_in_the_json(tmp_path):
    folder = save_views(tmp_path / "set", n_things=2)
    for i in range(25):
        (folder / f"broken{i:02d}.jpg").write_bytes(b"no image")
    done = run("build", folder, "-o", tmp_path / "a.cbir", *TINY, "--json")
    assert len(done.json["failed"]) == 25
    warnings = [line for line in done.err.splitlines() if line.startswith("warning: skipped")]
    assert len(warnings) == 21 and "5 more" in warnings[-1]
    again = run("build", folder, "-o", tmp_path / "a.cbir", *TINY)
    assert "8 images indexed" in again.out and "nothing changed" in again.out


def test_strict_makes_it_an_error(tmp_path):
    folder = save_views(tmp_path / "set", n_things=2)
    (folder / "broken.jpg").write_bytes(b"no image")
    done = run("build", folder, "-o", tmp_path / "a.cbir", *TINY, "--strict")
    assert done.code == 1
    assert "broken.jpg" in done.error


def test_seed_and_set_reach_the_recipe(pictures, tmp_path):
    out = tmp_path / "a.cbir"
    assert run("build", pictures, "-o", out, *TINY, "--seed", 7).code == 0
    recipe = run("info", out, "--json").json["recipe"]
    assert recipe["seed"] == 7 and recipe["vocabulary"]["n_words"] == 64


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["-o", "x.cbir"],
        ["pictures"],
        ["pictures", "-d", "pictures", "-o", "x.cbir"],
        ["pictures", "-o", "x.cbir", "--threads", "-1"],
        ["pictures", "-o", "x.cbir", "--threads", "many"],
        ["pictures", "-o", "x.cbir", "--no-such-option"],
    ],
)
def test_a_wrong_command_line_is_exit_code_2(arguments):
    done = run("build", *arguments)
    assert done.code == 2
    assert done.error and done.out == ""


def test_help_is_short_and_says_where_the_recipes_are_told():
    done = run("build", "--help")
    assert done.code == 0
    for text in ("--set", "--files-from", "cbir recipes", "Exit codes", "130"):
        assert text in done.out
    assert "vocabulary.n_words" not in done.out and len(done.out.splitlines()) < 60


def test_a_list_of_files_on_stdin(pictures, tmp_path):
    names = sorted(pictures.glob("*.jpg"))[:12]
    for arguments, text in (
        (["-"], "\n".join(map(str, names)) + "\n"),
        (["--files-from", "-"], "\0".join(map(str, names)) + "\0"),
    ):
        out = tmp_path / f"{len(arguments)}.cbir"
        done = run("build", *arguments, "-o", out, *TINY, "--json", input=text)
        assert done.code == 0, done.err
        assert done.json["images"] == {"seen": 12, "indexed": 12, "failed": 0}
    files = run("build", *names, "-o", tmp_path / "files.cbir", *TINY, "--json")
    assert files.json["images"]["indexed"] == 12


def test_a_bad_label_spec_is_told_before_any_picture_is_read(tmp_path):
    """The folder holds one broken picture, which nothing comes to say."""
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "broken.jpg").write_bytes(b"")
    for labels, words in (("guess", "guess"), (tmp_path / "no.csv", "no.csv"), ("ukbench", "brok")):
        done = run("build", tmp_path / "set", "-o", tmp_path / "a.cbir", "--labels", labels)
        assert done.code == 1
        assert words in done.error and "skipped" not in done.err
        assert len(done.error) < 200


def test_a_small_folder_gets_a_vocabulary_that_fits(pictures, tmp_path):
    done = run("build", pictures, "-o", tmp_path / "a.cbir", "--json")
    assert done.code == 0, done.err
    assert "words" in done.err  # how many the data called for


def test_another_recipe_is_told_in_a_line(built, pictures):
    done = run("build", pictures, "-o", built, "--recipe", "colour")
    assert done.code == 1
    assert "recipe" in done.error and len(done.error) < 300


def test_a_file_where_the_collection_should_be(pictures, tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    done = run("build", pictures, "-o", tmp_path / "notes.txt", *TINY)
    assert done.code == 1 and "notes.txt: is a file" in done.error
    assert (tmp_path / "notes.txt").read_text() == "x"
