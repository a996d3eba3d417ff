"""Plain NumPy twins of every native concept: what the tests compare with, and what a student reads
first.

Clarity beats speed here without exception. A twin has the name of its concept:
`cbir/reference/kmeans.py` is the twin of csrc/kmeans/ and of `cbir.vocabulary.kmeans`.
"""
