"""Marker and sweeping: what is ours, and that nothing else is ever touched."""

import os

import pytest

from cbir.errors import FormatError, ParameterError
from cbir.store import Layout, check_marker, claim
from cbir.store.atomic import TEMPORARY


def fill(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def everything(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_claim_takes_what_is_new_or_empty_or_ours(tmp_path):
    claim(tmp_path / "a/b")
    check_marker(tmp_path / "a/b")
    claim(tmp_path / "a/b")
    (tmp_path / "empty").mkdir()
    claim(tmp_path / "empty")
    assert everything(tmp_path / "empty") == ["CBIR"]


def test_a_kill_before_the_marker_has_a_name(tmp_path):
    fill(tmp_path, f"{TEMPORARY}123-CBIR")
    claim(tmp_path)
    assert everything(tmp_path) == ["CBIR"]


def test_a_folder_of_somebody_else_is_refused_and_untouched(tmp_path):
    names = [
        "features/x.npy",
        "features/part-000009.h5",
        "model/weights.bin",
        "index/20240101/x",
        ".tmp-mine",
        "lock",
        "recipe.toml",
        f"{TEMPORARY}12-CBIR",
    ]
    fill(tmp_path, *names)
    with pytest.raises(ParameterError, match="holds other things"):
        claim(tmp_path)
    with pytest.raises(FormatError, match="the file CBIR is missing"):
        check_marker(tmp_path)
    assert everything(tmp_path) == sorted(names)


def test_the_older_format_is_told_apart(tmp_path):
    fill(tmp_path, "catalogue.sqlite", "CURRENT", "features/part-000001.h5")
    for look in (claim, check_marker):
        with pytest.raises(FormatError, match=r"older format.*build it anew into another folder"):
            look(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"cbir collection, format 3\n", "format version 3, this cbir reads 2"),
        (b"", "says ''"),
        (b"cbir collection, format 2", "not ours or altered"),
        (b"\xff\xfe", "cannot be read"),
    ],
)
def test_other_markers(tmp_path, text, said):
    (tmp_path / "CBIR").write_bytes(text)
    for look in (claim, check_marker):
        with pytest.raises(FormatError, match=said):
            look(tmp_path)


def test_no_folder(tmp_path):
    with pytest.raises(FormatError, match="no such collection; build it first"):
        check_marker(tmp_path / "nowhere")


HASH = "0123456789abcdef"
OURS = [
    f"features/{HASH}/part-000001.h5",
    f"features/{HASH}/part-000002.h5",
    f"features/{HASH}/left-000001.h5",
    "index/main/segment-000001/manifest.json",
    "index/main/segment-000002/manifest.json",
    "index/other/segment-000001/manifest.json",
]
TEMPORARIES = [
    f"{TEMPORARY}7-recipe.toml",
    f"{TEMPORARY}7-spill/a",
    f"features/{HASH}/{TEMPORARY}7-part-000002.h5",
    f"index/main/{TEMPORARY}7-segment-000003/ids.npy",
    f"model/{TEMPORARY}7-main/x",
]
FOREIGN = [
    "notes.txt",
    ".tmp-mine",
    "features/mine.h5",
    "features/mine/part-000001.h5",
    f"features/{HASH}/part-1.h5",
    f"features/{HASH}/readme",
    "index/main/old/x",
    "index/segment-000009/x",
    "model/main/manifest.json",
]


def test_only_our_names_are_swept(tmp_path):
    fill(tmp_path, *OURS, *TEMPORARIES, *FOREIGN)
    layout = Layout(tmp_path)
    layout.sweep_temporaries()
    assert everything(tmp_path) == sorted(OURS + FOREIGN)
    named = {layout.part_name(HASH + "f" * 48, 1), layout.segment_name("main", 2)}
    layout.sweep_parts(named)
    layout.sweep_segments(named)
    kept = [f"features/{HASH}/part-000001.h5", "index/main/segment-000002/manifest.json"]
    assert everything(tmp_path) == sorted(kept + FOREIGN)
    assert not (tmp_path / "index/other").exists()
    layout.sweep_parts(())
    layout.sweep_segments(())
    assert everything(tmp_path) == sorted(FOREIGN)


def test_what_a_killed_writer_described_is_set_aside(tmp_path):
    fill(tmp_path, *OURS)
    layout = Layout(tmp_path)
    left = layout.set_aside({layout.part_name(HASH, 1)})
    assert [p.name for p in left] == ["left-000001.h5", "left-000002.h5"]
    assert layout.part(HASH, 1).exists()
    assert not layout.part(HASH, 2).exists()
    assert layout.set_aside({layout.part_name(HASH, 1)}) == left


def test_links_are_not_followed_into(tmp_path):
    fill(tmp_path, "elsewhere/file")
    fill(tmp_path / "c", "index/main/x")
    os.symlink(tmp_path / "elsewhere", tmp_path / "c/index/main/segment-000001")
    Layout(tmp_path / "c").sweep_segments(())
    assert everything(tmp_path) == ["c/index/main/x", "elsewhere/file"]


def test_what_is_in_no_catalogue(tmp_path):
    fill(tmp_path, "CBIR", "lock", *OURS, "mine", "index/mine")
    layout = Layout(tmp_path)
    found = layout.unnamed({layout.part_name(HASH, 1), layout.segment_name("main", 1)})
    assert [p.relative_to(tmp_path).as_posix() for p in found] == [
        f"features/{HASH}/left-000001.h5",
        f"features/{HASH}/part-000002.h5",
        "index/main/segment-000002",
        "index/mine",
        "index/other/segment-000001",
        "mine",
    ]
