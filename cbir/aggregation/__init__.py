"""From the many descriptors of an image to one vector for it.

::

    Bags --> vocabulary.predict --> word ids --+--> BagOfWords: how often is each word there?
    (N, d)   (cbir.vocabulary)      (N,)       |                                -> SparseVectors
                                               +--> VLAD: what do the words leave unexplained?
                                                                                -> (n, k d) float32

A bag of words with many words (10^4 and more) is sparse and is searched in an inverted file; VLAD
with few words (16 to 256) is dense and is searched like any vector. Both are learned maps: ``fit``,
``transform``, ``save``, ``load``; both give a zero row for an image without descriptors. What they
take and give stands in `takes` and `gives`; `learns` says whether `fit` learns anything. An
aggregation that learns from all images (the idf of a bag of words) is fitted a batch at a time:
``count`` each, ``fit_counts`` to all of them, ``weigh`` each.

Read first: `cbir.reference.bow` and `cbir.reference.vlad`, the plain twins; then `bow.py` and
`vlad.py` here, whose flat loops are ``_bow.pyx`` and ``csrc/vlad/``. A new aggregation is a file
beside these and a line in `AGGREGATIONS`.
"""

from typing import Any

from cbir.aggregation.bow import BagOfWords
from cbir.aggregation.vlad import VLAD

AGGREGATIONS: dict[str, Any] = {"bow": BagOfWords, "vlad": VLAD}

__all__ = ["AGGREGATIONS", "VLAD", "BagOfWords"]
