"""What is gone, what is only out of reach, and what no walk comes by."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from cbir.collection import Collection, changing, scanning
from cbir.errors import ParameterError
from tests.collection.test_scanning import count_reads
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


def refuse(monkeypatch, function, wrong, error):
    """Make os.FUNCTION raise for paths that end as one of `wrong`."""
    real = getattr(os, function)

    def refused(file, *args, **kwargs):
        if os.fspath(file).endswith(wrong):
            raise error
        return real(file, *args, **kwargs)

    monkeypatch.setattr(os, function, refused)


def test_gone_pictures_stay_until_pruned(root, path):
    Collection.build(root, path, COLOUR)
    c = Collection.open(path)
    (root / "a/001.png").unlink()
    shutil.rmtree(root / "b ü")
    for again in (c.update, lambda: Collection.build(root, path, COLOUR)):
        report = again()
        assert (report.gone, report.removed, report.indexed, report.seen) == (6, 0, 10, 4)
    report = c.update(prune=True)
    assert (report.gone, report.removed, report.indexed) == (0, 6, 4)
    assert c.update(prune=True).gone == 0


def test_a_folder_that_cannot_be_listed_is_not_an_empty_one(root, path, monkeypatch):
    Collection.build(root, path, COLOUR)
    c = Collection.open(path)
    with monkeypatch.context() as m:
        refuse(m, "scandir", ("b ü",), PermissionError(13, "Permission denied"))
        report = c.update(prune=True)
    assert (report.gone, report.removed, c.ntotal) == (0, 0, 10)
    assert report.unreachable == [("b ü", "the folder can't be listed (Permission denied)")]
    assert c.update(prune=True).unreachable == []
    assert c.ids.tolist() == list(range(10))


def test_a_link_to_a_disk_that_is_not_there(root, path, tmp_path):
    write_pictures(tmp_path / "disk", 4)
    (root / "more").symlink_to(tmp_path / "disk")
    Collection.build(root, path, COLOUR)
    c = Collection.open(path)
    assert c.ntotal == 14
    (tmp_path / "disk").rename(tmp_path / "unplugged")
    (root / "nothing").symlink_to("nowhere")  # leads nowhere, and never led to a picture
    report = c.update(prune=True)
    assert (report.gone, c.ntotal) == (0, 14)
    assert report.unreachable == [("more", "the link leads nowhere")]
    (tmp_path / "unplugged").rename(tmp_path / "disk")
    assert c.update(prune=True).added == 0
    (root / "more").unlink()
    assert c.update(prune=True).removed == 4


def test_a_file_that_cannot_be_read_stays(root, path, monkeypatch):
    Collection.build(root, path, COLOUR)
    c = Collection.open(path)
    settle(root, 60)
    import builtins

    real = builtins.open

    def refused(file, *args, **kwargs):
        if str(file).endswith("001.png"):
            raise PermissionError(13, "Permission denied")
        return real(file, *args, **kwargs)

    with monkeypatch.context() as m:
        m.setattr(builtins, "open", refused)
        report = c.update(prune=True)
    assert report.unreachable == [("a/001.png", "cannot be read (Permission denied)")]
    assert (report.failed, c.ntotal, c.generation) == ([], 10, 1)


def test_what_no_walk_comes_by_is_not_gone(root, path):
    write_picture(root / ".hidden.png", 50)
    (root / "picture").write_bytes((root / ".hidden.png").read_bytes())
    Collection.build(root, path, COLOUR)
    c = Collection.open(path)
    assert c.add([root / ".hidden.png", root / "picture"]).added == 2
    report = c.update(prune=True)
    assert (report.gone, c.ntotal) == (0, 12)
    (root / "picture").unlink()
    assert c.update(prune=True).removed == 1


def test_a_link_to_a_disk_may_be_called_like_a_picture(root, path, tmp_path):
    write_picture(tmp_path / "disk/x.png", 60)
    (root / "album.jpg").symlink_to(tmp_path / "disk")
    Collection.build(root, path, COLOUR)
    (tmp_path / "disk").rename(tmp_path / "unplugged")
    report = Collection.open(path).update(prune=True)
    assert (report.removed, report.indexed) == (0, 11)
    assert report.unreachable == [("album.jpg", "the link leads nowhere")]


@pytest.mark.skipif(os.name == "nt", reason="needs fork")
def test_what_may_not_be_asked_for_is_not_gone(root):
    """As another user, whom the system refuses; root is refused nothing."""
    with tempfile.TemporaryDirectory() as work:
        path, closed = Path(work) / "c", Path(work) / "closed"
        write_picture(closed / "inner/x.png", 50)
        Collection.build(root, path, COLOUR)
        Collection.open(path).add([closed / "inner/x.png"])
        Path(work).chmod(0o755)
        pid = os.fork()
        if pid == 0:
            try:
                catalogue = Collection.open(path).database.catalogue
                closed.chmod(0)
                if os.getuid() == 0:
                    os.setgid(65534)
                    os.setuid(65534)
                looked = changing._known_files(catalogue, root, {"x": None}, only_elsewhere=True)
                changes = scanning.Changes()
                lacking = [(10, (closed / "inner/x.png").as_posix())]
                scanning._tell_gone(lacking, root, changes)
                os._exit(0 if [one.bytes for one in looked] == [-1] and not changes.gone else 2)
            except BaseException:
                os._exit(1)
        assert os.waitpid(pid, 0)[1] == 0
        closed.chmod(0o755)


def test_listed_files_on_a_disk_that_is_not_mounted(root, path, tmp_path):
    files = sorted((root / "a").glob("*.png"))
    Collection.build(files, path, COLOUR)
    (root / "a").rename(tmp_path / "unplugged")
    (root / "a").mkdir()
    c = Collection.open(path)
    with pytest.raises(ParameterError, match="none of the 5 pictures is there"):
        c.update(prune=True)
    assert Collection.open(path).ntotal == 5
    shutil.copy(tmp_path / "unplugged/001.png", root / "a")
    assert c.update(prune=True).removed == 4


def test_a_copy_of_the_collection_alone_keeps_its_pictures(root, tmp_path):
    Collection.build(root, root / "c.cbir", COLOUR)
    shutil.copytree(root / "c.cbir", tmp_path / "backup/c.cbir")
    write_picture(tmp_path / "backup/other.png", 77)
    c = Collection.open(tmp_path / "backup/c.cbir")
    assert c.image_root == root
    report = c.update(prune=True)
    assert (report.added, report.removed, c.ntotal) == (0, 0, 10)
    shutil.rmtree(root)
    with pytest.raises(ParameterError, match=r"photos: no such folder.*mounted"):
        c.update(prune=True)


def test_a_time_beyond_64_bits_is_looked_at_again(root, path, monkeypatch):
    try:
        os.utime(root / "a/001.png", ns=(2**63, 2**63))
    except (OSError, OverflowError):
        pytest.skip("the file system knows no such time")
    assert Collection.build(root, path, COLOUR).indexed == 10
    opened = count_reads(monkeypatch)
    assert Collection.open(path).update().generation == 1
    assert opened == ["001.png"]


def test_what_a_walk_comes_by_and_does_not_take_is_gone(root, path, tmp_path):
    write_picture(tmp_path / "disk/x.png", 60)
    (root / "z").symlink_to(tmp_path / "disk")
    Collection.build(root, path, COLOUR)
    (root / "c").symlink_to(tmp_path / "disk")  # the way that is taken now
    (root / "a/001.png").unlink()
    write_picture(root / "a/001.png/in.png", 70)
    report = Collection.open(path).update(prune=True)
    assert (report.gone, report.removed, report.added) == (0, 2, 2)
    c = Collection.open(path)
    assert c.find(["z/x.png", "c/x.png", "a/001.png", "a/001.png/in.png"]).tolist() == [
        -1,
        12,
        -1,
        11,
    ]


def test_an_emptied_or_missing_root_prunes_nothing(root, path):
    Collection.build(root, path, COLOUR)
    c = Collection.open(path)
    shutil.rmtree(root)
    with pytest.raises(ParameterError, match="is it mounted"):
        c.update(prune=True)
    root.mkdir()
    with pytest.raises(ParameterError, match="holds no pictures"):
        c.update(prune=True)
    assert Collection.open(path).ntotal == 10
