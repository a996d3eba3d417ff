"""Download of data sets: resumed, checked, and unpacked without leaving the folder.

A file is written as ``NAME.part`` and renamed only when it is whole and its SHA-256 is right, so a
name that exists is a file that is good. A cut connection is taken up where it broke (HTTP Range); a
server that can't is asked from the start. Archives are unpacked into the data set's folder; a
member that would lie outside it, or that is a device or a link out of it, refuses the whole archive
before anything is written (`tarfile.data_filter`).
"""

from __future__ import annotations

import hashlib
import http.client
import logging
import shutil
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import unquote, urlparse

from cbir.datasets.card import File, card
from cbir.errors import DependencyError, FormatError, ParameterError, StorageError

log = logging.getLogger(__name__)

_BLOCK = 1 << 20
Progress = Callable[[int, int | None], None]


class FetchError(StorageError):
    """A file couldn't be fetched: no such address, no connection, too large."""


def fetch(
    name: str, folder: str | Path, *, progress: Progress | None = None, retries: int = 5
) -> list[Path]:
    """Fetch all files of a data set into `folder` and unpack them; what is there already is kept.

    Raises ParameterError when the card names no address (its notes say what to do), FetchError,
    FormatError.
    """
    this = card(name)
    if not this.files:
        raise ParameterError(
            f"{name} has no public address. {' '.join(this.notes.split())} See {this.page}"
        )
    return [fetch_file(f, folder, progress=progress, retries=retries) for f in this.files]


def fetch_file(
    file: File, folder: str | Path, *, progress: Progress | None = None, retries: int = 5
) -> Path:
    """Fetch one file of a card and, if it is an archive, unpack it into ``folder / file.into``."""
    folder = Path(folder)
    target = (
        folder / "downloads" / (PurePosixPath(unquote(urlparse(file.url).path)).name or "index")
    )
    download(
        file.url,
        target,
        sha256=file.sha256,
        max_bytes=file.max_bytes,
        progress=progress,
        retries=retries,
    )
    into = folder / file.into
    if is_archive(target):
        done = target.with_name(target.name + ".unpacked")
        if not done.exists():
            extract(target, into)
            done.touch()
    else:
        into.mkdir(parents=True, exist_ok=True)
        shutil.copy2(target, into / target.name)
    return target


def download(
    url: str,
    target: str | Path,
    *,
    sha256: str | None = None,
    max_bytes: int = 20 * 2**30,
    retries: int = 5,
    wait: float = 1.0,
    timeout: float = 60.0,
    progress: Progress | None = None,
) -> Path:
    """Download `url` to `target`, going on where an earlier attempt stopped.

    Parameters
    ----------
    url : http, https, ftp or file.
    sha256 : expected checksum in hexadecimal; a file that has another is deleted.
    max_bytes : refuse anything larger.
    retries : attempts after the first, for failures that may pass (cut connections, 5xx,
        time-outs).
    wait : seconds before the second attempt; doubled each time.
    progress : called with (bytes so far, bytes in all or None).

    Returns
    -------
    `target`. Raises FetchError with address and reason, FormatError when the checksum is wrong.
    """
    target = Path(target)
    if target.exists():
        if sha256 and _digest(target) != sha256:
            log.warning("%s has another checksum than its card says; fetching it again", target)
            target.unlink()
        else:
            return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    for attempt in range(retries + 1):
        try:
            _transfer(url, part, max_bytes, timeout, progress)
            break
        except urllib.error.HTTPError as error:
            reason, again = (
                f"HTTP {error.code} {error.reason}",
                error.code >= 500 or error.code == 429,
            )
        except (
            urllib.error.URLError,
            http.client.HTTPException,
            TimeoutError,
            ConnectionError,
        ) as error:
            reason, again = (
                str(getattr(error, "reason", None) or error) or type(error).__name__,
                True,
            )
        if not again or attempt == retries:
            raise FetchError(f"fetch {url}: {reason} (attempt {attempt + 1} of {retries + 1})")
        log.warning("%s: %s; trying again", url, reason)
        time.sleep(wait * 2**attempt)
    if sha256 and (found := _digest(part)) != sha256:
        part.unlink()
        raise FormatError(
            f"fetch {url}: sha256 is {found}, expected {sha256}; the file was deleted"
        )
    part.replace(target)
    return target


def _transfer(
    url: str, part: Path, max_bytes: int, timeout: float, progress: Progress | None
) -> None:
    """One attempt; raises ConnectionError when fewer bytes came than were announced."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "cbir"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if (
            error.code == 416 and have
        ):  # nothing beyond what we have, or not the same file: start again
            part.unlink()
            raise ConnectionError(
                "the server has no bytes beyond those fetched; starting again"
            ) from error
        raise
    with response:
        if have and getattr(response, "status", None) != 206:
            have = 0  # the whole file comes
        elif have and not (response.headers.get("Content-Range") or "").startswith(
            f"bytes {have}-"
        ):
            part.unlink()
            raise ConnectionError("the server sent another range than was asked for")
        length = response.headers.get("Content-Length")
        total = have + int(length) if length is not None else None
        if total is not None and total > max_bytes:
            raise FetchError(f"fetch {url}: {total} bytes, more than the limit of {max_bytes}")
        try:
            with part.open("ab" if have else "wb") as out:
                while block := response.read(_BLOCK):
                    have += len(block)
                    if have > max_bytes:
                        raise FetchError(f"fetch {url}: more than the limit of {max_bytes} bytes")
                    out.write(block)
                    if progress:
                        progress(have, total)
        except (FetchError, ConnectionError, TimeoutError, http.client.HTTPException):
            raise
        except OSError as error:
            raise StorageError(f"fetch {url}: can't write {part}: {error}") from error
    if total is not None and have < total:
        raise ConnectionError(f"connection cut after {have} of {total} bytes")


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_archive(path: str | Path) -> bool:
    """Return True for a tar (of any compression) or zip file."""
    return tarfile.is_tarfile(path) or zipfile.is_zipfile(path)


def extract(archive: str | Path, folder: str | Path, *, max_bytes: int = 100 * 2**30) -> list[Path]:
    """Unpack a tar or zip file into `folder`; nothing is written when a member would leave it.

    Returns the files written. Raises FormatError naming archive and member: an absolute path,
    ``..``, a device or a link that leads out, more than `max_bytes` in all, a damaged archive.
    """
    archive, folder = Path(archive), Path(folder)
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as z:
                files = [m for m in z.infolist() if not m.is_dir()]
                sizes = {_inside(archive, m.filename): m.file_size for m in files}
                _check_total(archive, sizes, max_bytes)
                return [_write(folder, m.filename, z.open(m)) for m in files]
        if not hasattr(tarfile, "data_filter"):  # Python before 3.11.4
            raise DependencyError(
                f"{archive}: unpacking a tar file safely needs Python 3.11.4 or newer; "
                "unpack it by hand, or update Python"
            )
        with tarfile.open(archive) as t:
            members = t.getmembers()
            _check_total(archive, {_inside(archive, m.name): m.size for m in members}, max_bytes)
            for m in members:  # all of them, before the first is written
                tarfile.data_filter(m, str(folder))
            t.extractall(folder, members, filter="data")
            return [folder / m.name for m in members if m.isreg()]
    except tarfile.FilterError as error:
        raise FormatError(f"{archive}: {error}; refused, nothing was unpacked") from error
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise FormatError(f"{archive}: damaged archive: {error}") from error


def _inside(archive: Path, name: str) -> str:
    path = PurePosixPath(name.replace("\\", "/"))
    if (
        path.is_absolute()
        or ".." in path.parts
        or not path.parts
        or ":" in path.parts[0]
        or "\0" in name
    ):
        raise FormatError(
            f"{archive}: member {name!r} would lie outside of the folder; nothing was unpacked"
        )
    return path.as_posix()


def _check_total(archive: Path, sizes: dict[str, int], max_bytes: int) -> None:
    if sum(sizes.values()) > max_bytes:
        raise FormatError(
            f"{archive}: unpacks to {sum(sizes.values())} bytes, more than {max_bytes}"
        )


def _write(folder: Path, name: str, source: IO[bytes]) -> Path:
    target = folder / PurePosixPath(name.replace("\\", "/"))
    # A link that already lies in the folder could still lead out of it.
    if not target.parent.resolve().is_relative_to(folder.resolve()):
        raise FormatError(f"{target}: its folder is a link out of {folder}")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    with source, part.open("wb") as out:
        shutil.copyfileobj(source, out, _BLOCK)
    part.replace(target)
    return target
