"""Downloads from a server in a thread: good, cut, wrong, missing, hostile."""

import hashlib
import io
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cbir.datasets import fetch as fetch_set
from cbir.datasets.card import File
from cbir.datasets.fetch import FetchError, download, extract, fetch_file
from cbir.errors import DependencyError, FormatError, ParameterError

DATA = bytes(range(256)) * 4000
SHA = hashlib.sha256(DATA).hexdigest()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    files: dict
    requests: list
    cut_after: list  # bytes after which the next answers are cut
    ranges = True
    failures = 0


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        asked = self.headers.get("Range")
        server.requests.append(asked)
        if server.failures:
            server.failures -= 1
            self.send_error(503)
            return
        body = server.files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and server.ranges else 0
        if start >= len(body) > 0:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        body = body[start:]
        if server.cut_after:
            body = body[: server.cut_after.pop(0)]
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with Server(("127.0.0.1", 0), Handler) as http:
        http.files, http.requests, http.cut_after = {"/data.bin": DATA}, [], []
        http.url = f"http://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        yield http
        http.shutdown()
        thread.join()


def test_good(server, tmp_path):
    seen = []
    target = tmp_path / "sub" / "data.bin"
    download(server.url + "/data.bin", target, sha256=SHA, progress=lambda *a: seen.append(a))
    assert target.read_bytes() == DATA and seen[-1] == (len(DATA), len(DATA))
    assert [p.name for p in target.parent.iterdir()] == ["data.bin"]
    download(server.url + "/data.bin", target, sha256=SHA)
    assert len(server.requests) == 1, "what is there and right isn't fetched again"


def test_wrong_checksum_leaves_nothing(server, tmp_path):
    with pytest.raises(FormatError, match=f"sha256 is {SHA}, expected 0000"):
        download(server.url + "/data.bin", tmp_path / "data.bin", sha256="0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_an_altered_file_is_fetched_again(server, tmp_path):
    target = tmp_path / "data.bin"
    target.write_bytes(b"something else")
    download(server.url + "/data.bin", target, sha256=SHA)
    assert target.read_bytes() == DATA


@pytest.mark.parametrize("ranges", [True, False])
def test_cut_connections_are_resumed(server, tmp_path, ranges):
    server.cut_after, server.ranges = [100_000, 300_000], ranges
    target = tmp_path / "data.bin"
    download(server.url + "/data.bin", target, sha256=SHA, wait=0)
    assert target.read_bytes() == DATA
    resumed_at = 400_000 if ranges else 300_000
    assert server.requests == [None, "bytes=100000-", f"bytes={resumed_at}-"]


def test_a_later_run_goes_on(server, tmp_path):
    server.cut_after = [500_000]
    target = tmp_path / "data.bin"
    with pytest.raises(FetchError, match="cut after 500000 of 1024000 bytes"):
        download(server.url + "/data.bin", target, retries=0)
    assert not target.exists()
    download(server.url + "/data.bin", target, sha256=SHA)
    assert server.requests[-1] == "bytes=500000-"
    assert target.read_bytes() == DATA


def test_a_part_longer_than_the_file_starts_again(server, tmp_path):
    (tmp_path / "data.bin.part").write_bytes(DATA + b"old")
    download(server.url + "/data.bin", tmp_path / "data.bin", sha256=SHA, wait=0)


def test_missing_is_not_tried_again(server, tmp_path):
    with pytest.raises(FetchError, match=r"/none: HTTP 404 .*attempt 1 of 4"):
        download(server.url + "/none", tmp_path / "none", retries=3, wait=0)
    assert len(server.requests) == 1


def test_busy_is_tried_again(server, tmp_path):
    server.failures = 2
    download(server.url + "/data.bin", tmp_path / "data.bin", retries=2, wait=0)
    server.failures = 3
    with pytest.raises(FetchError, match="HTTP 503"):
        download(server.url + "/data.bin", tmp_path / "other.bin", retries=2, wait=0)


def test_too_large(server, tmp_path):
    with pytest.raises(FetchError, match="1024000 bytes, more than the limit of 1000"):
        download(server.url + "/data.bin", tmp_path / "data.bin", max_bytes=1000)
    assert not (tmp_path / "data.bin").exists()


def test_nobody_answers(tmp_path):
    with pytest.raises(FetchError, match=r"127\.0\.0\.1"):
        download("http://127.0.0.1:9/x", tmp_path / "x", retries=1, wait=0, timeout=2)


def tar(*members):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def zipped(*members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return stream.getvalue()


@pytest.mark.parametrize("pack", [tar, zipped])
def test_archives_are_unpacked_once(server, tmp_path, pack):
    server.files["/set.tgz"] = pack(("jpg/1.jpg", b"one"), ("jpg/sub/2.jpg", b"two"))
    file = File(url=server.url + "/set.tgz", into="images")
    for _ in range(2):
        fetch_file(file, tmp_path)
    assert (tmp_path / "images" / "jpg" / "sub" / "2.jpg").read_bytes() == b"two"
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "bad",
    [
        tar(("good.txt", b"x"), ("../evil.txt", b"x")),
        tar(("good.txt", b"x"), ("/tmp/cbir-evil.txt", b"x")),
        tar(("good.txt", b"x"), ("link", "/etc")),
        zipped(("good.txt", b"x"), ("a/../../evil.txt", b"x")),
        zipped(("good.txt", b"x"), ("..\\evil.txt", b"x")),
    ],
    ids=["tar-dots", "tar-absolute", "tar-link", "zip-dots", "zip-backslash"],
)
def test_an_archive_that_leaves_its_folder_is_refused(tmp_path, bad):
    archive = tmp_path / "bad"
    archive.write_bytes(bad)
    with pytest.raises(FormatError, match=r"bad: .*(outside|refused)"):
        extract(archive, tmp_path / "into")
    assert [p.name for p in tmp_path.iterdir()] == ["bad"], "nothing may be written"


def test_a_link_already_there_leads_nowhere(tmp_path):
    (tmp_path / "into").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "into" / "sub").symlink_to(tmp_path / "outside")
    (tmp_path / "a.tgz").write_bytes(tar(("sub/file", b"x")))
    (tmp_path / "a.zip").write_bytes(zipped(("sub/file", b"x")))
    for archive in ("a.tgz", "a.zip"):
        with pytest.raises(FormatError, match=r"outside|link out of"):
            extract(tmp_path / archive, tmp_path / "into")
    assert not any((tmp_path / "outside").iterdir())


def test_an_old_python_says_that_it_cannot_unpack_safely(tmp_path, monkeypatch):
    monkeypatch.delattr(tarfile, "data_filter")
    (tmp_path / "a.tgz").write_bytes(tar(("file", b"x")))
    with pytest.raises(DependencyError, match=r"a\.tgz: .*3\.11\.4"):
        extract(tmp_path / "a.tgz", tmp_path / "into")


def test_bombs_and_damage(tmp_path):
    archive = tmp_path / "a.tgz"
    whole = tar(("a", bytes(100_000)), ("b", DATA))
    archive.write_bytes(whole)
    with pytest.raises(FormatError, match="more than 1000"):
        extract(archive, tmp_path / "into", max_bytes=1000)
    archive.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FormatError, match="damaged"):
        extract(archive, tmp_path / "into")


def test_a_set_without_address_says_what_to_do(tmp_path):
    with pytest.raises(ParameterError, match="by hand"):
        fetch_set("smvs_dvd", tmp_path)
