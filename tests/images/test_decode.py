"""Formats, frames, limits and arguments of `decode`. Modes, EXIF, damage: files of their own."""

# Names as bytes and os calls are what is tested.

import contextlib
import io
import os
import warnings

import numpy as np
import pytest
from PIL import Image

from cbir.errors import ImageError, ParameterError
from cbir.images import decode
from tests.images.pictures import encoded, noise, smooth


@pytest.mark.parametrize(
    ("fmt", "options"),
    [
        ("PNG", {}),
        ("PNG", {"optimize": True}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_adobe_deflate"}),
        ("BMP", {}),
        ("PPM", {}),
    ],
)
def test_lossless_formats_give_the_pixels(fmt, options):
    np.testing.assert_array_equal(decode(encoded(noise(), fmt, **options)), noise())


@pytest.mark.parametrize("fmt", ["JPEG", "WEBP"])
@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (48, 64)])
def test_lossy_formats(fmt, size):
    picture = smooth(*size)
    image = decode(encoded(picture, fmt, quality=95))
    assert image.shape == picture.shape
    assert image.dtype == np.uint8
    assert np.abs(image.astype(int) - picture).mean() < 6


@pytest.mark.parametrize("options", [{"progressive": True}, {"subsampling": 0}, {"optimize": True}])
def test_kinds_of_jpeg(options):
    image = decode(encoded(smooth(), "JPEG", quality=95, **options))
    assert np.abs(image.astype(int) - smooth()).mean() < 3


def test_path_str_path_and_bytes_agree(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encoded(noise(), "PNG"))
    for source in (path, str(path), path.read_bytes(), bytearray(path.read_bytes())):
        np.testing.assert_array_equal(decode(source), noise())


@pytest.mark.parametrize("fmt", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_frame_of_many(fmt):
    # Palettes keep two plain colours exactly, so GIF can be compared too.
    frames = [Image.new("RGB", (8, 6), c) for c in ((200, 0, 0), (0, 200, 0), (0, 0, 200))]
    options = {"lossless": True} if fmt == "WEBP" else {}
    data = encoded(frames[0], fmt, save_all=True, append_images=frames[1:], **options)
    with Image.open(io.BytesIO(data)) as picture:
        assert picture.n_frames == 3
    image = decode(data)
    assert image.shape == (6, 8, 3)
    assert (image == (200, 0, 0)).all()


def test_many_pictures_in_one_jpeg():
    data = encoded(smooth(), "MPO", save_all=True, append_images=[Image.fromarray(noise(48, 64))])
    assert np.abs(decode(data).astype(int) - smooth()).mean() < 6


@pytest.mark.parametrize("name", ["picture.txt", "picture.jpg", "picture", "picture.png.exe"])
def test_content_decides_not_the_extension(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(encoded(noise(), "BMP"))
    np.testing.assert_array_equal(decode(path), noise())


def test_colour_profile_is_left_alone():
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    np.testing.assert_array_equal(decode(encoded(noise(), "PNG", icc_profile=profile)), noise())


@pytest.mark.parametrize("size", [(1, 1), (1, 10_000), (10_000, 1)])
def test_extreme_shapes(size):
    picture = noise(*size)
    np.testing.assert_array_equal(decode(encoded(picture, "PNG")), picture)
    small = decode(encoded(picture, "PNG"), max_side=100)
    assert small.shape == (min(size[0], 100), min(size[1], 100), 3)


def test_max_side():
    data = encoded(noise(40, 60), "PNG")
    assert decode(data, max_side=60).shape == (40, 60, 3)
    assert decode(data, max_side=1000).shape == (40, 60, 3)
    blocks = noise(40, 60).reshape(20, 2, 30, 2, 3).mean((1, 3))
    # A mean of four whole numbers may end in .5: half a unit either way.
    assert np.abs(decode(data, max_side=30) - blocks).max() <= 0.5


def test_max_pixels_is_held_before_decoding(monkeypatch):
    data = encoded(noise(10, 20), "PNG")
    assert decode(data, max_pixels=200).shape == (10, 20, 3)
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(ImageError, match=r"20 x 10 = 200 pixels, the limit is 199.*max_pixels"):
        decode(data, max_pixels=199)


def bomb(width, height):
    """A PNG of 70 bytes that says it is as large as that."""
    import struct
    import zlib

    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 64))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("size", [(60_000, 60_000), (2**31 - 1, 2**31 - 1), (2**31 - 1, 1)])
def test_decompression_bomb(size):
    with pytest.raises(ImageError, match=r"too large|pixels|damaged"):
        decode(bomb(*size))


def test_bomb_below_pillows_own_limit():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with pytest.raises(ImageError, match="the limit is 1,000,000"):
            decode(bomb(12_000, 12_000), max_pixels=1_000_000)


def test_bomb_warning_turned_into_an_error_is_an_image_error():
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with pytest.raises(ImageError, match="too large"):
            decode(bomb(12_000, 12_000))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_side": -1}, "max_side=-1"),
        ({"max_side": 2.5}, "max_side=2.5"),
        ({"max_pixels": 0}, "max_pixels=0"),
        ({"background": (0, 0)}, "background"),
        ({"background": (0, 0, 256)}, "background=256"),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(ParameterError, match=message):
        decode(encoded(noise(), "PNG"), **options)


def test_wrong_source():
    with pytest.raises(ParameterError, match="source is a int"):
        decode(3)


def test_file_is_closed(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(encoded(noise(), "TIFF"))
    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("needs /proc")
    for data in (encoded(noise(), "TIFF"), b"nothing", encoded(noise(), "TIFF")[:200]):
        path.write_bytes(data)
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            with contextlib.suppress(ImageError):
                decode(path)
        assert len(os.listdir("/proc/self/fd")) == before


def test_threads_agree(cbir_data):
    from concurrent.futures import ThreadPoolExecutor

    paths = sorted((cbir_data / "ukbench1000/images").glob("*.jpg"))[:40]
    with ThreadPoolExecutor(4) as pool:
        for path, image in zip(paths, pool.map(decode, paths), strict=True):
            np.testing.assert_array_equal(image, decode(path))
