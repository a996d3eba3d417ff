"""n_words="auto": the number of words follows the descriptors."""

import logging

import numpy as np
import pytest

from cbir.errors import ParameterError
from cbir.vocabulary import KMeans


@pytest.mark.parametrize(
    ("descriptors", "words"),
    [
        (0, 1),
        (9, 1),
        (19, 1),
        (20, 2),
        (525_298, 20_000),
        (200_000, 20_000),
        (199_999, 19_999),
        (10**9, 20_000),
    ],
)
def test_one_word_for_10_descriptors_up_to_20000(descriptors, words):
    assert KMeans("auto").words_for(descriptors) == words
    assert KMeans(64).words_for(descriptors) == 64


def test_the_sample_follows_the_words():
    assert KMeans("auto").sample_size(2_500) == 2_500  # 250 words could use 64,000
    assert KMeans("auto", max_points_per_word=5).sample_size(2_500) == 1_250
    assert KMeans(8).sample_size(10**6) == 8 * 256
    assert KMeans(8, max_points_per_word=0).sample_size(10**6) == 10**6


def test_fit_chooses_by_all_descriptors_and_says_so(caplog):
    x = np.random.default_rng(0).standard_normal((500, 4)).astype(np.float32)
    with caplog.at_level(logging.INFO, logger="cbir"):
        assert KMeans("auto", n_iter=1).fit(x).centroids_.shape == (50, 4)
    assert "50 words" in caplog.text
    drawn = KMeans("auto", n_iter=1, max_points_per_word=4).fit(x, drawn_from=1_250)
    assert drawn.centroids_.shape == (125, 4)
    caplog.clear()
    KMeans(5, n_iter=1).fit(x)
    assert not caplog.text


def test_auto_survives_the_disk(tmp_path):
    x = np.random.default_rng(0).standard_normal((100, 3)).astype(np.float32)
    words = KMeans("auto", n_iter=1).fit(x)
    words.save(tmp_path / "words")
    loaded = KMeans.load(tmp_path / "words")
    assert loaded.n_words == "auto"
    np.testing.assert_array_equal(loaded.centroids_, words.centroids_)


def test_another_word_is_refused():
    with pytest.raises(ParameterError, match="n_words='many', allowed is \"auto\" or a number"):
        KMeans("many").fit(np.ones((5, 2), np.float32))
