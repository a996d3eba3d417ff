"""Vocabularies: descriptors in, word ids out.

::

    descriptors (n, d) -> KMeans.fit -> centroids_ (n_words, d)
                          KMeans.predict -> word_ids (n,)  -> cbir.aggregation

A vocabulary is a learned map: the constructor only stores its arguments, `fit` returns self,
learned state ends in ``_`` and never changes afterwards. Read first: `cbir.reference.kmeans`, the
same in twenty lines of NumPy; then `cbir.vocabulary.kmeans`, then csrc/kmeans/kmeans.h.
"""

from typing import Any

from cbir.vocabulary.kmeans import KMeans

VOCABULARIES: dict[str, Any] = {"kmeans": KMeans}

__all__ = ["VOCABULARIES", "KMeans"]
