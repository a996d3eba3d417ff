"""Which files `walk` finds, in which order, and what it says about the rest."""

# Names as bytes and os calls are what is tested.

import logging
import os
import unicodedata

import pytest

from cbir.errors import ImageError
from cbir.images import EXTENSIONS, scan, walk


def make(root, *paths):
    for path in paths:
        full = root / path
        full.parent.mkdir(parents=True, exist_ok=True)
        full.write_bytes(b"x")


def test_recursive_in_code_point_order(tmp_path):
    names = [
        "b.jpg",
        "a/z.jpg",
        "a/b/c.jpg",
        "a-1.jpg",
        "B.jpg",
        "a.jpg",
        "10.jpg",
        "9.jpg",
        "é.jpg",
        "日本/x.jpg",
    ]
    make(tmp_path, *names)
    assert walk(tmp_path) == sorted(names)
    assert walk(str(tmp_path)) == walk(tmp_path)


def test_extensions_are_a_tuple_without_regard_to_case(tmp_path):
    """The walk-through's ``("jpg")`` is a string: its loop asked for *.j, *.p, *.g: nothing."""
    assert isinstance(EXTENSIONS, tuple)
    assert {
        ".jpg",
        ".jpeg",
        ".png",
        ".webp",
        ".tif",
        ".tiff",
        ".bmp",
        ".ppm",
        ".pgm",
        ".gif",
    } <= set(EXTENSIONS)
    assert all(e == e.lower() and e.startswith(".") for e in EXTENSIONS)
    make(tmp_path, "a.JPG", "b.Jpeg", "c.TIFF", "d.txt", "e", "jpg", "f.jpg.part", "g.j")
    assert walk(tmp_path) == ["a.JPG", "b.Jpeg", "c.TIFF"]
    assert walk(tmp_path, extensions=".jpg") == ["a.JPG"]
    assert walk(tmp_path, extensions=(".TXT",)) == ["d.txt"]


def test_nothing_found(tmp_path):
    assert walk(tmp_path) == []


def test_odd_names(tmp_path):
    names = [
        "with space.jpg",
        "new\nline.jpg",
        "tab\t.jpg",
        "-dash.jpg",
        "a\\b.jpg",
        "'q\".jpg",
        "🙂.jpg",
        "x/ .jpg",
    ]
    make(tmp_path, *names)
    found = walk(tmp_path)
    assert found == sorted(names)
    assert all((tmp_path / f).is_file() for f in found)


def test_unicode_forms_are_two_pictures(tmp_path):
    composed, split = (unicodedata.normalize(form, "é.jpg") for form in ("NFC", "NFD"))
    make(tmp_path, composed, split)
    if len(os.listdir(tmp_path)) == 1:
        pytest.skip("this file system takes both forms for one name")
    assert walk(tmp_path) == [split, composed]


def test_equal_names_in_two_folders(tmp_path):
    make(tmp_path, "a/1.jpg", "b/1.jpg", "1.jpg")
    assert walk(tmp_path) == ["1.jpg", "a/1.jpg", "b/1.jpg"]


def test_hidden_and_collections_are_left_out(tmp_path):
    make(
        tmp_path, "a.jpg", ".hidden.jpg", "._a.jpg", ".git/b.jpg", "photos.cbir/c.jpg",
        "x/Y.CBIR/d.jpg", "z.cbir.jpg",
    )  # fmt: skip
    found = scan(tmp_path)
    assert found.paths == ["a.jpg", "z.cbir.jpg"]
    assert found.skipped == []


def test_undecodable_names_are_found(tmp_path):
    make(tmp_path, "good.jpg")
    folder = os.fsencode(tmp_path)
    os.mkdir(folder + b"/folder\xfe")
    for name in (b"/bad\xff.jpg", b"/bad\xff.txt", b"/folder\xfe/inside.jpg"):
        with open(folder + name, "wb"):
            pass
    found = [os.fsencode(path) for path in walk(tmp_path)]
    assert found == [b"bad\xff.jpg", b"folder\xfe/inside.jpg", b"good.jpg"]


def test_pipes_are_left_out_and_said(tmp_path, caplog):
    make(tmp_path, "good.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link.jpg").symlink_to("pipe.jpg")
    found = scan(tmp_path)
    assert found.paths == ["good.jpg"]
    assert [name for name, _ in found.skipped] == ["link.jpg", "pipe.jpg"]
    with caplog.at_level(logging.WARNING, "cbir"):
        assert walk(tmp_path) == ["good.jpg"]
    assert "pipe.jpg: no regular file" in caplog.text


def test_symlink_loops_end(tmp_path):
    make(tmp_path, "a/1.jpg")
    (tmp_path / "a/up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "a/self").symlink_to(tmp_path / "a", target_is_directory=True)
    (tmp_path / "me").symlink_to("me")
    (tmp_path / "me.jpg").symlink_to("me.jpg")
    assert walk(tmp_path) == ["a/1.jpg", "me.jpg"]


def test_links_to_folders_elsewhere(tmp_path):
    make(tmp_path, "other/1.jpg", "root/2.jpg")
    root = tmp_path / "root"
    for name in ("z", "a", "m/deep"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).symlink_to(tmp_path / "other", target_is_directory=True)
    assert walk(root) == ["2.jpg", "a/1.jpg"]  # once, by the smallest path


def test_a_path_without_links_wins(tmp_path):
    make(tmp_path, "z/1.jpg")
    (tmp_path / "a").symlink_to("z", target_is_directory=True)
    assert walk(tmp_path) == ["z/1.jpg"]


def test_a_link_to_what_holds_the_root(tmp_path):
    make(tmp_path, "root/1.jpg", "root/a/2.jpg", "beside/3.jpg")
    (tmp_path / "root/up").symlink_to("..", target_is_directory=True)
    assert walk(tmp_path / "root") == ["1.jpg", "a/2.jpg", "up/beside/3.jpg"]


def test_a_link_to_nothing_may_have_led_to_a_folder(tmp_path):
    for name in ("album", "album.jpg"):
        (tmp_path / name).symlink_to(tmp_path / "disk")
    found = scan(tmp_path)
    assert found.paths == ["album.jpg"]
    assert [path for path, _ in found.unreachable] == ["album", "album.jpg"]


def test_links_that_fan_out_do_not_explode(tmp_path):
    for level in range(12):
        folder = tmp_path / f"{level:02d}"
        make(folder, "p.jpg")
        if level < 11:
            for name in ("l", "r"):
                (folder / name).symlink_to(tmp_path / f"{level + 1:02d}", target_is_directory=True)
    assert len(walk(tmp_path)) == 12
    assert len(walk(tmp_path / "00")) == 12  # by every way: 4,095


def test_links_to_files(tmp_path):
    make(tmp_path, "a.jpg")
    (tmp_path / "b.jpg").symlink_to("a.jpg")
    (tmp_path / "broken.jpg").symlink_to("nowhere.jpg")
    # The broken one is found, so that a build can say what is wrong with it.
    assert walk(tmp_path) == ["a.jpg", "b.jpg", "broken.jpg"]


def test_root_may_be_a_link(tmp_path):
    make(tmp_path, "real/a.jpg")
    (tmp_path / "link").symlink_to("real", target_is_directory=True)
    assert walk(tmp_path / "link") == ["a.jpg"]


def test_folder_that_may_not_be_listed(tmp_path, monkeypatch):
    make(tmp_path, "a.jpg", "locked/b.jpg")
    plain = os.scandir

    def scandir(path):
        if os.fspath(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return plain(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = scan(tmp_path)
    assert found.paths == ["a.jpg"]
    assert found.skipped == [("locked", "the folder can't be listed (Permission denied)")]


def test_wrong_roots(tmp_path):
    make(tmp_path, "a.jpg")
    with pytest.raises(ImageError, match=r"a\.jpg is a file, expected a folder"):
        walk(tmp_path / "a.jpg")
    with pytest.raises(ImageError, match="nowhere does not exist"):
        walk(tmp_path / "nowhere")
    with pytest.raises(ImageError, match="can't be listed"):
        walk("a\0b")
