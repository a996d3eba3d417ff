"""What a scan takes for new or changed, what may pass, and how pictures are named and labelled."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from cbir.collection import Collection, extraction, scanning
from cbir.errors import FormatError, ImageError, ParameterError
from cbir.features import ColourHistogram
from tests.small import RECIPES, settle, write_picture, write_pictures

COLOUR = RECIPES["colour"]


@pytest.fixture
def root(tmp_path):
    folder = write_pictures(tmp_path / "photos")
    settle(folder)
    return folder


@pytest.fixture
def path(tmp_path):
    return tmp_path / "c.cbir"


def count_reads(monkeypatch):
    """Names of the files that are opened for their content."""
    opened = []
    for module, name in ((scanning, "hash_file"), (extraction, "_read")):
        real = getattr(module, name)

        def read(file, real=real):
            opened.append(Path(file).name)
            return real(file)

        monkeypatch.setattr(module, name, read)
    return opened


def count_extractions(monkeypatch):
    calls = []
    real = ColourHistogram.extract

    def extract(self, image, region=None):
        calls.append(image.shape)
        return real(self, image, region)

    monkeypatch.setattr(ColourHistogram, "extract", extract)
    return calls


# ---- the same, touched, changed ----


def test_an_unchanged_file_is_not_read_again(root, path, monkeypatch):
    Collection.build(root, path, COLOUR)
    reads = count_reads(monkeypatch)
    c = Collection.open(path)
    c.update()
    assert reads == []
    c.update(rehash=True)
    assert len(reads) == 10
    assert c.generation == 1
    del reads[:]
    settle(root, 60)  # every time is another one
    c.update()
    assert len(reads) == 10
    c.update()
    assert (len(reads), c.generation) == (10, 1)


def test_another_content_under_the_same_size_and_time_needs_rehash(root, path):
    Collection.build(root, path, COLOUR)
    c = Collection.open(path)
    file = root / "a/001.png"
    before = file.stat()
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    os.utime(file, ns=(before.st_mtime_ns, before.st_mtime_ns))
    assert c.update().added == 0
    assert c.update(rehash=True).added == 1


def test_a_file_changed_within_a_tick_of_the_clock_is_looked_at_again(root, path):
    """The same size, the same time, another content: as on file systems with coarse clocks."""
    file = root / "a/001.png"
    now = file.stat().st_mtime_ns + 3600 * 10**9
    os.utime(file, ns=(now, now))
    Collection.build(root, path, COLOUR)
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    os.utime(file, ns=(now, now))
    assert Collection.open(path).update().added == 1


def test_renamed_and_returning_pictures_are_not_described_again(root, path, monkeypatch):
    Collection.build(root, path, COLOUR)
    calls = count_extractions(monkeypatch)
    c = Collection.open(path)
    before = c.features(0)
    (root / "a/001.png").rename(root / "zzz.png")
    assert c.update(prune=True).added == 1
    (i,) = c.find(["zzz.png"])
    np.testing.assert_array_equal(c.features(i), before)
    c.remove([1, 2])
    assert c.update().added == 2
    assert calls == []
    assert Collection.check(path).problems == []


def test_many_renamed_pictures_hold_few_parts(root, path, monkeypatch):
    monkeypatch.setattr(extraction, "PART_IMAGES", 2)
    Collection.build(root, path, COLOUR)
    calls = count_extractions(monkeypatch)
    reads = []
    real = extraction.FeaturePart.read.__func__
    monkeypatch.setattr(
        extraction.FeaturePart,
        "read",
        classmethod(lambda cls, p, **k: reads.append(p.name) or real(cls, p, **k)),
    )
    files = sorted(root.rglob("*.png"))
    for number, file in enumerate(files):  # neighbours in the new order come from distant parts
        file.rename(root / f"{number % 2}{number:03d}.png")
    c = Collection.open(path)
    before = {c.row(i).hash: c.features(i) for i in c.ids.tolist()}
    c.update(prune=True)
    assert (calls, c.ntotal) == ([], 10)
    for i in c.ids.tolist():
        np.testing.assert_array_equal(c.features(i), before[c.row(i).hash])
    old = [name for name in reads if int(name[5:11]) <= 5]
    assert len(old) == len(set(old)) == 5  # each part once, though not all are held


def test_features_that_were_altered_on_disk_are_not_taken_over(root, path, monkeypatch):
    Collection.build(root, path, COLOUR)
    c = Collection.open(path)
    expected = c.features(0)
    (part,) = path.glob("features/*/part-000001.h5")
    data = bytearray(part.read_bytes())
    data[data.index(expected.tobytes()) + 1] ^= 1
    part.write_bytes(data)
    calls = count_extractions(monkeypatch)
    (root / "a/001.png").rename(root / "zzz.png")
    c.update(prune=True)
    assert len(calls) == 1
    np.testing.assert_array_equal(c.features(10), expected)


def test_what_a_killed_build_described_is_taken_over_wherever_it_sorts_in(root, path, monkeypatch):
    monkeypatch.setattr(extraction, "PART_IMAGES", 4)
    calls = count_extractions(monkeypatch)
    real = extraction.write_part

    def die(part, layout, feature, number):
        if number == 3:
            raise KeyboardInterrupt
        return real(part, layout, feature, number)

    with monkeypatch.context() as m:
        m.setattr(extraction, "write_part", die)
        with pytest.raises(KeyboardInterrupt):
            Collection.build(root, path, COLOUR, n_threads=1)
    del calls[:]
    write_picture(root / "000.png", 99)  # sorts in before all others
    assert Collection.build(root, path, COLOUR, n_threads=1).indexed == 11
    assert len(calls) == 1 + 2  # the new one, and the two of the part that was not written
    assert not list(path.glob("features/*/left-*"))


# ---- failures that may pass ----


@pytest.mark.parametrize("error", [MemoryError(), OSError(5, "Input/output error")])
def test_a_failure_that_may_pass_is_tried_again(error, root, path, monkeypatch):
    real = extraction._read

    def bad(file):
        if file.endswith("001.png"):
            raise error
        return real(file)

    (root / "broken.png").write_bytes(b"no picture")
    settle(root, 60)
    with monkeypatch.context() as m:
        m.setattr(extraction, "_read", bad)
        report = Collection.build(root, path, COLOUR)
        assert [name for name, _ in report.failed] == ["a/001.png", "broken.png"]
        again = Collection.open(path).update()  # still bad: nothing changes
        assert (again.retried, again.generation) == (1, 1)
        assert again.failed == report.failed
    c = Collection.open(path)
    report = c.update()
    assert (report.retried, report.added, c.ntotal) == (1, 1, 10)
    assert [name for name, _ in report.failed] == ["broken.png"]
    assert c.update().retried == 0
    assert Collection.check(path).problems == []


def test_out_of_memory_while_decoding_may_pass(root, path, monkeypatch):
    from cbir import images

    real = images.decode
    monkeypatch.setattr(images, "decode", _raise(MemoryError()))
    with pytest.raises(Exception, match="none of the 10"):
        Collection.build(root, path, COLOUR)
    monkeypatch.setattr(images, "decode", real)
    assert Collection.build(root, path, COLOUR).indexed == 10


def _raise(error):
    def function(*args, **kwargs):
        raise error

    return function


# ---- names ----


def test_one_picture_by_several_ways_is_one(root, path, tmp_path):
    (tmp_path / "link").symlink_to(root)
    write_pictures(tmp_path / "disk", 2)
    (root / "more").symlink_to(tmp_path / "disk")
    Collection.build(tmp_path / "link", path, COLOUR)
    c = Collection.open(path)
    assert c.ntotal == 12
    for way in (
        root / "a/001.png",
        tmp_path / "link/a/001.png",
        tmp_path / "link/more/a/001.png",
        root / "more/a/001.png",
        root / "a/../a/001.png",
        root,
        tmp_path / "link",
        [tmp_path / "link/a/001.png", root / "a/001.png"],
    ):
        report = c.add(way)
        assert (report.added, c.ntotal, c.generation) == (0, 12, 1), way
    assert Collection.build(root, path, COLOUR).added == 0
    write_picture(root / "late.png", 70)
    assert c.add(tmp_path / "link/late.png").added == 1
    assert c.find(["late.png"])[0] >= 0
    assert c.update().added == 0


def test_pictures_from_elsewhere_are_looked_at_again(root, path, tmp_path):
    write_picture(tmp_path / "other/x.png", 50)
    settle(tmp_path / "other")
    Collection.build(root, path, COLOUR)
    c = Collection.open(path)
    c.add(tmp_path / "other/x.png")
    assert c.update(prune=True).removed == 0
    write_picture(tmp_path / "other/x.png", 51)
    report = c.update()
    assert (report.added, report.removed, c.ntotal) == (1, 1, 11)
    (tmp_path / "other/x.png").unlink()
    assert c.update().gone == 1
    (tmp_path / "other").rename(tmp_path / "gone")  # may be a disk that is not mounted
    assert c.update(prune=True).gone == 0
    assert c.ntotal == 11


def test_a_list_of_files(root, path, tmp_path):
    files = sorted(root.rglob("*.png"))
    report = Collection.build(files[:5], path, COLOUR)
    assert report.indexed == 5
    c = Collection.open(path)
    assert c.image_path(0).read_bytes() in [f.read_bytes() for f in files[:5]]
    assert c.update().added == 0  # what was not listed is not looked for
    assert Collection.build(iter(files[:5]), path, COLOUR).generation == 1
    assert Collection.build(files, path, COLOUR).added == 5
    files[0].unlink()
    assert c.update().gone == 1
    assert c.update(prune=True).removed == 1
    with pytest.raises(ParameterError, match="was built from a list of files"):
        Collection.build(root, path, COLOUR)
    with pytest.raises(ParameterError, match="no files were given"):
        Collection.build([], path, COLOUR)
    report = Collection.build([tmp_path / "no.png", files[1]], tmp_path / "d", COLOUR)
    assert (report.indexed, [name for name, _ in report.failed]) == (1, ["no.png"])


@pytest.mark.skipif(sys.platform != "linux", reason="names are UTF-8 there")
def test_a_folder_whose_name_the_catalogue_cannot_keep(root, path, monkeypatch):
    opened = count_reads(monkeypatch)
    odd = root.with_name(os.fsdecode(b"ph\xff"))
    root.rename(odd)
    with pytest.raises(ParameterError, match=r"ph\\udcff: its name is not UTF-8; rename it"):
        Collection.build(odd, path, COLOUR)
    assert opened == []


def test_names_that_lead_nowhere(root, path, tmp_path):
    Collection.build(root, path, COLOUR)
    (tmp_path / "loop").symlink_to("loop")
    c = Collection.open(path)
    report = c.add([tmp_path / "loop/x.png", "a\0b/x.png", root / "a/001.png"])
    assert len(report.failed) == 2
    assert c.ntotal == 10


def test_a_mistyped_name_is_told_and_not_kept(root, path, tmp_path):
    Collection.build(root, path, COLOUR)
    c = Collection.open(path)
    report = c.add([tmp_path / "no.png", root / "no.png", root / "a/001.png"])
    assert report.failed == [
        ((tmp_path / "no.png").as_posix(), "there is no such file"),
        ("no.png", "there is no such file"),
    ]
    assert (report.seen, report.generation, c.failed) == (3, 1, [])
    with pytest.raises(ImageError, match=r"no\.png: there is no such file"):
        c.add(root / "no.png", strict=True)
    assert c.update().gone == 0


def test_paths_are_found_as_text_and_as_path(root, path):
    Collection.build(root, path, COLOUR)
    c = Collection.open(path)
    assert c.find([Path("a/001.png"), "a/001.png", "none"]).tolist() == [0, 0, -1]


# ---- labels ----


def test_pictures_from_elsewhere_have_no_folder_label(root, path, tmp_path):
    Collection.build(root, path, COLOUR, labels="folders")
    c = Collection.open(path)
    write_picture(tmp_path / "other/x.png", 50)
    write_picture(root / "new/y.png", 51)
    c.add([tmp_path / "other/x.png", root / "new/y.png"])
    assert c.labels([10, 11]) == [None, "new"]
    c.update()
    assert c.labels([10, 11]) == [None, "new"]


def test_one_picture_added_to_ukbench(path, tmp_path):
    root = tmp_path / "set"
    for i in range(8):
        write_picture(root / f"ukbench{i:05d}.png", i)
    Collection.build(root, path, COLOUR, labels="ukbench")
    c = Collection.open(path)
    write_picture(root / "ukbench00008.png", 8)
    write_picture(tmp_path / "holiday.png", 9)
    write_picture(tmp_path / "ukbench00013.png", 10)
    c.add([root / "ukbench00008.png", tmp_path / "holiday.png", tmp_path / "ukbench00013.png"])
    assert c.labels(range(7, 11)) == ["1", "2", None, "3"]
    c.update()
    assert c.labels(range(7, 11)) == ["1", "2", None, "3"]


def test_a_table_of_labels(root, path, tmp_path, monkeypatch):
    names = [p.relative_to(root).as_posix() for p in sorted(root.rglob("*.png"))]
    table = tmp_path / "labels.csv"
    table.write_text("".join(f"{name},{i % 3}\n" for i, name in enumerate(names)))
    monkeypatch.chdir(tmp_path)
    Collection.build(root, path, COLOUR, labels="labels.csv")
    monkeypatch.chdir(root)
    c = Collection.open(path)
    assert c.info()["labels"] == str(table)
    assert (c.update().generation, c.info()["n_labels"]) == (1, 3)
    c.remove([0])
    write_picture(tmp_path / "x.png", 50)
    assert c.add(tmp_path / "x.png").added == 1  # the table names pictures that are not added now
    reader = Collection.open(path)
    table.write_text("".join(f"{name},z\n" for name in names))
    assert c.update().added == 1
    assert reader.labels([1]) == ["1"]  # what was opened stays
    assert reader.refresh()
    assert reader.labels([1, 10, 11]) == ["z", None, "z"]
    with pytest.raises(FormatError, match="not among the"):
        table.write_text("wrong.png,z\n")
        Collection.build(root, tmp_path / "d", COLOUR, labels=table)


def test_a_label_spec_is_checked_before_any_file_is_read(root, path, tmp_path, monkeypatch):
    reads = count_reads(monkeypatch)
    for labels, error in (
        ("nonsense", ParameterError),
        ("missing.csv", FormatError),
        ("ukbench", ParameterError),
    ):
        with pytest.raises(error, match="labels"):
            Collection.build(root, path, COLOUR, labels=labels)
    assert reads == []


# ---- folders of others ----


def test_a_folder_of_somebody_else_is_refused_and_left_alone(root, tmp_path):
    project = tmp_path / "project"
    names = ["features/x.npy", "model/weights.bin", "index/20240101/x", ".tmp-mine", "lock"]
    for name in names:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("mine")
    with pytest.raises(ParameterError, match="holds other things"):
        Collection.build(root, project, COLOUR)
    assert sorted(p.relative_to(project).as_posix() for p in project.rglob("*") if p.is_file()) == (
        sorted(names)
    )


def test_what_somebody_put_into_a_collection_stays(root, path):
    Collection.build(root, path, COLOUR)
    mine = ["notes.txt", "features/mine.h5", "index/mine/x", "model/mine/y", "index/main/z"]
    for name in mine:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text("mine")
    c = Collection.open(path)
    c.remove([0])
    c.update()
    c.compact()
    assert all((path / name).read_text() == "mine" for name in mine)
    report = Collection.check(path)
    assert report.ok
    assert {Path(p).name for p in report.orphaned} == {"notes.txt", "mine.h5", "mine", "x", "z"}
