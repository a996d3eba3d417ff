"""Collections of many images without any picture: random rows under made-up names.

What is measured on them is the house around the index (catalogue, segments, parts), whose costs do
not depend on what the rows mean. Everything on disk is as a build leaves it: `Collection.check`
finds nothing wrong.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from cbir.collection import indexing
from cbir.collection.extraction import PART_IMAGES, write_part
from cbir.pipeline import Batches, Pipeline
from cbir.recipe import Recipe
from cbir.store import (
    FeaturePart,
    ImageRow,
    Layout,
    Publication,
    atomic_folder,
    atomic_write,
    claim,
    create_catalogue,
    manifests,
)

RECIPE = Recipe.load("colour", ["feature.bins=[4, 4, 4]"])  # 64 values, searched one by one


def make_collection(path: Path, root: Path, n: int, *, seed: int = 0) -> None:
    """Make a collection of `n` images, 64-D rows, labelled in fours, that claims `root` as its own.

    The rows are kept as features too, 256 images to a part, as a build does.
    """
    layout = Layout(path)
    claim(path)
    create_catalogue(layout.catalogue)
    rng = np.random.default_rng(seed)
    pipeline = Pipeline(RECIPE)
    (feature,) = pipeline.features
    (channel,) = pipeline.channels.values()
    x = rng.random((n, channel.feature.d), np.float32)
    channel.fit(Batches.of(x[:1000]))
    with atomic_folder(layout.model(channel.name)) as folder:
        channel.save(folder, {"parts": ""})
    hashes = [hashlib.sha256(b"%d" % i).digest() for i in range(n)]
    parts = []
    for start in range(0, n, PART_IMAGES):
        ids = range(start, min(start + PART_IMAGES, n))
        labels, some = [str(i // 4) for i in ids], [hashes[i] for i in ids]
        part = FeaturePart.of(
            ids, labels, some, [(640, 480)] * len(ids), list(x[ids.start : ids.stop])
        )
        parts.append(write_part(part, layout, feature, start // PART_IMAGES + 1))
    index = channel.new_index()
    index.add(x, ids=np.arange(n))
    segment = indexing.write_segment(layout, channel.name, 1, index)
    text = RECIPE.to_toml().encode()
    atomic_write(layout.recipe, text)
    with Publication(layout.catalogue) as p:
        rows = [
            ImageRow(
                id=i,
                path=f"{i // 1000:05d}/{i:08d}.jpg",
                hash=hashes[i],
                bytes=50_000,
                mtime_ns=1_600_000_000_000_000_000 + i,
                width=640,
                height=480,
                state="ok",
                error=None,
                passing=False,
                part=i // PART_IMAGES + 1,
                row=i % PART_IMAGES,
            )
            for i in range(n)
        ]
        p.add(rows, {i: str(i // 4) for i in range(n)})
        for part_row in parts:
            p.add_part(part_row)
        p.add_segment(segment)
        p.next_id, p.next_part, p.next_segment = n, len(parts) + 1, 2
        p.facts = {
            "image_root": root.resolve().as_posix(),
            "image_root_relative": "",
            "labels": "none",
            "source": "folder",
            "recipe_hash": RECIPE.hash,
            "recipe_file": hashlib.sha256(text).hexdigest(),
            f"model.{channel.name}": manifests(layout.model(channel.name)),
        }
