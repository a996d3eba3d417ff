"""How a collection is written: describe, fit, index, publish; each step can be cut off.

::

    changes -> features/<hash>/part-*.h5 -> model/<channel>/ -> index/<channel>/segment-*
                                    -> one transaction of catalogue.sqlite

Every arrow ends in a rename, and everything written is decided by what was done before and by the
pictures alone. A writer that is killed anywhere before the transaction leaves the last generation
as it was, and the same command run again ends in the same bytes as if it had never been stopped:
features that it left behind are taken over by content, a model that was fitted to exactly these
parts is taken over, segments that no catalogue names are deleted and made again.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbir._checks import threads
from cbir.collection import indexing
from cbir.collection.extraction import Extracted, Known, extract
from cbir.collection.opening import read_recipe
from cbir.collection.report import BuildReport, peak_memory
from cbir.collection.scanning import Changes, Progress
from cbir.errors import ImageError, ParameterError
from cbir.pipeline import Channel, Pipeline
from cbir.recipe import Recipe
from cbir.store import (
    Catalogue,
    ImageRow,
    Layout,
    PartRow,
    Publication,
    SegmentRow,
    atomic_write,
    create_catalogue,
    manifests,
    note_times,
)
from cbir.store.atomic import remove_tree


class Writer:
    """Writes one collection. Whoever uses it holds the writer's lock.

    Parameters
    ----------
    pipeline : the fitted pipeline, if it is open already.

    Raises
    ------
    ParameterError if the collection was made under another recipe; FormatError.
    """

    def __init__(
        self,
        layout: Layout,
        recipe: Recipe,
        *,
        pipeline: Pipeline | None = None,
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
        self._pipeline = pipeline
        layout.sweep_temporaries()
        if not layout.catalogue.exists():
            create_catalogue(layout.catalogue)
        self.catalogue = Catalogue(layout.catalogue)
        self.finished = self.catalogue.generation.number > 0
        if self.finished:
            self._stored = _check_recipe(layout, self.catalogue, recipe)
        layout.sweep_segments(named_files(self.catalogue))
        self._left = layout.set_aside(named_files(self.catalogue))

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what happens inside under `name`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._took(name, time.perf_counter() - start)

    def apply(
        self, changes: Changes, removed: Iterable[int], facts: Mapping[str, str]
    ) -> BuildReport:
        """Publish what a scan found, and the removal of the images `removed`.

        Nothing is published if there is nothing to change.
        """
        if self.strict and changes.failed:
            path, reason = changes.failed[0]
            raise ImageError(f"{path}: {reason}")
        with self.stage("features"):
            extracted = self._extract(changes)
        rows, replaced = self._settle(extracted, changes)
        leaving = {*removed, *replaced}
        dying = sorted(leaving)
        relabelled = {i: label for i, label in changes.relabelled.items() if i not in leaving}
        new_facts = {k: v for k, v in facts.items() if self.catalogue.facts.get(k) != v}
        if not self.finished and not extracted.parts:
            raise ImageError(_all_failed(rows))
        if rows or dying or relabelled or new_facts:
            labels = {
                row.id: changes.new[row.id - self.catalogue.generation.next_id].label
                for row in rows
            }
            self._publish(extracted, rows, labels, dying, relabelled, new_facts)
        if changes.times:
            note_times(self.layout.catalogue, changes.times)
        self.sweep()
        self.report.relabelled = len(relabelled)
        self.report.gone = len(set(changes.gone) - leaving)
        return self._report(changes, rows)

    def change_recipe(self) -> None:
        """Take over what may change in a recipe: its name, fusion, re-rankers and search knobs.

        Two publications, and the file between them: whenever the writer is killed, the file that
        lies there is one that the catalogue allows, and the next one goes on from there.
        """
        if not self.finished:
            return
        allowed = self.catalogue.facts["recipe_file"].split()
        if len(allowed) == 1 and self.recipe.to_dict() == self._stored.to_dict():
            return
        text = self.recipe.to_toml().encode()
        new = hashlib.sha256(text).hexdigest()
        if new not in allowed:
            with Publication(self.layout.catalogue) as p:
                p.facts = {"recipe_file": " ".join([*allowed, new])}
        atomic_write(self.layout.recipe, text)
        with Publication(self.layout.catalogue) as p:
            p.facts = {"recipe_file": new}
        self.reopen()

    def _extract(self, changes: Changes) -> Extracted:
        if not changes.new:
            return Extracted()
        pipeline = self._pipeline or Pipeline(self.recipe, n_threads=self.n_threads)
        self._pipeline = pipeline
        before = self.catalogue.generation
        return extract(
            changes.new,
            pipeline,
            self.layout,
            Known(self.layout, self.catalogue, self._left),
            first_id=before.next_id,
            first_part=before.next_part,
            n_threads=self.n_threads,
            strict=self.strict,
            progress=self.progress,
        )

    def _settle(self, extracted: Extracted, changes: Changes) -> tuple[list[ImageRow], list[int]]:
        """Rows that come, and ids that leave for them; what is as it was is left alone."""
        rows: list[ImageRow] = []
        replaced: list[int] = []
        for row, candidate in zip(extracted.rows, changes.new, strict=True):
            if candidate.old is not None and row.state == "failed":
                if candidate.old_state == "failed" and row.error == candidate.old_error:
                    changes.failed.append((row.path, str(row.error)))
                    continue
                if candidate.old_state == "ok" and row.passing:
                    changes.unreachable.append((row.path, str(row.error)))
                    continue
            rows.append(row)
            if candidate.old is not None:
                replaced.append(candidate.old)
        return rows, replaced

    def _publish(
        self,
        extracted: Extracted,
        rows: list[ImageRow],
        labels: Mapping[int, str | None],
        dying: list[int],
        relabelled: Mapping[int, str | None],
        facts: dict[str, str],
    ) -> None:
        before = self.catalogue.generation
        known = self.catalogue.images(dying)
        leaving = np.array([i for i in dying if known[i].state == "ok"], np.int64)
        if not self.finished:
            text = self.recipe.to_toml().encode()
            atomic_write(self.layout.recipe, text)
            facts["recipe_hash"] = self.recipe.hash
            facts["recipe_file"] = hashlib.sha256(text).hexdigest()
        segments, dropped = self._index(extracted, rows, leaving)
        with self.stage("publish"), Publication(self.layout.catalogue) as p:
            if not self.finished:
                for name in self.recipe.channels:
                    facts[f"model.{name}"] = manifests(self.layout.model(name))
            p.kill(dying)
            p.relabel(relabelled)
            p.add(rows, {i: label for i, label in labels.items() if label is not None})
            for channel, number in dropped:
                p.drop_segment(channel, number)
            for segment in segments:
                p.add_segment(segment)
            for part in extracted.parts:
                p.add_part(part)
            p.next_id = max([before.next_id, *(row.id + 1 for row in rows)])
            p.next_part = max([before.next_part, *(one.number + 1 for one in extracted.parts)])
            p.next_segment = before.next_segment + bool(segments)
            p.facts = facts
        self.reopen()
        self.report.added = sum(row.state == "ok" for row in rows)
        self.report.removed = len(leaving)

    def _index(
        self, extracted: Extracted, rows: list[ImageRow], leaving: NDArray[np.int64]
    ) -> tuple[list[SegmentRow], list[tuple[str, int]]]:
        """Write a segment for each channel; give them, and (channel, number) of those swallowed."""
        if not extracted.parts:
            return [], []
        written: list[SegmentRow] = []
        dropped: list[tuple[str, int]] = []
        ids = _ids_by_part(rows)
        assert self._pipeline is not None
        for name, empty in list(self._pipeline.channels.items()):
            parts = [one for one in extracted.parts if one.feature == empty.feature_hash]
            channel, fitted = self._channel(empty, parts)
            with self.stage("index"):
                new = indexing.index_of(
                    self.layout,
                    channel,
                    parts,
                    [ids[one.number] for one in parts],
                    fitted,
                    n_threads=self.n_threads,
                    progress=self.progress,
                )
                taken = self._swallowed(name, new.ntotal, leaving)
                index = indexing.merged(
                    self.layout,
                    self.catalogue,
                    channel,
                    taken,
                    new,
                    leaving,
                    n_threads=self.n_threads,
                )
                number = self.catalogue.generation.next_segment
                written.append(indexing.write_segment(self.layout, name, number, index))
                dropped += [(name, one.number) for one in taken]
        remove_tree(self.layout.temporary("counts"))
        return written, dropped

    def _channel(
        self, channel: Channel, parts: list[PartRow]
    ) -> tuple[Channel, Iterator[Any] | None]:
        """The fitted channel: the one that is open, the stored one, or one fitted to `parts`."""
        if channel.is_fitted:
            return channel, None
        if self.finished:
            return indexing.loaded_channel(self.layout, self.recipe, channel), None
        start = time.perf_counter()

        def step(stage: str, done: int, total: int) -> None:
            nonlocal start
            self.progress(stage, done, total)
            if done == total:
                now = time.perf_counter()
                self._took(stage, now - start)
                start = now

        return indexing.fitted_channel(self.layout, self.recipe, channel, parts, step)

    def _swallowed(self, channel: str, n_new: int, leaving: NDArray[np.int64]) -> list[SegmentRow]:
        segments = self.catalogue.segments(channel)
        live = []
        for one in segments:
            here = (leaving >= one.first_id) & (leaving <= one.last_id)
            live.append(one.rows - len(self.catalogue.masked(one)) - int(here.sum()))
        return list(indexing.swallowed(segments, live, n_new))

    def reopen(self) -> None:
        """Go on from the generation that was published."""
        self.catalogue.close()
        self.catalogue = Catalogue(self.layout.catalogue)
        self.finished = True

    def sweep(self, *, keep_previous: bool = True) -> None:
        """Delete what neither the live generation nor the one before it names."""
        named = named_files(self.catalogue, previous=keep_previous)
        self.layout.sweep_parts(named)
        self.layout.sweep_segments(named)

    def pipeline(self) -> Pipeline:
        """The fitted pipeline of a finished collection."""
        if self._pipeline is None or not self._pipeline.is_fitted:
            self._pipeline = Pipeline.load(
                self.layout.models, self.recipe, n_threads=self.n_threads
            )
        return self._pipeline

    def _took(self, stage: str, seconds: float) -> None:
        self.report.seconds[stage] = self.report.seconds.get(stage, 0.0) + seconds

    def _report(self, changes: Changes, rows: list[ImageRow]) -> BuildReport:
        report = self.report
        report.seen = changes.seen
        report.failed = sorted(
            [*changes.failed, *((row.path, str(row.error)) for row in rows if row.error)]
        )
        report.unreachable = sorted(changes.unreachable)
        report.retried = changes.retried
        return self.tell()

    def tell(self) -> BuildReport:
        """Complete the report by what the collection holds now."""
        report, generation = self.report, self.catalogue.generation
        report.indexed = generation.indexed
        report.generation = generation.number
        report.peak_memory_bytes = peak_memory()
        n = max(generation.indexed, 1)
        report.bytes_per_image = self.catalogue.bytes_of("segments") / n
        report.feature_bytes_per_image = self.catalogue.bytes_of("parts") / n
        return report


def named_files(catalogue: Catalogue, *, previous: bool = True) -> set[str]:
    """Names of the parts and segments that the live generation has, and the one before it."""
    parts = catalogue.numbered("parts", previous=previous)
    segments = catalogue.numbered("segments", previous=previous)
    return {Layout.part_name(*one) for one in parts} | {Layout.segment_name(*s) for s in segments}


def _check_recipe(layout: Layout, catalogue: Catalogue, recipe: Recipe) -> Recipe:
    """Give the stored recipe, of which `recipe` may differ only in what no hash covers."""
    stored = read_recipe(layout, catalogue)
    if recipe.hash != stored.hash:
        differences = recipe.differences(stored)
        more = f" and {len(differences) - 3} more" if len(differences) > 3 else ""
        raise ParameterError(
            f"{layout.folder}: was made under another recipe: {', '.join(differences[:3])}{more}; "
            "build into another folder or delete this one"
        )
    return stored


def _ids_by_part(rows: list[ImageRow]) -> dict[int, NDArray[np.int64]]:
    found: dict[int, list[int]] = {}
    for row in rows:
        if row.state == "ok":
            found.setdefault(row.part, []).append(row.id)
    return {number: np.array(ids, np.int64) for number, ids in found.items()}


def _all_failed(rows: list[ImageRow]) -> str:
    first = "; ".join(f"{row.path}: {row.error}" for row in rows[:5])
    more = f"; and {len(rows) - 5} more" if len(rows) > 5 else ""
    return f"none of the {len(rows)} pictures could be used: {first}{more}"
