"""How a collection is written: compare, describe, fit, index, publish; each step can be cut off.

::

    scan -> compare with the catalogue -> features/part-*.h5 -> model/ -> index/000002/
                                                      -> catalogue.sqlite -> CURRENT

Every arrow ends in a rename, and everything written is decided by what was there before and by the
pictures alone. So a build killed anywhere leaves the last generation as it was, and the same
command run again ends in the same bytes as if it had never been stopped:

- parts left behind are recognised by their key and taken over;
- a model left behind by a first build is taken over if it was fitted to exactly these parts;
- a generation the catalogue does not know yet is deleted and made again;
- a catalogue newer than CURRENT means that only CURRENT was missing.

The model is fitted by the first build and then stays: vectors of different generations can be
compared, and pictures come and go without touching the others.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import cbir
from cbir import indexes
from cbir._checks import threads
from cbir._describe import Found, Progress, describe_parts, n_descriptors, stored_batches
from cbir.errors import FormatError, ImageError, ParameterError
from cbir.pipeline import Pipeline, Vectors
from cbir.recipe import Recipe
from cbir.store import Catalogue, ImageRow, Layout, atomic_folder, atomic_write
from cbir.store.atomic import write_file
from cbir.store.layout import folder_bytes

RECIPE_HASH = "recipe.sha256"  # beside the index of each generation


@dataclass
class BuildReport:
    """What a build did.

    Attributes
    ----------
    seen, indexed : pictures found, and pictures in the index afterwards.
    failed : (path, reason) of the pictures found that could not be indexed.
    added, removed : images this build put into the index and took out of it.
    seconds : stage -> wall seconds (scan, features, vocabulary, aggregation, index, publish).
    bytes_per_image, feature_bytes_per_image : size of the index, and of the stored features, on
        disk per indexed image.
    peak_memory_bytes : of this process up to now; 0 where the system does not say.
    generation : number of the live generation.
    """

    seen: int = 0
    indexed: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    added: int = 0
    removed: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    bytes_per_image: float = 0.0
    feature_bytes_per_image: float = 0.0
    peak_memory_bytes: int = 0
    generation: int = 0

    def to_json(self) -> str:
        """One JSON object on one line."""
        return json.dumps(asdict(self), ensure_ascii=False)


class Builder:
    """Writes one collection. Whoever uses it holds the writer's lock."""

    def __init__(
        self,
        layout: Layout,
        recipe: Recipe,
        *,
        n_threads: int = 0,
        strict: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self.layout = layout
        self.recipe = recipe
        self.n_threads = threads(n_threads, who="Collection")
        self.strict = strict
        self.progress: Progress = progress or (lambda stage, done, total: None)
        self.report = BuildReport()
        self.catalogue = self._take_over()
        self.finished = self.catalogue.generation > 0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside under `name`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            elapsed = time.perf_counter() - start
            self.report.seconds[name] = self.report.seconds.get(name, 0.0) + elapsed

    def apply(self, found: list[Found], gone: set[int], facts: dict[str, str]) -> BuildReport:
        """Bring the collection to where `found` is in it and the rows `gone` are not.

        A path that is there with the same content stays as it is; with other content it gets a new
        id. Rows whose label changed are updated.
        """
        self._write_recipe()
        present = self.catalogue.present()
        new: list[Found] = []
        kept: dict[int, ImageRow] = {}
        for one in found:
            row = present.get(one.path)
            if row is not None and row.hash == one.hash:  # "" both times: still can't be read
                kept[row.id] = replace(row, label=one.label)
            else:
                new.append(one)
                if row is not None:
                    gone = gone | {row.id}
        relabelled = [row for i, row in kept.items() if self.catalogue.rows[i] != row]
        bad = next((row for row in kept.values() if row.state == "failed"), None)
        if self.strict and bad is not None:
            raise ImageError(f"{bad.path}: {bad.error}")
        facts = {**self.catalogue.facts, **facts, "recipe_hash": self.recipe.hash}
        if new or gone or relabelled or facts != self.catalogue.facts:
            self._rebuild(new, gone, relabelled, facts)
        return self._report({one.path for one in found})

    def _rebuild(
        self, new: list[Found], gone: set[int], relabelled: list[ImageRow], facts: dict[str, str]
    ) -> None:
        old = self.catalogue
        first_id, first_part = old.next_id, old.n_parts + 1
        with self.stage("features"):
            rows = describe_parts(
                self.layout,
                Pipeline(self.recipe, n_threads=1),
                new,
                first_id=first_id,
                first_part=first_part,
                version=cbir.__version__,
                n_threads=self.n_threads,
                strict=self.strict,
                progress=self.progress,
            )
        parts = sorted({row.part for row in rows if row.state == "ok"})
        catalogue = Catalogue(
            rows=dict(old.rows),
            generation=old.generation,
            next_id=first_id + len(new),
            n_parts=max([old.n_parts, *(row.part for row in rows)]),
            facts=facts,
        )
        catalogue.put(relabelled)
        catalogue.put(replace(catalogue.rows[i], state="removed") for i in sorted(gone))
        catalogue.put(rows)
        leaving = [i for i in sorted(gone) if old.rows[i].state == "ok"]
        if not self.finished and not parts:
            catalogue.write(self.layout.catalogue)
            raise ImageError(_all_failed(rows))
        if parts or leaving:
            pipeline, counted = self._model(parts)
            with self.stage("index"):
                index = self._index(pipeline, leaving, parts, counted)
                catalogue.generation += 1
                self._publish_index(index, catalogue.generation)
        with self.stage("publish"):
            catalogue.write(self.layout.catalogue)
            if catalogue.generation != self.layout.current():
                self.layout.set_current(catalogue.generation)
            self.layout.remove_other_generations(catalogue.generation)
        self.catalogue = catalogue
        self.report.added = sum(row.state == "ok" for row in rows)
        self.report.removed = len(leaving)

    def _model(self, parts: list[int]) -> tuple[Pipeline, list[Vectors]]:
        """The fitted pipeline: the stored one, or one fitted to `parts` now.

        The second value holds the new vectors of each part, if fitting made them on the way.
        """
        if self.finished:
            model = Pipeline.load(self.layout.model, self.recipe, n_threads=self.n_threads)
            return model, []
        counts, fingerprint = self._fingerprint(parts)
        try:
            if Pipeline.facts(self.layout.model).get("parts") == fingerprint:
                model = Pipeline.load(self.layout.model, self.recipe, n_threads=self.n_threads)
                return model, []
        except FormatError:
            pass  # none yet, or one of an earlier attempt with other pictures: fit anew
        pipeline = Pipeline(self.recipe, n_threads=self.n_threads)
        start = time.perf_counter()

        def step(stage: str, done: int, total: int) -> None:
            nonlocal start
            self.progress(stage, done, total)
            if done == total:
                now = time.perf_counter()
                self.report.seconds[stage] = now - start
                start = now

        kept = pipeline.fit_batches(
            lambda: (batch for _, batch in stored_batches(self.layout, pipeline, parts)),
            counts,
            progress=step,
        )
        with self.stage("publish"), atomic_folder(self.layout.model) as folder:
            pipeline.save(folder, {"parts": fingerprint})
        return pipeline, [pipeline.vectors_from_counts(one) for one in kept]

    def _fingerprint(self, parts: list[int]) -> tuple[list[int], str]:
        """Descriptors per part, and a digest of which parts a model was fitted to."""
        counts, keys = [], []
        for part, batch in stored_batches(self.layout, Pipeline(self.recipe), parts):
            counts.append(n_descriptors(batch))
            keys.append(part.key)
        return counts, hashlib.sha256("\n".join(keys).encode()).hexdigest()

    def _index(
        self, pipeline: Pipeline, leaving: list[int], parts: list[int], counted: list[Vectors]
    ) -> Any:
        if self.finished:
            index = indexes.load(self.layout.generation(self.catalogue.generation))
            if leaving:
                index.remove(leaving)
        else:
            index = pipeline.new_index()
        total = len(parts)
        for k, (part, batch) in enumerate(stored_batches(self.layout, pipeline, parts)):
            vectors = counted[k] if counted else pipeline.vectors_of(batch)
            index.add(vectors, ids=part.image_ids)
            self.progress("index", k + 1, total)
        return index

    def _publish_index(self, index: Any, generation: int) -> None:
        with atomic_folder(self.layout.generation(generation)) as folder:
            index.save(folder)
            write_file(folder / RECIPE_HASH, [f"{self.recipe.hash}\n".encode()])

    def _take_over(self) -> Catalogue:
        """Clean up after a writer that was killed, and give the catalogue to go on from."""
        layout = self.layout
        layout.remove_temporaries()
        current = layout.current()
        catalogue = Catalogue()
        if current or layout.catalogue.exists():
            catalogue = Catalogue.read(layout.catalogue)
        if catalogue.generation < current:
            raise FormatError(
                f"{layout.catalogue}: knows generation {catalogue.generation}, "
                f"{layout.current_file} says {current}: altered"
            )
        if catalogue.generation == 0:
            # No build was ever finished. Whatever lies here is looked at again from the start.
            layout.remove_other_generations(0)
            return Catalogue()
        stored = read_recipe(layout)
        if stored.hash != catalogue.facts.get("recipe_hash"):
            raise FormatError(f"{layout.recipe}: not the recipe the collection was made under")
        if self.recipe.hash != stored.hash:
            raise ParameterError(
                f"{layout.folder}: was made under another recipe ({stored.name}, hash "
                f"{stored.hash[:12]}) than the one given ({self.recipe.name}, hash "
                f"{self.recipe.hash[:12]}): {_difference(stored, self.recipe)}; "
                "build into another folder or delete this one"
            )
        if catalogue.generation > current:
            layout.set_current(catalogue.generation)
        layout.remove_other_generations(catalogue.generation)
        return catalogue

    def _write_recipe(self) -> None:
        text = self.recipe.to_toml().encode()
        if self.finished:
            return
        if not self.layout.recipe.exists() or self.layout.recipe.read_bytes() != text:
            atomic_write(self.layout.recipe, text)

    def _report(self, paths: set[str]) -> BuildReport:
        report, rows = self.report, self.catalogue.present()
        report.seen = len(paths)
        report.indexed = sum(row.state == "ok" for row in rows.values())
        report.failed = [
            (path, str(row.error))
            for path, row in rows.items()
            if row.state == "failed" and path in paths
        ]
        report.generation = self.catalogue.generation
        folder = self.layout.generation(report.generation)
        n = max(report.indexed, 1)
        report.bytes_per_image = folder_bytes(folder) / n
        report.feature_bytes_per_image = folder_bytes(self.layout.features) / n
        report.peak_memory_bytes = peak_memory()
        return report


def read_recipe(layout: Layout) -> Recipe:
    """The recipe a collection was made under. Raises FormatError."""
    try:
        return Recipe.from_toml(layout.recipe.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # ParameterError and UnicodeDecodeError are ValueErrors
        raise FormatError(f"{layout.recipe}: cannot be read, cut or altered ({error})") from error


def peak_memory() -> int:
    """Most memory this process has held, in bytes; 0 on Windows."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


def resolve_labels(spec: str | os.PathLike[str], paths: list[str]) -> list[str | None]:
    """Label of each path under a spec: ukbench, folders, none, or a CSV file."""
    if str(spec) == "none":
        return [None] * len(paths)
    from cbir import datasets

    resolve: Callable[..., list[str | None]] = datasets.resolve_labels
    return resolve(str(spec), paths)


def _all_failed(rows: Iterable[ImageRow]) -> str:
    rows = list(rows)
    first = "; ".join(f"{row.path}: {row.error}" for row in rows[:5])
    more = f"; and {len(rows) - 5} more" if len(rows) > 5 else ""
    return f"none of the {len(rows)} pictures could be used: {first}{more}"


def _difference(a: Recipe, b: Recipe) -> str:
    """Which values differ, as ``table.key: x, not y``."""
    said = []
    left, right = a.model_dump(), b.model_dump()
    for table in left:
        x, y = left[table], right[table]
        if table == "name" or x == y:
            continue
        if not (isinstance(x, dict) and isinstance(y, dict)):
            said.append(f"{table} is {x}, not {y}" if not isinstance(x, dict) else table)
            continue
        said += [
            f"{table}.{key} is {x.get(key)!r}, not {y.get(key)!r}"
            for key in {**x, **y}
            if x.get(key) != y.get(key)
        ]
    return ", ".join(said)
