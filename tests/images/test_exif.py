"""All eight EXIF orientations give the upright picture, in every format that carries one."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from cbir.features import ColourHistogram, Sift
from cbir.images import decode
from tests.images.pictures import STORED, encoded, exif, noise, smooth


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("fmt", "options"), [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True, "exact": True})]
)
def test_lossless(fmt, options, orientation):
    upright = noise()
    stored = np.ascontiguousarray(STORED[orientation](upright))
    data = encoded(stored, fmt, exif=exif(orientation), **options)
    image = decode(data)
    np.testing.assert_array_equal(image, upright)
    assert image.flags.c_contiguous
    assert image.flags.writeable


@pytest.mark.parametrize("orientation", range(1, 9))
def test_jpeg_same_data_another_tag(orientation):
    upright = smooth()
    stored = np.ascontiguousarray(STORED[orientation](upright))
    plain = decode(encoded(stored, "JPEG", quality=90))
    tagged = decode(encoded(stored, "JPEG", quality=90, exif=exif(orientation)))
    np.testing.assert_array_equal(STORED[orientation](tagged), plain)
    assert np.abs(tagged.astype(int) - upright).mean() < 3  # JPEG's own loss


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pillow_agrees(orientation):
    data = encoded(noise(), "PNG", exif=exif(orientation))
    import io

    with Image.open(io.BytesIO(data)) as picture:
        expected = np.asarray(ImageOps.exif_transpose(picture))
    np.testing.assert_array_equal(decode(data), expected)


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_value_outside_the_standard_counts_as_upright(value):
    upright = noise()
    np.testing.assert_array_equal(decode(encoded(upright, "PNG", exif=exif(value))), upright)


@pytest.mark.parametrize(
    "block", [b"Exif\x00\x00", b"Exif\x00\x00II*\x00\xff\xff\xff\xff", b"rubbish"]
)
def test_unreadable_exif_counts_as_none(block):
    plain = encoded(smooth(), "JPEG")
    data = encoded(smooth(), "JPEG", exif=block)
    np.testing.assert_array_equal(decode(data), decode(plain))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_equal_descriptors(cbir_data, orientation):
    upright = decode(cbir_data / "ukbench1000/images/ukbench00000.jpg")
    stored = np.ascontiguousarray(STORED[orientation](upright))
    image = decode(encoded(stored, "PNG", exif=exif(orientation), compress_level=1))
    a, b = Sift().describe(upright), Sift().describe(image)
    np.testing.assert_array_equal(a.keypoints, b.keypoints)
    np.testing.assert_array_equal(a.descriptors, b.descriptors)
    histogram = ColourHistogram()
    np.testing.assert_array_equal(histogram.describe(upright), histogram.describe(image))


def test_real_photographs(cbir_data):
    """126 of the 1,000 carry an orientation other than 1; each is turned as Pillow turns it."""
    turned = 0
    for path in sorted((cbir_data / "ukbench1000/images").glob("*.jpg")):
        with Image.open(path) as picture:
            if picture.getexif().get(0x0112, 1) == 1:
                continue
            turned += 1
            expected = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
        np.testing.assert_array_equal(decode(path), expected, err_msg=str(path))
    assert turned == 126
