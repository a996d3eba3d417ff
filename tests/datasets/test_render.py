import cv2
import numpy as np
import pytest

from cbir.datasets import check, render
from cbir.datasets.render_scene import Atlas, Scene, Solid, look_at, trace
from cbir.errors import ParameterError, StorageError


def files(folder):
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}


def test_same_seed_same_bytes_for_any_number_of_threads(tmp_path):
    paths = render(tmp_path / "a", 3, seed=7, size=(96, 72), n_threads=1)
    render(tmp_path / "b", 3, seed=7, size=(96, 72), n_threads=4)
    assert [p.name for p in paths] == [f"ukbench{n:05d}.jpg" for n in range(12)]
    assert files(tmp_path / "a") == files(tmp_path / "b")
    render(tmp_path / "c", 2, seed=7, size=(96, 72))
    assert files(tmp_path / "c").items() < files(tmp_path / "a").items(), (
        "a small set begins the large"
    )
    render(tmp_path / "d", 3, seed=8, size=(96, 72))
    assert not set(files(tmp_path / "d").values()) & set(files(tmp_path / "a").values())
    assert check("ukbench", tmp_path / "a").ok


@pytest.mark.parametrize("size", [(32, 32), (161, 97), (60, 200)])
def test_any_size(tmp_path, size):
    for path in render(tmp_path, 2, size=size):
        image = cv2.imread(str(path))
        assert image.shape == (size[1], size[0], 3)
        assert image.std() > 8, "a picture of something"


def test_views_and_progress(tmp_path):
    seen = []
    paths = render(tmp_path, 2, size=(64, 48), views=2, progress=lambda *a: seen.append(a))
    assert len(paths) == 4 and seen == [(1, 2), (2, 2)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_objects": 0}, "n_objects=0"),
        ({"n_objects": 1, "views": 0}, "views=0"),
        ({"n_objects": 1, "size": (8, 8)}, r"size=\(8, 8\)"),
        ({"n_objects": 1, "seed": -1}, "seed=-1"),
    ],
)
def test_refuses(tmp_path, arguments, message):
    with pytest.raises(ParameterError, match=message):
        render(tmp_path, **arguments)


def test_a_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="file"):
        render(tmp_path / "file", 1, size=(64, 48))


def test_views_share_what_the_object_looks_like(tmp_path):
    # Matching SIFT with the ratio test: views of one object have more in common than views of two.
    paths = render(tmp_path, 6, seed=1)
    sift = cv2.SIFT_create(contrastThreshold=0.02, nfeatures=1000)
    found = [sift.detectAndCompute(cv2.imread(str(p), 0), None)[1] for p in paths]

    def matches(i, j):
        pairs = cv2.BFMatcher().knnMatch(found[i], found[j], 2)
        return sum(m.distance < 0.75 * n.distance for m, n in pairs)

    same = np.mean([matches(4 * i, 4 * i + 1) for i in range(6)])
    other = np.mean([matches(4 * i, (4 * i + 4) % 24) for i in range(6)])
    assert same > 2 * other


def colour(*rgb):
    return np.full((8, 8, 3), rgb, np.uint8)


@pytest.mark.parametrize("kind", ["box", "ellipsoid", "frustum"])
def test_solids_lie_where_the_camera_model_says(kind):
    room = Solid(
        "box",
        np.array([0, 4, 0], np.float32),
        np.array([9, 4, 9], np.float32),
        np.eye(3, dtype=np.float32),
        Atlas.of([colour(0, 0, 0)] * 2),
        gloss=0,
    )
    thing = Solid(
        kind,
        np.array([0, 0.5, 0], np.float32),
        np.array([0.5, 0.5, 0.5], np.float32),
        np.eye(3, dtype=np.float32),
        Atlas.of([colour(255, 0, 0)] * 3),
        gloss=0,
    )
    lamp = np.array([0, 0.6, 0.8], np.float32)
    camera = look_at(np.array([0, 0.5, 4.5]), np.array([0, 0.5, 0]), 0.0, 1.0)
    image = trace(Scene([thing], room, lamp), camera, 180, 120)
    seen = image[:, :, 0] > 0.05
    # Front plane of the box at depth 4: half width 0.5 / 4 * 180 = 22.5 pixels. The round ones are
    # seen a little smaller: the tangent of a circle, r / sqrt(c^2 - r^2) = 0.1118 for r 0.5, c 4.5.
    expected = 22.5 if kind == "box" else 0.1118 * 180
    columns = np.flatnonzero(seen[60])
    assert abs(len(columns) / 2 - expected) <= 1
    assert abs(columns.mean() - 89.5) <= 0.5
    assert not seen[:, :60].any()
