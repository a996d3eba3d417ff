"""A recipe made alive: from pictures to an answer. The only place that knows how parts fit.

::

                +-- feature -- stages -- index --+      one channel
    picture --> |                                | --> fusion --> re-rankers --> SearchResult
                +-- feature -- stages -- index --+      another

Map::

    pipeline.py   Pipeline: decode, describe, answer                    <- read this first
    query.py      Picture, Query, and regions in the picture's own pixels
    channel.py    Channel: a feature, its stages and an index, fitted and saved
    stage.py      how transforms, vocabulary and aggregation are fitted and joined
    batches.py    Batches: features of a whole collection, walked a batch at a time
    spill.py      word counts of a build, on disk instead of in memory
    answer.py     search, fuse, re-rank; ArrayDatabase
    fusion.py     one ranking out of several channels
    threads.py    OpenCV's threads off while ours go over images

It opens no collection and writes nothing but fitted state. It is made of parts only, and
`cbir.collection` is made of it.
"""

from cbir.pipeline.answer import ArrayDatabase
from cbir.pipeline.batches import SAMPLE_BYTES, Batches, batch_of, unpacked_batch
from cbir.pipeline.channel import Channel
from cbir.pipeline.pipeline import Pipeline
from cbir.pipeline.query import Picture, Query
from cbir.pipeline.stage import Progress
from cbir.pipeline.threads import one_opencv_thread
from cbir.rerank import Database

__all__ = [
    "SAMPLE_BYTES",
    "ArrayDatabase",
    "Batches",
    "Channel",
    "Database",
    "Picture",
    "Pipeline",
    "Progress",
    "Query",
    "batch_of",
    "one_opencv_thread",
    "unpacked_batch",
]
