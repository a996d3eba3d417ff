"""Bad files: each gives `ImageError`, names the file, says what was found and how to mend it."""

# Names as bytes and os calls are what is tested.

import os
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from cbir.errors import ImageError
from cbir.images import decode
from tests.images.pictures import encoded, exif, noise, smooth

WHOLE = {
    "jpeg": encoded(smooth(), "JPEG", exif=exif(6)),
    "progressive": encoded(smooth(), "JPEG", progressive=True),
    "cmyk": encoded(Image.fromarray(smooth()).convert("CMYK"), "JPEG"),
    "png": encoded(smooth(), "PNG", exif=exif(6)),
    "png16": encoded(np.arange(600, dtype=np.uint16).reshape(20, 30) * 100, "PNG"),
    "palette": encoded(Image.fromarray(noise()).quantize(50), "PNG", transparency=3),
    "webp": encoded(smooth(), "WEBP"),
    "tiff": encoded(smooth(), "TIFF"),
    "tiff-lzw": encoded(smooth(), "TIFF", compression="tiff_lzw"),
    "tiff-float": encoded(np.linspace(0, 9, 600, dtype=np.float32).reshape(20, 30), "TIFF"),
    "bmp": encoded(noise(), "BMP"),
    "ppm": encoded(noise(), "PPM"),
    "gif": encoded(Image.fromarray(noise()).quantize(50), "GIF"),
}


def refused(path, message):
    with pytest.raises(ImageError, match=message) as caught:
        decode(path)
    text = str(caught.value)
    assert os.path.basename(os.fspath(path)) in text
    assert "\n" not in text
    return text


def test_empty(tmp_path):
    path = tmp_path / "empty.jpg"
    path.touch()
    refused(path, r"is empty \(0 bytes\); copy it again or delete it")
    with pytest.raises(ImageError, match="empty"):
        decode(b"")


def test_zero_bytes(tmp_path):
    path = tmp_path / "zeros.jpg"
    path.write_bytes(bytes(5000))
    refused(path, "zero bytes")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"hello, this is not a picture\n" * 50, "no image"),
        (b"%PDF-1.7\n", "a PDF document"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00", "a HEIC photograph"),
        (b"\n<svg xmlns='x'/>", "an SVG drawing"),
        (b"<!DOCTYPE html><p>404", "a web page"),
        (b"PK\x03\x04....", "a zip archive"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "a PostScript file"),
        (b"x", "no image"),
        (b"\xff\xd8", "no image|damaged|truncated"),
        (b"\x89PNG\r\n\x1a\n", "no image|damaged|truncated"),
    ],
)
def test_not_an_image(tmp_path, content, what):
    path = tmp_path / "picture.jpg"
    path.write_bytes(content)
    refused(path, what)


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9])
def test_truncated(tmp_path, kind, share):
    data = WHOLE[kind]
    path = tmp_path / "cut.jpg"
    path.write_bytes(data[: max(3, int(len(data) * share))])
    refused(path, "truncated|damaged|no image|no pixels")


@pytest.mark.parametrize("kind", WHOLE)
def test_cut_at_any_byte(kind):
    data = WHOLE[kind]
    for n in range(1, len(data), max(1, len(data) // 150)):
        try:
            image = decode(data[:n])
        except ImageError:
            continue
        # Only what the picture does not need may be missing (end markers, checksums, later chunks).
        np.testing.assert_array_equal(image.shape, decode(data).shape)


def test_missing(tmp_path):
    refused(tmp_path / "nowhere.jpg", "does not exist; check the path")
    link = tmp_path / "link.jpg"
    link.symlink_to(tmp_path / "nowhere.jpg")
    refused(link, "symbolic link to nothing")
    loop = tmp_path / "loop.jpg"
    loop.symlink_to(loop)
    refused(loop, "can't be opened")


def test_folder(tmp_path):
    refused(tmp_path, "is a folder")


def test_pipe_does_not_block(tmp_path):
    path = tmp_path / "pipe.jpg"
    os.mkfifo(path)
    refused(path, "no regular file")


def test_no_permission(tmp_path, monkeypatch):
    path = tmp_path / "secret.jpg"
    path.write_bytes(WHOLE["jpeg"])
    path.chmod(0)
    if os.access(path, os.R_OK):  # root reads everything
        monkeypatch.setattr("builtins.open", _refuse)
    refused(path, r"permission denied\); chmod \+r")


def _refuse(path, *_):
    raise PermissionError(13, "Permission denied", path)


def test_names_no_file_can_have():
    with pytest.raises(ImageError, match="can't be opened"):
        decode("a\0b.jpg")
    with pytest.raises(ImageError, match=r"can't be opened|does not exist"):
        decode("\ud800.jpg")


def test_odd_names_stay_on_one_line(tmp_path):
    path = tmp_path / "two\nlines.jpg"
    path.write_bytes(b"")
    with pytest.raises(ImageError, match=r"two\\nlines\.jpg"):
        decode(path)
    undecodable = os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.jpg")
    with open(undecodable, "wb"):
        pass
    with pytest.raises(ImageError) as caught:
        decode(undecodable)
    str(caught.value).encode("utf-8")  # can be logged and stored


def test_out_of_memory(monkeypatch):
    def fail(self):
        raise MemoryError

    monkeypatch.setattr(Image.Image, "load", fail)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", fail)
    with pytest.raises(ImageError, match="more memory than there is"):
        decode(WHOLE["png"])


def attempt(data):
    """Decode, allow nothing but a picture or ImageError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = decode(data, max_pixels=1_000_000)
        except ImageError as error:
            str(error).encode("utf-8")
            return
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3
    assert image.size > 0


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    kind=st.sampled_from(sorted(WHOLE)),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=12),
    head=st.booleans(),
    cut=st.floats(0.3, 1),
)
def test_changed_bytes(kind, changes, head, cut):
    data = bytearray(WHOLE[kind])
    for place, value in changes:
        # Headers decide most; half of the examples only touch them.
        data[int(place * (min(len(data), 200) - 1 if head else len(data) - 1))] = value
    attempt(bytes(data[: int(len(data) * cut)]))


@settings(max_examples=200, deadline=None)
@given(
    start=st.sampled_from(sorted(WHOLE)),
    length=st.integers(0, 40),
    rest=st.binary(max_size=300),
)
def test_a_true_beginning_and_rubbish(start, length, rest):
    attempt(WHOLE[start][:length] + rest)


@settings(max_examples=100, deadline=None)
@given(
    kind=st.sampled_from(sorted(WHOLE)),
    at=st.floats(0, 1),
    span=st.integers(1, 60),
    repeat=st.integers(0, 3),
)
def test_pieces_removed_or_repeated(kind, at, span, repeat):
    data = WHOLE[kind]
    i = int(at * len(data))
    attempt(data[:i] + data[i : i + span] * repeat + data[i + span :])
