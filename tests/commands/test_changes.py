"""add, remove, update, check and compact, as a person types them."""

import os
import shutil

import pytest

from tests.command_line import TINY, run, save_views, view


@pytest.fixture
def folder(tmp_path):
    return save_views(tmp_path / "set", n_things=3)


@pytest.fixture
def collection(folder, tmp_path):
    out = tmp_path / "a.cbir"
    done = run("build", folder, "-o", out, *TINY, "--labels", "ukbench")
    assert done.code == 0, done.err
    return out


def indexed(collection):
    return run("info", collection, "--json").json["images"]["indexed"]


def found(collection, query):
    answer = run("search", collection, query, "-k", 50, "--json").json["queries"][0]
    return [one["path"] for one in answer["results"]]


# ------------------------------------------------------------------------------------- add, remove


def test_add_files_from_elsewhere_and_from_the_folder(collection, folder, tmp_path):
    view(7, 0).save(tmp_path / "else.png")
    view(8, 0).save(folder / "ukbench00100.jpg")
    new = [tmp_path / "else.png", folder / "ukbench00100.jpg"]
    done = run("add", collection, *new, "--json")
    assert done.code == 0, done.err
    assert done.json["added"] == 2 and done.json["images"]["indexed"] == 14
    assert found(collection, new[0])[0] == (tmp_path / "else.png").as_posix()
    assert found(collection, new[1])[0] == "ukbench00100.jpg"
    again = run("add", collection, *new)
    assert again.code == 0 and "nothing changed" in again.out and indexed(collection) == 14


def test_add_reads_a_list_from_stdin(collection, tmp_path):
    names = [tmp_path / "one.png", tmp_path / "two\nlines.png"]
    for i, name in enumerate(names):
        view(7 + i, 0).save(name)
    done = run("add", collection, "-", "--json", input="\0".join(map(str, names)))
    assert done.code == 0, done.err
    assert done.json["added"] == 2


def test_add_skips_a_broken_picture_unless_strict(collection, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"no picture")
    done = run("add", collection, tmp_path / "bad.jpg", "--strict")
    assert done.code == 1 and "bad.jpg" in done.error
    done = run("add", collection, tmp_path / "bad.jpg")
    assert done.code == 0 and "warning: skipped" in done.err and indexed(collection) == 12


def test_remove_by_path_by_file_and_by_id(collection, folder):
    done = run("remove", collection, "ukbench00000.jpg", folder / "ukbench00001.jpg", "--id", 5,
               "--json")  # fmt: skip
    assert done.code == 0, done.err
    assert done.json["removed"] == 3 and indexed(collection) == 9
    left = found(collection, folder / "ukbench00002.jpg")
    assert not {f"ukbench{i:05d}.jpg" for i in (0, 1, 5)} & set(left) and len(left) == 9
    assert (folder / "ukbench00000.jpg").exists()


def test_remove_of_something_unknown_removes_nothing(collection):
    done = run("remove", collection, "ukbench00000.jpg", "nobody.jpg")
    assert done.code == 1 and "nobody.jpg" in done.error
    assert indexed(collection) == 12
    done = run("remove", collection, "--id", 99)
    assert done.code == 1 and "99" in done.error


def test_remove_reads_a_list(collection, tmp_path):
    (tmp_path / "list.txt").write_text("ukbench00000.jpg\r\nukbench00003.jpg\n\n")
    done = run("remove", collection, "--files-from", tmp_path / "list.txt", "--json")
    assert done.json["removed"] == 2


# ------------------------------------------------------------------------------------------ update


def test_update_indexes_what_is_new_and_keeps_what_has_gone(collection, folder):
    view(9, 0).save(folder / "ukbench00012.jpg")
    (folder / "ukbench00000.jpg").unlink()
    done = run("update", collection, "--json")
    assert done.code == 0, done.err
    assert done.json["added"] == 1 and done.json["gone"] == 1 and indexed(collection) == 13
    plain = run("update", collection)
    assert "nothing changed" in plain.out and "--prune" in plain.out
    pruned = run("update", collection, "--prune", "--json")
    assert pruned.json["removed"] == 1 and indexed(collection) == 12


def test_update_rehash_finds_a_change_that_size_and_time_hide(collection, folder):
    file = folder / "ukbench00000.jpg"
    contents = [file.read_bytes(), (folder / "ukbench00004.jpg").read_bytes()]
    size = max(map(len, contents)) + 1  # JPEG readers pass over what follows the end
    for content, options in zip(contents, ([], ["--rehash"]), strict=True):
        file.write_bytes(content + bytes(size - len(content)))
        os.utime(file, ns=(10**18, 10**18))
        if options:
            assert run("update", collection, "--json").json["added"] == 0
        assert run("update", collection, *options, "--json").json["added"] == 1


# --------------------------------------------------------------------------------- check, compact


def test_check_of_a_whole_collection(collection):
    done = run("check", collection, "--json")
    assert done.code == 0, done.err
    assert done.json["ok"] and done.json["problems"] == [] and done.json["files"] > 3
    assert done.json["digest"] == run("check", collection, "--json").json["digest"]
    assert run("check", collection).out.startswith(f"{collection}: ok")


@pytest.mark.parametrize("suffix", [".npy", ".h5", ".json", ".sqlite", ".toml"])
def test_check_finds_an_altered_byte_in_any_file(collection, suffix):
    victim = next(p for p in sorted(collection.rglob(f"*{suffix}")))
    content = bytearray(victim.read_bytes())
    # SQLite's pages have room that says nothing, so there a byte that does is altered.
    at = content.index(b"ukbench") if suffix == ".sqlite" else len(content) // 2
    content[at] ^= 0x15
    victim.write_bytes(content)
    done = run("check", collection)
    assert done.code == 1, done.out
    assert victim.name in done.out + done.err
    assert "Traceback" not in done.err


def test_check_tells_all_that_is_wrong_and_what_is_not_used(collection):
    for victim in sorted((collection / "model").rglob("*.npy"))[:2]:
        victim.write_bytes(victim.read_bytes()[:-1])
    (collection / "features" / "left-over.tmp").write_bytes(b"x")
    done = run("check", collection, "--json")
    assert done.code == 1
    assert len(done.json["problems"]) >= 2
    assert any("left-over.tmp" in str(one) for one in done.json["orphaned"])


def test_compact_frees_what_removed_images_held(collection, folder):
    run("remove", collection, *(f"--id={i}" for i in range(8)))
    before = found(collection, folder / "ukbench00008.jpg")
    done = run("compact", collection, "--json")
    assert done.code == 0, done.err
    assert done.json["freed_bytes"] > 0
    assert found(collection, folder / "ukbench00008.jpg") == before
    assert "0 B freed" in run("compact", collection).out
    assert run("check", collection).code == 0


# ------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize("name", ["add", "remove", "update", "check", "compact"])
def test_what_is_no_collection(name, tmp_path):
    view(1, 0).save(tmp_path / "a.png")
    more = [tmp_path / "a.png"] if name in ("add", "remove") else []
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    for path in ("nowhere", "file", "empty"):
        done = run(name, tmp_path / path, *more)
        assert done.code == 1, done.out
        assert path in (done.error if done.err else done.out)
        assert "Errno" not in done.err


def test_swapped_arguments_are_told(collection, folder):
    for name in ("add", "search"):
        done = run(name, folder / "ukbench00000.jpg", collection)
        assert done.code == 1
        assert "collection comes first" in done.error


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("add", ["a.cbir"]),
        ("add", []),
        ("add", ["a.cbir", "x.jpg", "--files-from", "list"]),
        ("remove", ["a.cbir"]),
        ("remove", ["a.cbir", "--id", "-1"]),
        ("update", []),
        ("check", []),
        ("compact", ["a.cbir", "b.cbir"]),
    ],
)
def test_a_wrong_command_line_is_exit_code_2(name, arguments):
    done = run(name, *arguments)
    assert done.code == 2 and done.error


def test_an_empty_list_or_one_that_is_not_there(collection, tmp_path):
    done = run("add", collection, "-", input="\n\n")
    assert done.code == 1 and "stdin" in done.error
    done = run("add", collection, "--files-from", tmp_path / "none.txt")
    assert done.code == 1 and "none.txt" in done.error


def test_a_moved_collection_still_knows_its_folder(collection, folder, tmp_path):
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    shutil.move(collection, moved / "a.cbir")
    shutil.move(folder, moved / "set")
    done = run("search", moved / "a.cbir", moved / "set" / "ukbench00000.jpg", "--json")
    assert done.json["queries"][0]["label"] == "0"


@pytest.mark.parametrize("name", ["add", "build"])
def test_a_named_file_that_is_not_there_is_an_error(collection, folder, tmp_path, name):
    files = [folder / "ukbench00000.jpg", tmp_path / "typo.jpg"]
    target = ["-o", tmp_path / "new.cbir"] if name == "build" else [collection]
    done = run(name, *target, *files)
    assert done.code == 1 and "typo.jpg: there is no such file" in done.error
    done = run(name, *target, files[1])
    assert done.code == 1 and "typo.jpg: there is no such file" in done.error
    assert run("remove", collection, tmp_path / "typo.jpg").code == 1  # nor is it remembered


def test_what_was_pruned_is_not_counted_as_kept(collection, folder):
    (folder / "ukbench00003.jpg").unlink()
    assert run("update", collection, "--json").json["gone"] == 1
    done = run("update", collection, "--prune", "--json")
    assert done.json["removed"] == 1 and done.json["gone"] == 0


def test_other_labels_are_a_change_that_is_told(collection, folder):
    none = ["--labels", "none"]
    done = run("build", folder, "-o", collection, *TINY, *none)
    assert "nothing changed" not in done.out and "12 with another label" in done.out
    assert "nothing changed" in run("build", folder, "-o", collection, *TINY, *none).out


def test_a_build_that_says_nothing_of_labels_keeps_them(collection, folder):
    assert "nothing changed" in run("build", folder, "-o", collection, *TINY).out
    assert run("info", collection, "--json").json["labels"] == "ukbench"
