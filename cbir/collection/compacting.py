"""Free what removed pictures held: one segment for each channel, parts without their features.

Small parts, of which every single addition makes one, are joined on the way; full ones that hold
nothing removed stay as they are. The files of the generation before are deleted at once, which the
writers of other changes leave to the next one: whoever opens at this moment finds them missing and
starts again with the new generation.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cbir.collection import extraction, indexing
from cbir.collection.extraction import write_part
from cbir.collection.report import BuildReport
from cbir.collection.writing import Writer
from cbir.errors import FormatError
from cbir.store import (
    FeaturePart,
    ImageRow,
    PartRow,
    Publication,
    SegmentRow,
    Stored,
)


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
    return writer.catalogue.bytes_of("segments") + writer.catalogue.bytes_of("parts")


def _stale_parts(writer: Writer) -> list[PartRow]:
    """Parts that hold features of removed pictures, and small ones if there are several."""
    sql = "SELECT DISTINCT part FROM images WHERE died IS NOT NULL AND part > 0"
    numbers = {row[0] for row in writer.catalogue.rows(sql)}
    parts = writer.catalogue.parts()
    sizes = _sizes(parts)
    few = {
        one.number
        for one in parts
        if one.images < extraction.PART_IMAGES // 2
        and sizes[one.number] < extraction.PART_BYTES // 2
    }
    if len(few) > 1:
        numbers |= few
    return [one for one in parts if one.number in numbers]


def _sizes(parts: list[PartRow]) -> dict[int, int]:
    """Bytes of each part, by number, of all features."""
    sizes: dict[int, int] = {}
    for one in parts:
        sizes[one.number] = sizes.get(one.number, 0) + one.bytes
    return sizes


def _rewritten(
    writer: Writer, stale: list[PartRow]
) -> tuple[list[PartRow], dict[int, tuple[int, int]]]:
    """Write the live features of stale parts anew; give parts, and (part, row) of each image."""
    written: list[PartRow] = []
    places: dict[int, tuple[int, int]] = {}
    number = writer.catalogue.generation.next_part
    for group in _groups(writer, stale):
        for feature in dict.fromkeys(one.feature for one in stale):
            checksums = {one.number: one.checksum for one in stale if one.feature == feature}
            part = _joined(writer, feature, checksums, group)
            written.append(write_part(part, writer.layout, feature, number))
        places.update({row.id: (number, place) for place, row in enumerate(group)})
        number += 1
    return written, places


def _groups(writer: Writer, stale: list[PartRow]) -> Iterator[list[ImageRow]]:
    """Live images of stale parts, by id, cut into what fits into a part."""
    images = {one.number: one.images for one in stale}
    sizes = _sizes(stale)
    live = writer.catalogue.in_parts(images)
    group: list[ImageRow] = []
    held = 0
    for row in live:
        size = sizes[row.part] // images[row.part]
        if len(group) == extraction.PART_IMAGES or (group and held + size > extraction.PART_BYTES):
            yield group
            group, held = [], 0
        group.append(row)
        held += size
    if group:
        yield group


def _joined(
    writer: Writer, feature: str, checksums: dict[int, str], group: list[ImageRow]
) -> FeaturePart:
    """The features of some images as one part; each part they lie in is read and checked once."""
    found: dict[int, tuple[str, bytes, tuple[int, int], Stored]] = {}
    for number in dict.fromkeys(row.part for row in group):
        path = writer.layout.part(feature, number)
        part = FeaturePart.read(path, feature_hash=feature, checksum=checksums[number])
        for one in group:
            if one.part == number:
                if not 0 <= one.row < len(part) or int(part.image_ids[one.row]) != one.id:
                    raise FormatError(f"{path}: row {one.row} is not of image {one.id}")
                width, height = part.sizes[one.row].tolist()
                found[one.id] = (
                    part.labels[one.row],
                    part.hashes[one.row].tobytes(),
                    (width, height),
                    part.stored(one.row),
                )
    labels, hashes, sizes, stored = zip(*(found[one.id] for one in group), strict=True)
    return FeaturePart.of([one.id for one in group], labels, hashes, sizes, stored)


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
