"""The catalogue: round trip, same bytes, cut and altered files."""

import pytest

from cbir.errors import FormatError
from cbir.store import Catalogue, ImageRow


def row(i, **changes):
    values = {
        "id": i,
        "path": f"a/ü {i}\n.jpg",
        "hash": "ff" * 32,
        "bytes": 10,
        "mtime_ns": 1_700_000_000_123_456_789,
        "width": 3,
        "height": 4,
        "label": None,
        "state": "ok",
        "error": None,
        "part": 1,
    }
    return ImageRow(**{**values, **changes})


@pytest.fixture
def catalogue():
    rows = [row(0), row(1, state="failed", error="broken"), row(2, state="removed", label="x")]
    made = Catalogue(generation=3, next_id=3, n_parts=1, facts={"image_root": "/a"})
    made.put(rows)
    return made


def test_round_trip_and_same_bytes(catalogue, tmp_path):
    catalogue.write(tmp_path / "a")
    assert Catalogue.read(tmp_path / "a") == catalogue
    other = Catalogue(generation=3, next_id=3, n_parts=1, facts={"image_root": "/a"})
    other.put(catalogue.rows[i] for i in (2, 0, 1))
    other.write(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert set(catalogue.present()) == {row(0).path, row(1).path}


def test_cut_and_altered(catalogue, tmp_path):
    path = tmp_path / "c.sqlite"
    catalogue.write(path)
    whole = path.read_bytes()
    for n in [0, 1, 15, 100, 1000, 4096, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:n])
        with pytest.raises(FormatError, match=r"c\.sqlite"):
            Catalogue.read(path)
    for old, new in [(b"broken", b"brokem"), (b"removed", b"removee"), (b"/a", b"/b")]:
        assert old in whole
        path.write_bytes(whole.replace(old, new))
        with pytest.raises(FormatError, match=r"c\.sqlite"):
            Catalogue.read(path)
    path.unlink()
    with pytest.raises(FormatError, match="cannot be read"):
        Catalogue.read(path)


def test_lying_row(catalogue, tmp_path):
    catalogue.put([row(7)])  # beyond next_id
    catalogue.write(tmp_path / "c")
    with pytest.raises(FormatError, match="image 7"):
        Catalogue.read(tmp_path / "c")
