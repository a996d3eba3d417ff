"""Free what removed pictures held: one segment for each channel, parts without their features.

Parts that hold nothing removed stay as they are. The files of the generation before are deleted at
once, which the writers of other changes leave to the next one: whoever opens at this moment finds
them missing and starts again with the new generation.
"""

from __future__ import annotations

import numpy as np

from cbir.collection import extraction, indexing
from cbir.collection.extraction import write_part
from cbir.collection.report import BuildReport
from cbir.collection.writing import Writer, feature_bytes, index_bytes
from cbir.store import FeaturePart, PartRow, Publication, SegmentRow


def compact(writer: Writer) -> BuildReport:
    """Rewrite what holds removed pictures; `freed_bytes` of the report says what it brought."""
    catalogue, layout, report = writer.catalogue, writer.layout, writer.report
    before = _bytes(writer)
    with writer.stage("features"):
        stale = _stale_parts(writer)
        written, places = _rewritten(writer, stale)
    with writer.stage("index"):
        segments, dropped = _segments(writer)
    if stale or dropped:
        dead = catalogue.rows("SELECT id FROM images WHERE died IS NOT NULL AND part > 0")
        with writer.stage("publish"), Publication(layout.catalogue) as p:
            p.move([(i, 0, 0) for (i,) in dead])
            p.move([(i, *place) for i, place in places.items()])
            for part in stale:
                p.drop_part(part.feature, part.number)
            for part in written:
                p.add_part(part)
            for channel, number in dropped:
                p.drop_segment(channel, number)
            for segment in segments:
                p.add_segment(segment)
            p.next_part = max([p.next_part, *(one.number + 1 for one in written)])
            p.next_segment += bool(segments)
        writer.reopen()
    writer.sweep(keep_previous=False)
    report.freed_bytes = max(before - _bytes(writer), 0)
    writer.tell()
    return report


def _bytes(writer: Writer) -> int:
    layout, catalogue = writer.layout, writer.catalogue
    return index_bytes(layout, catalogue, writer.recipe) + feature_bytes(layout, catalogue)


def _stale_parts(writer: Writer) -> list[PartRow]:
    """Parts that hold features of removed pictures."""
    sql = "SELECT DISTINCT part FROM images WHERE died IS NOT NULL AND part > 0"
    numbers = {row[0] for row in writer.catalogue.rows(sql)}
    return [one for one in writer.catalogue.parts() if one.number in numbers]


def _rewritten(
    writer: Writer, stale: list[PartRow]
) -> tuple[list[PartRow], dict[int, tuple[int, int]]]:
    """Write the live features of stale parts anew; give the parts, and (part, row) of each image."""
    catalogue, layout = writer.catalogue, writer.layout
    written: list[PartRow] = []
    places: dict[int, tuple[int, int]] = {}
    for feature in dict.fromkeys(one.feature for one in stale):
        number, full = catalogue.generation.next_part, extraction.PART_IMAGES
        ids: list[int] = []
        gathered: list[tuple[FeaturePart, int]] = []

        def flush(feature: str = feature) -> None:
            nonlocal number, ids, gathered
            if ids:
                part = FeaturePart.of(
                    ids,
                    [part.labels[row] for part, row in gathered],
                    [part.hashes[row].tobytes() for part, row in gathered],
                    [tuple(part.sizes[row].tolist()) for part, row in gathered],
                    [part.stored(row) for part, row in gathered],
                )
                places.update({i: (number, row) for row, i in enumerate(ids)})
                written.append(write_part(part, layout, feature, number))
                number, ids, gathered = number + 1, [], []

        for one in (p for p in stale if p.feature == feature):
            part = FeaturePart.read(
                layout.part(feature, one.number), feature_hash=feature, checksum=one.checksum
            )
            live = catalogue.indexed_ids(*_bounds(part))
            for row in np.flatnonzero(np.isin(part.image_ids, live)).tolist():
                ids.append(int(part.image_ids[row]))
                gathered.append((part, row))
                if len(ids) == full:
                    flush()
        flush()
    return written, places


def _bounds(part: FeaturePart) -> tuple[int, int]:
    return int(part.image_ids.min()), int(part.image_ids.max())


def _segments(writer: Writer) -> tuple[list[SegmentRow], list[tuple[str, int]]]:
    """Merge the segments of each channel that has several, or removed rows in one."""
    catalogue, layout = writer.catalogue, writer.layout
    written: list[SegmentRow] = []
    dropped: list[tuple[str, int]] = []
    none = np.zeros(0, np.int64)
    for name, empty in writer.pipeline().channels.items():
        segments = catalogue.segments(name)
        if len(segments) < 2 and not any(len(catalogue.masked(one)) for one in segments):
            continue
        index = indexing.merged(
            layout, catalogue, empty, segments, None, none, n_threads=writer.n_threads
        )
        if index.ntotal:
            number = catalogue.generation.next_segment
            written.append(indexing.write_segment(layout, name, number, index))
        dropped += [(name, one.number) for one in segments]
    return written, dropped
