"""A build among bad files: every one is skipped with its reason, and none stops it."""

import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from cbir.collection import Collection
from cbir.errors import ImageError
from cbir.recipe import Recipe
from tests.images.pictures import STORED, encoded, exif, noise, smooth

WHOLE = encoded(smooth(), "JPEG")


def bomb():
    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 64))
        + chunk(b"IEND", b"")
    )


BAD = {
    "bomb.png": (bomb(), "too large"),
    "empty.jpg": (b"", "empty"),
    "heic.jpg": (b"\x00\x00\x00\x18ftypheic", "HEIC"),
    "nan.tif": (encoded(np.full((9, 9), np.nan, np.float32), "TIFF"), "NaN"),
    "text.jpg": (b"hello" * 99, "no image"),
    "truncated.jpg": (WHOLE[: len(WHOLE) // 2], "truncated"),
    "zeros.jpg": (bytes(999), "zero bytes"),
}


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "photos"
    root.mkdir()
    for name, (content, _) in BAD.items():
        (root / name).write_bytes(content)
    (root / "broken-link.jpg").symlink_to("nowhere.jpg")
    with open(os.fsencode(root) + b"/name\xff.jpg", "wb") as file:
        file.write(WHOLE)
    os.mkfifo(root / "pipe.jpg")
    return root


@pytest.mark.parametrize("n_threads", [1, 3])
def test_each_bad_file_is_skipped_with_its_reason(folder, tmp_path, n_threads):
    (folder / "good.jpg").write_bytes(WHOLE)
    (folder / "wrong-extension.gif").write_bytes(WHOLE)
    out = tmp_path / "out.cbir"
    report = Collection.build(folder, out, Recipe.load("colour"), n_threads=n_threads)
    failed = dict(report.failed)
    for name, (_, reason) in BAD.items():
        assert reason in failed.pop(name)
    assert "broken-link.jpg" in failed
    assert sum("UTF-8" in reason for reason in failed.values()) == 1
    assert len(failed) == 2
    assert report.indexed == 2
    assert report.seen == 2 + len(BAD) + 2
    report.to_json().encode("utf-8")
    collection = Collection.open(out)
    assert collection.paths(collection.search(folder / "good.jpg", 2).I[0]) == [
        "good.jpg",
        "wrong-extension.gif",
    ]


def test_nothing_but_bad_files(folder, tmp_path):
    with pytest.raises(ImageError, match="none of the 9 pictures could be used"):
        Collection.build(folder, tmp_path / "out.cbir", Recipe.load("colour"))


def test_strict_stops_at_the_first(folder, tmp_path):
    (folder / "good.jpg").write_bytes(WHOLE)
    with pytest.raises(ImageError):
        Collection.build(folder, tmp_path / "out.cbir", Recipe.load("colour"), strict=True)


def test_turned_copies_rank_as_equals(tmp_path):
    """EXIF 1-8 of one picture: eight equal vectors, so ties, so the order of ids."""
    root = tmp_path / "photos"
    root.mkdir()
    for k, store in STORED.items():
        data = encoded(np.ascontiguousarray(store(smooth())), "PNG", exif=exif(k))
        (root / f"{k}.png").write_bytes(data)
    Image.fromarray(noise()).save(root / "9-other.png")
    collection = Collection.open(_built(root, tmp_path / "out.cbir"))
    result = collection.search(smooth(), 9)
    assert result.I[0].tolist() == list(collection.ids)
    assert len(set(result.D[0, :8].tolist())) == 1


def test_extreme_shapes_and_modes_are_indexed(tmp_path):
    root = tmp_path / "photos"
    root.mkdir()
    for name, picture in {
        "dot.png": noise(1, 1),
        "line.png": noise(1, 10_000),
        "column.png": noise(10_000, 1, seed=1),
        "blank.png": np.zeros((50, 60, 3), np.uint8),
    }.items():
        Image.fromarray(picture).save(root / name)
    (root / "cmyk.jpg").write_bytes(encoded(Image.fromarray(smooth()).convert("CMYK"), "JPEG"))
    collection = Collection.open(_built(root, tmp_path / "out.cbir"))
    assert collection.ntotal == 5
    for path in sorted(root.iterdir()):
        assert collection.paths(collection.search(path, 1).I[0]) == [path.name]


def _built(root, out):
    report = Collection.build(root, out, Recipe.load("colour"))
    assert not report.failed
    return out
