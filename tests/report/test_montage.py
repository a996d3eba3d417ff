"""Montage: where things are, which colours they have, that nothing is stretched."""

import numpy as np
import pytest
from PIL import ImageFont

from cbir.errors import DimensionError, DTypeError, ParameterError
from cbir.report import montage
from cbir.report.montage import BLUE, GREEN, GREY, RED, TILE, ellipsis
from cbir.report.thumbnails import PLACEHOLDER

YELLOW = (250, 220, 40)
GAP, SIDE = 14, 200  # the default tile


def picture(width=320, height=240, colour=YELLOW):
    return np.full((height, width, 3), colour, np.uint8)


def corner(at, columns=4, strip=0):
    """Top-left pixel of tile number `at`."""
    return GAP + at % columns * (SIDE + GAP), GAP + at // columns * (SIDE + strip + GAP)


def test_four_by_three_with_frames_by_truth():
    truth = [True, False, None] + [True] * 8
    m = montage(picture(), [picture()] * 11, truth=truth)
    assert m.size == (4 * SIDE + 5 * GAP, 3 * SIDE + 4 * GAP)
    assert m.mode == "RGB"
    for at, colour in enumerate([BLUE, GREEN, RED, GREY, *[GREEN] * 8]):
        x, y = corner(at)
        far = SIDE - 1  # the badge covers the near corner
        for dx, dy in ((far, 0), (0, far), (far, far), (far // 2, far), (far, far // 2)):
            assert m.getpixel((x + dx, y + dy)) == colour, (at, dx, dy)
        assert m.getpixel((x - 2, y + far // 2)) == (255, 255, 255)


def test_the_query_frame_is_wider():
    m = montage(picture(200, 200), [picture(200, 200)], truth=[True])
    x, y = corner(0)
    row = [m.getpixel((x + SIDE - 1 - d, y + 100)) for d in range(12)]
    x, y = corner(1)
    other = [m.getpixel((x + SIDE - 1 - d, y + 100)) for d in range(12)]
    assert row.count(BLUE) > other.count(GREEN) >= 3


@pytest.mark.parametrize(("width", "height"), [(320, 240), (240, 320), (1000, 50), (7, 500)])
def test_letterboxed_and_not_stretched(width, height):
    m = np.asarray(montage(picture(), [picture(width, height)], truth=[True]))
    x, y = corner(1)
    tile = m[y : y + SIDE, x : x + SIDE].astype(int)
    body = tile[30:]  # below the badge
    inside = (np.abs(tile - YELLOW) < 12).all(-1)
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    shown_w, shown_h = columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1
    if min(width, height) >= 50 and height != 50:
        assert shown_w / shown_h == pytest.approx(width / height, rel=0.03)
    assert max(shown_w, shown_h) <= SIDE - 12
    if width != height:
        assert (body == TILE).all(-1).any()


def test_rows_grow_and_shrink():
    assert montage(picture(), []).size == (SIDE + 2 * GAP, SIDE + 2 * GAP)
    assert montage(picture(), [picture()] * 2).size[0] == 3 * SIDE + 4 * GAP
    m = montage(picture(), [picture()] * 12)
    assert m.size[1] == 4 * SIDE + 5 * GAP
    assert montage(picture(), [picture()] * 5, columns=2, tile=100).size[0] == 200 + 3 * 7


def test_captions_add_a_strip_with_ink_in_it():
    plain = montage(picture(), [picture()])
    m = montage(picture(), [picture()], captions=[("a.jpg", "0.93")], query_caption="q.jpg")
    strip = m.size[1] - plain.size[1]
    assert strip > 20
    pixels = np.asarray(m.convert("L"))[GAP + SIDE : GAP + SIDE + strip]
    assert (pixels < 100).any()
    assert (pixels[:, : GAP - 1] == 255).all()


def test_long_names_are_cut_in_the_middle():
    font = ImageFont.load_default(14)
    name = "a/very/long/folder/name/" * 8 + "ukbench00042.jpg"
    cut = ellipsis(name, font, 190)
    assert font.getlength(cut) <= 190
    assert cut.startswith("a/very") and cut.endswith("00042.jpg") and "..." in cut
    assert ellipsis("short.jpg", font, 190) == "short.jpg"
    assert ellipsis("x" * 500, font, 0) == "..."
    assert ellipsis("two\nlines\x00", font, 190) == "two·lines·"


def test_strided_and_read_only_pictures():
    strided = np.repeat(picture(), 2, axis=1)[:, ::2]
    read_only = picture()
    read_only.setflags(write=False)
    m = montage(strided, [read_only, np.asfortranarray(picture())], columns=3)
    for at in range(3):
        x, y = corner(at, columns=3)
        assert m.getpixel((x + 100, y + 100)) == YELLOW


def test_unreadable_pictures_become_tiles():
    m = montage(None, [None, picture()], columns=5, truth=[False] * 2)
    x, y = corner(1, columns=5)
    assert m.getpixel((x + SIDE - 1, y + 100)) == RED
    assert m.getpixel((x + 40, y + 100)) == PLACEHOLDER
    x, y = corner(0, columns=5)
    assert m.getpixel((x + 40, y + 100)) == PLACEHOLDER


def test_same_in_same_out():
    arguments = {"truth": [True] * 3, "captions": ["a", "b", "c"]}
    first = montage(picture(), [picture()] * 3, **arguments)
    assert first.tobytes() == montage(picture(), [picture()] * 3, **arguments).tobytes()


def test_bad_arguments():
    with pytest.raises(DimensionError, match="2 in truth for 1 results"):
        montage(picture(), [picture()], truth=[True, True])
    with pytest.raises(DimensionError, match="0 in captions for 1 results"):
        montage(picture(), [picture()], captions=[])
    with pytest.raises(ParameterError, match="columns=0"):
        montage(picture(), [], columns=0)
    with pytest.raises(ParameterError, match="tile=10"):
        montage(picture(), [], tile=10)
    with pytest.raises(DTypeError, match="float64"):
        montage(np.zeros((4, 4, 3)), [])
    with pytest.raises(DimensionError, match=r"\(H, W, 3\)"):
        montage(np.zeros((4, 4), np.uint8), [])
