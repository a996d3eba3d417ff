"""What may be done to a collection: build, update, add, remove; each decides what is looked at.

::

    build, update   the folder of pictures (or the files it was built from), and pictures from
                    elsewhere                                     } -> Changes -> Writer.apply
    add             the files given                               }
    remove          no file at all
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType

from cbir.collection.labelling import labels_of, stored_spec
from cbir.collection.report import BuildReport
from cbir.collection.scanning import (
    Changes,
    Found,
    Progress,
    catalogue_folders,
    compare,
    is_gone,
    look_at,
    walk_folder,
)
from cbir.collection.writing import Writer
from cbir.errors import ImageError, ParameterError
from cbir.images import walk
from cbir.recipe import Recipe
from cbir.store import Catalogue, Layout, WriterLock, claim

PathLike = str | os.PathLike[str]
_LOOKED_FOR = 100  # pictures of which one must be there for a folder to be the image root
FOLDER, FILES = "folder", "files"  # what a collection is of: a folder, or files that were listed


class Writing:
    """Hold the lock for the time of a change, and give a `Writer`; use in a ``with`` block."""

    def __init__(self, lock: WriterLock, make: Callable[[], Writer]) -> None:
        self._lock = lock
        self._make = make

    def __enter__(self) -> Writer:
        self._lock.__enter__()
        try:
            self._writer = self._make()
        except BaseException:
            self._lock.__exit__(None, None, None)
            raise
        return self._writer

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.catalogue.close()
        self._lock.__exit__(kind, error, trace)


def build(
    images: PathLike | Iterable[PathLike],
    layout: Layout,
    recipe: Recipe,
    *,
    labels: PathLike | None,
    n_threads: int,
    strict: bool,
    prune: bool,
    rehash: bool,
    progress: Progress | None,
) -> BuildReport:
    """Do what `Collection.build` says."""
    spec = None if labels is None else stored_spec(labels)
    files: list[Path] | None = None
    if isinstance(images, str | os.PathLike):
        root = Path(images)
        if not root.is_dir():
            raise ParameterError(f"{root}: no such folder of pictures")
    else:
        files = [Path(one) for one in images]
        if not files:
            raise ParameterError("build: no files were given")
        root = _common_folder(files)
    claim(layout.folder)
    lock = WriterLock(layout.lock)
    options = {"n_threads": n_threads, "strict": strict, "progress": progress}
    with Writing(lock, lambda: Writer(layout, recipe, **options)) as writer:  # type: ignore[arg-type]
        source = _check_source(writer, root, files)
        writer.change_recipe()
        if files is not None and writer.finished:
            root = image_root(layout, writer.catalogue)
        if spec is None:
            spec = stored_spec(writer.catalogue.facts.get("labels", "none"))
        facts = {
            "image_root": root.resolve().as_posix(),
            "image_root_relative": _relative(root, layout.folder),
            "labels": spec,
            "source": source,
        }
        _check_utf8(facts)
        # A label spec that was taken once is not asked again to be complete: pictures come and go.
        complete = writer.catalogue.facts.get("labels") != spec
        changes = _scan(writer, root, files, source, spec, complete=complete, rehash=rehash)
        return writer.apply(changes, changes.gone if prune else [], facts)


def update(writer: Writer, *, prune: bool, rehash: bool) -> BuildReport:
    """Do what `Collection.update` says."""
    facts = writer.catalogue.facts
    root = image_root(writer.layout, writer.catalogue)
    source = facts.get("source", FOLDER)
    if source == FOLDER and not root.is_dir():
        raise ParameterError(f"{root}: no such folder of pictures; is it mounted?")
    spec = stored_spec(facts.get("labels", "none"))
    files: list[Path] | None = None if source == FOLDER else []
    changes = _scan(writer, root, files, source, spec, complete=False, rehash=rehash)
    where = {
        "image_root": root.resolve().as_posix(),
        "image_root_relative": _relative(root, writer.layout.folder),
    }
    _check_utf8(where)
    return writer.apply(changes, changes.gone if prune else [], where)


def add(writer: Writer, pictures: PathLike | Iterable[PathLike]) -> BuildReport:
    """Do what `Collection.add` says."""
    with writer.stage("scan"):
        if isinstance(pictures, str | os.PathLike):
            one = Path(pictures)
            try:
                files = [one / p for p in walk(one)] if one.is_dir() else [one]
            except ImageError as error:
                raise ParameterError(str(error)) from error
        else:
            files = [Path(p) for p in pictures]
        if not files:
            raise ParameterError(f"Collection.add: {pictures} holds no pictures")
        root = image_root(writer.layout, writer.catalogue)
        spec = stored_spec(writer.catalogue.facts.get("labels", "none"))
        looked = look_at(_named(writer.catalogue, files, root).items())
        known = writer.catalogue.find(one.path for one in looked if one.bytes < 0)
        # A name that was mistyped is told and not kept: nothing would ever come of it.
        wrong = {
            one.path
            for one in looked
            if one.bytes < 0 and one.path not in known and is_gone(Path(one.file))
        }
        found = [one for one in looked if one.path not in wrong]
        labels = labels_of(spec, [one.path for one in found], complete=False)
        changes = compare(
            writer.catalogue, found, labels, n_threads=writer.n_threads, progress=writer.progress
        )
        changes.seen = len(looked)
        changes.failed += [
            (one.path, "there is no such file") for one in looked if one.path in wrong
        ]
    return writer.apply(changes, [], {})


def remove(writer: Writer, ids: list[int]) -> BuildReport:
    """Do what `Collection.remove` says."""
    there = set(writer.catalogue.still_there(ids))
    for i in ids:
        if i not in there:
            raise ParameterError(f"Collection.remove: there is no image {i}")
    return writer.apply(Changes(), ids, {})


def image_root(layout: Layout, catalogue: Catalogue) -> Path:
    """Folder of the pictures; found again if collection and pictures moved together.

    Some folder always lies where it would then be, so it counts only if a picture is in it: a copy
    of the collection alone must not take what lies beside it for its pictures.
    """
    stored = Path(catalogue.facts.get("image_root", ""))
    relative = catalogue.facts.get("image_root_relative", "")
    if not relative:
        return stored
    beside = (layout.folder / relative).resolve()
    if beside == stored or any(
        (beside / one).exists() for one in catalogue.some_paths(_LOOKED_FOR)
    ):
        return beside
    return stored


def _scan(
    writer: Writer,
    root: Path,
    files: list[Path] | None,
    source: str,
    spec: str,
    *,
    complete: bool,
    rehash: bool,
) -> Changes:
    """Look at all pictures of the collection, and at `files`, and say what has changed."""
    with writer.stage("scan"):
        found: dict[str, Found] = {}
        unreachable: list[tuple[str, str]] = []
        if files is None:
            walked, unreachable = walk_folder(root)
            found = {one.path: one for one in walked}
        elif files:
            named = _named(writer.catalogue, files, root)
            found = {one.path: one for one in look_at(named.items())}
        listed = len(found)
        known = _known_files(writer.catalogue, root, found, only_elsewhere=source == FOLDER)
        found.update({one.path: one for one in known})
        looked = list(found.values())
        paths = [one.path for one in looked]
        labels = labels_of(spec, paths[:listed], complete=complete)
        labels += labels_of(spec, paths[listed:], complete=False)
        return compare(
            writer.catalogue,
            looked,
            labels,
            n_threads=writer.n_threads,
            rehash=rehash,
            unreachable=unreachable,
            root=root,
            progress=writer.progress,
        )


def _known_files(
    catalogue: Catalogue, root: Path, found: dict[str, Found], *, only_elsewhere: bool
) -> list[Found]:
    """Files of the catalogue that no walk comes by: listed ones, and those from elsewhere.

    One that is missing from a folder that is there is left out: it is gone. Where its folder is
    missing too, it can't be told from a disk that is not mounted, and it counts as unreachable.

    Raises
    ------
    ParameterError if not one is there and nothing else was found.
    """
    paths = catalogue.live_paths(elsewhere=only_elsewhere)
    wanted = {path: os.path.join(root, path) for path in paths if path not in found}  # noqa: PTH118
    looked = look_at(wanted.items())
    if wanted and not found and all(one.bytes < 0 for one in looked):
        raise ParameterError(f"{root}: none of the {len(wanted)} pictures is there; is it mounted?")
    folders = {os.path.dirname(one.file) for one in looked if one.bytes < 0}  # noqa: PTH120
    there = {folder for folder in folders if os.path.isdir(folder)}  # noqa: PTH112
    return [one for one in looked if one.bytes >= 0 or os.path.dirname(one.file) not in there]  # noqa: PTH120


def _named(catalogue: Catalogue, files: list[Path], root: Path) -> dict[str, str]:
    """Files by what the catalogue calls them, in the order given, each once."""
    named: dict[str, str] = {}
    folders: dict[str, list[str]] = {}
    for file in files:
        plain = os.path.abspath(file)  # noqa: PTH100  resolve() would follow a link to a file
        folder, last = os.path.split(plain)
        if folder not in folders:
            folders[folder] = catalogue_folders(Path(folder), root)
        names = [last if one == "." else f"{one}/{last}" for one in folders[folder]]
        known = catalogue.find(names)
        name = next((one for one in names if one in known), names[0])
        named.setdefault(name, plain)
    return named


def _check_source(writer: Writer, root: Path, files: list[Path] | None) -> str:
    """Refuse another folder than the stored one while that one is still there."""
    source = FOLDER if files is None else FILES
    if not writer.finished:
        return source
    facts = writer.catalogue.facts
    folder = writer.layout.folder
    if facts.get("source", FOLDER) != source:
        was = "a folder" if source == FILES else "a list of files"
        raise ParameterError(
            f"{folder}: was built from {was} ({facts.get('image_root')}); "
            "use add for more pictures, or build into another folder"
        )
    stored = facts.get("image_root", "")
    if files is None and Path(stored).is_dir() and Path(stored) != root.resolve():
        raise ParameterError(
            f"{folder}: was built from {stored}, not from {root.resolve()}; build "
            "into another folder, or use add for pictures from elsewhere"
        )
    return source


def _check_utf8(facts: Mapping[str, str]) -> None:
    """Refuse the names that the catalogue can't keep, before pictures are described."""
    for name in facts.values():
        try:
            name.encode()
        except UnicodeEncodeError as error:
            shown = name.encode("utf-8", "backslashreplace").decode()
            raise ParameterError(f"{shown}: its name is not UTF-8; rename it") from error


def _common_folder(files: list[Path]) -> Path:
    """The folder that all files lie below."""
    folders = {str(file.absolute().parent) for file in files}
    try:
        return Path(os.path.commonpath(folders))
    except ValueError:  # several drives, on Windows
        return Path(min(folders))


def _relative(root: Path, folder: Path) -> str:
    try:
        relative = os.path.relpath(root.resolve(), folder.resolve())
    except ValueError:  # another drive, on Windows
        return ""
    return Path(relative).as_posix()
