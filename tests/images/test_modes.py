"""Every pixel mode becomes RGB by the rule `cbir/images/_modes.py` declares."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from cbir.errors import ImageError
from cbir.images import decode
from tests.images.pictures import encoded, noise, smooth


def gray(values):
    return np.repeat(np.asarray(values)[..., None], 3, axis=2)


@pytest.mark.parametrize("fmt", ["PNG", "TIFF", "BMP", "PPM"])
def test_gray(fmt):
    values = noise()[..., 0]
    np.testing.assert_array_equal(decode(encoded(values, fmt)), gray(values))


@pytest.mark.parametrize("fmt", ["PNG", "TIFF", "BMP", "PPM"])
def test_one_bit(fmt):
    values = noise()[..., 0] > 127
    image = decode(encoded(Image.fromarray(values), fmt))
    np.testing.assert_array_equal(image, gray(values * np.uint8(255)))


@pytest.mark.parametrize("fmt", ["PNG", "TIFF", "BMP", "GIF"])
def test_palette(fmt):
    picture = Image.fromarray(noise()).quantize(200)
    expected = np.asarray(picture.convert("RGB"))
    np.testing.assert_array_equal(decode(encoded(picture, fmt)), expected)


@pytest.mark.parametrize("fmt", ["PNG", "GIF"])
def test_palette_with_a_transparent_colour(fmt):
    indices = np.arange(6, dtype=np.uint8).reshape(2, 3) % 3
    picture = Image.frombytes("P", (3, 2), indices.tobytes())
    picture.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image = decode(encoded(picture, fmt, transparency=1), background=(1, 2, 3))
    expected = np.array([[10, 20, 30], [1, 2, 3], [70, 80, 90]], np.uint8)[indices]
    np.testing.assert_array_equal(image, expected)


def test_palette_with_an_alpha_for_each_colour():
    picture = Image.new("P", (2, 1))
    picture.putpalette([200, 0, 0, 0, 200, 0])
    picture.putdata([0, 1])
    image = decode(encoded(picture, "PNG", transparency=bytes([51, 255])), background=(0, 0, 100))
    assert image.tolist() == [[[40, 0, 80], [0, 200, 0]]]  # 51 / 255 = 1 / 5


@pytest.mark.parametrize(
    ("fmt", "options"), [("PNG", {}), ("WEBP", {"lossless": True, "exact": True}), ("TIFF", {})]
)
def test_alpha_over_the_background(fmt, options):
    rgb, alpha = noise(), noise(seed=1)[..., 0]
    data = encoded(np.dstack([rgb, alpha]), fmt, **options)
    share = alpha[..., None] / 255.0
    for background in ((255, 255, 255), (0, 0, 0), (10, 200, 90)):
        exact = rgb * share + np.array(background) * (1 - share)
        image = decode(data, background=background)
        assert np.abs(image - exact).max() <= 0.5 + 1e-9
        np.testing.assert_array_equal(image[alpha == 255], rgb[alpha == 255])
    white = decode(data)
    np.testing.assert_array_equal(white, decode(data, background=(255, 255, 255)))


def test_gray_with_alpha():
    picture = Image.merge("LA", [Image.new("L", (1, 1), 100), Image.new("L", (1, 1), 51)])
    assert decode(encoded(picture, "PNG"), background=(0, 0, 0)).tolist() == [[[20, 20, 20]]]


@pytest.mark.parametrize(
    ("mode", "colours", "key"),
    [("L", [7, 9], 7), ("RGB", [(1, 2, 3), (4, 5, 6)], (1, 2, 3)), ("1", [0, 255], 0)],
)
def test_one_colour_is_transparent(mode, colours, key):
    picture = Image.new(mode, (2, 1))
    picture.putdata(colours)
    image = decode(encoded(picture, "PNG", transparency=key), background=(90, 91, 92))
    assert image[0, 0].tolist() == [90, 91, 92]
    assert image[0, 1].tolist() == list(np.broadcast_to(colours[1], 3))


@pytest.mark.parametrize(  # only TIFF stores both byte orders
    ("fmt", "byte_order"), [("PNG", "<u2"), ("PPM", "<u2"), ("TIFF", "<u2"), ("TIFF", ">u2")]
)
def test_sixteen_bits_are_scaled_not_clipped(fmt, byte_order):
    values = np.linspace(0, 65535, 600).astype(np.uint16).reshape(20, 30)
    mode = "I;16B" if byte_order == ">u2" else "I;16"
    picture = Image.frombytes(mode, (30, 20), values.astype(byte_order).tobytes())
    image = decode(encoded(picture, fmt))
    np.testing.assert_array_equal(image, gray(np.rint(values / 257).astype(np.uint8)))
    assert len(np.unique(image)) == 256


def test_sixteen_bit_key_is_transparent():
    picture = Image.frombytes("I;16", (2, 1), np.array([1000, 65535], "<u2").tobytes())
    data = bytearray(encoded(picture, "PNG"))
    body = b"tRNS" + struct.pack(">H", 1000)
    at = data.index(b"IDAT") - 4
    data[at:at] = struct.pack(">I", 2) + body + struct.pack(">I", zlib.crc32(body))
    assert decode(bytes(data), background=(5, 6, 7)).tolist() == [[[5, 6, 7], [255, 255, 255]]]


def tiff(values, tags=()):
    """An uncompressed little-endian TIFF of a 2-D array, with tags added or replaced."""
    height, width = values.shape
    entries = {
        256: width, 257: height, 258: values.itemsize * 8, 259: 1, 262: 1, 273: 8, 277: 1,
        278: height, 279: values.nbytes,
    }  # fmt: skip
    entries.update(tags)
    out = struct.pack("<2sHI", b"II", 42, 8 + values.nbytes) + values.tobytes()
    out += struct.pack("<H", len(entries))
    for tag, value in sorted(entries.items()):
        out += struct.pack("<HHII", tag, 4 if tag in (273, 279) else 3, 1, value)
    return out + bytes(4)


def test_sixteen_bits_where_white_is_zero():
    values = np.array([[0, 32768, 65535]], "<u2")
    assert decode(tiff(values, {262: 0}))[0, :, 0].tolist() == [255, 127, 0]


@pytest.mark.parametrize("kind", ["<i4", "<i2"])
def test_integers_outside_sixteen_bits_are_stretched(kind):
    values = np.array([[-1000, 0, 1000]], kind)
    assert decode(tiff(values, {339: 2}))[0, :, 0].tolist() == [0, 128, 255]


def test_integers_inside_sixteen_bits():
    picture = Image.new("I", (3, 1))
    picture.putdata([0, 257, 65535])
    assert decode(encoded(picture, "TIFF"))[0, :, 0].tolist() == [0, 1, 255]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.0, 0.2, 1.0], [0, 51, 255]),
        ([0.0, 0.0, 0.0], [0, 0, 0]),
        ([0.0, 100.4, 255.0], [0, 100, 255]),
        ([-2.0, 0.0, 2.0], [0, 128, 255]),
        ([0.0, 500.0, 1000.0], [0, 128, 255]),
        ([-5.0, -5.0, -5.0], [0, 0, 0]),
        ([-3.4e38, 0.0, 3.4e38], [0, 128, 255]),
    ],
)
def test_floats(values, expected):
    data = encoded(np.array([values], np.float32), "TIFF")
    assert decode(data)[0, :, 0].tolist() == expected


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_floats_that_are_no_numbers(value):
    data = encoded(np.array([[0, value, 1]], np.float32), "TIFF")
    with pytest.raises(ImageError, match="NaN or infinity"):
        decode(data)


def test_cmyk_tiff_by_the_formula():
    ink = np.dstack([noise(), noise(seed=1)[..., 0]])
    data = encoded(Image.frombytes("CMYK", (37, 24), ink.tobytes()), "TIFF")
    free = 255.0 - ink
    exact = free[..., :3] * free[..., 3:] / 255
    assert np.abs(decode(data) - exact).max() <= 1


def test_cmyk_jpeg_is_not_inverted():
    # Written by Pillow with the Adobe marker, values inverted, as Photoshop does.
    picture = Image.fromarray(smooth()).convert("CMYK")
    data = encoded(picture, "JPEG", quality=95)
    assert b"Adobe" in data
    assert np.abs(decode(data).astype(int) - smooth()).mean() < 3


def test_ycck_jpeg():
    """Adobe's other form: the inverted inks as Y, Cb, Cr, the black as it is; transform 2."""
    ink = np.asarray(Image.fromarray(smooth()).convert("CMYK"))
    # libjpeg takes 255 - (stored ink) for R, G, B; stored inks are inverted: Y, Cb, Cr of the ink.
    ycc = np.asarray(Image.fromarray(np.ascontiguousarray(ink[..., :3])).convert("YCbCr"))
    components = np.dstack([ycc, 255 - ink[..., 3]])
    # Pillow inverts what it writes.
    raw = Image.frombytes("CMYK", (ink.shape[1], ink.shape[0]), (255 - components).tobytes())
    data = bytearray(encoded(raw, "JPEG", quality=95))
    data[data.index(b"Adobe") + 11] = 2
    image = decode(bytes(data))
    assert np.abs(image.astype(int) - smooth()).mean() < 3
    other = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert np.abs(image.astype(int) - other).mean() < 2


def test_ycbcr_tiff():
    data = encoded(Image.fromarray(smooth()).convert("YCbCr"), "TIFF")
    assert np.abs(decode(data).astype(int) - smooth()).max() <= 3


def test_sixteen_bit_colour_png():
    """Three channels of 16 bits keep their high byte."""
    values = np.random.default_rng(0).integers(0, 65536, (5, 4, 3), np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)

    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    data = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 5, 16, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    np.testing.assert_array_equal(decode(data), (values >> 8).astype(np.uint8))


def test_a_mode_without_a_rule():
    data = encoded(Image.new("LAB", (3, 3)), "TIFF")
    with pytest.raises(ImageError, match="mode LAB"):
        decode(data)
