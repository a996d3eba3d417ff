import logging

import pytest

from cbir.datasets import natural_key, resolve_labels
from cbir.errors import FormatError, ParameterError

VIEWS = [f"ukbench{n:05d}.jpg" for n in range(12)]


def test_ukbench_is_whole_division():
    # In Python 3 n / 4 would give twelve labels: then nothing is ever right but the query itself.
    assert resolve_labels("ukbench", VIEWS) == [
        str(i) for i in (0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2)
    ]


def test_ukbench_takes_any_order_folder_and_multiple_of_four():
    paths = ["b/ukbench10003.jpg", "a/ukbench10000.JPG", "a/ukbench10002.jpg", "ukbench10001.jpg"]
    assert resolve_labels("ukbench", paths) == ["2500"] * 4


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ([*VIEWS, "cat.jpg"], "'cat.jpg' is not called ukbenchNNNNN.jpg"),
        (VIEWS[:11], "11 images, 1 objects without all 4 views; the first is object 2 "),
        ([*VIEWS, "more/ukbench00003.jpg"], "number 3 appears twice"),
    ],
)
def test_ukbench_refuses(paths, message):
    with pytest.raises(ParameterError, match=message):
        resolve_labels("ukbench", paths)


def test_single_images_may_be_added():
    assert resolve_labels("ukbench", VIEWS[4:6], complete=False) == ["1", "1"]


def test_first_thousand_are_called_easy(caplog):
    with caplog.at_level(logging.WARNING):
        resolve_labels("ukbench", [f"ukbench{n:05d}.jpg" for n in range(1000)])
    assert "easy subset" in caplog.text
    caplog.clear()
    resolve_labels("ukbench", [f"ukbench{n:05d}.jpg" for n in range(1004)])
    assert not caplog.text


def test_none_and_folders():
    paths = ["cats/1.jpg", "dogs/old/7.jpg", "logo.png"]
    assert resolve_labels("none", paths) == [None] * 3
    assert resolve_labels("folders", paths) == ["cats", "dogs", None]


def test_unknown_spec_says_what_there_is():
    with pytest.raises(ParameterError, match="allowed is none, ukbench, folders or a CSV"):
        resolve_labels("objects", ["a.jpg"])


PATHS = ["a.jpg", "b c/d.jpg", "e,f.jpg", "g\nh.jpg"]


@pytest.mark.parametrize("header", ["", "path,label\n", "\ufeffpath,label\r\n"])
def test_csv(tmp_path, header):
    file = tmp_path / "labels.csv"
    file.write_bytes(
        (header + 'a.jpg,cat\n./b c/d.jpg, dog \n"e,f.jpg","x, y"\n\n"g\nh.jpg",\n').encode()
    )
    assert resolve_labels(str(file), PATHS) == ["cat", "dog", "x, y", None]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.jpg\n", r"labels.csv, line 1: 1 columns, expected 2"),
        ("path,label\na.jpg,cat,1\n", r"labels.csv, line 2: 3 columns"),
        ("path,label\na.jpg,cat\nz.jpg,cat\n", r"line 3: 'z.jpg' is not among the 4 images"),
        ("a.jpg,cat\n\na.jpg,dog\n", r"line 3: 'a.jpg' is 'dog', but 'cat' in line 1"),
        ('a.jpg,"cat\n', r"labels.csv, line "),
    ],
)
def test_csv_refuses(tmp_path, text, message):
    file = tmp_path / "labels.csv"
    file.write_text(text)
    with pytest.raises(FormatError, match=message):
        resolve_labels(file, PATHS)


def test_csv_missing_or_not_text(tmp_path):
    with pytest.raises(FormatError, match=r"gone\.csv"):
        resolve_labels(tmp_path / "gone.csv", PATHS)
    (tmp_path / "latin.csv").write_bytes(b"a.jpg,caf\xe9\n")
    with pytest.raises(FormatError, match=r"latin\.csv"):
        resolve_labels(tmp_path / "latin.csv", PATHS)


def test_natural_order():
    names = ["ukbench10.jpg", "ukbench9.jpg", "a/2.jpg", "a/10.jpg", "01.jpg", "1.jpg"]
    expected = ["01.jpg", "1.jpg", "a/2.jpg", "a/10.jpg", "ukbench9.jpg", "ukbench10.jpg"]
    assert sorted(names, key=natural_key) == expected
