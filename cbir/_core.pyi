"""
Native kernels of cbir. Exact arrays only; use the Python classes, which check and explain.
"""
from __future__ import annotations
import collections.abc
import numpy
import numpy.typing
import typing
__all__: list[str] = ['InvertedFile', 'KMeansWords', 'available_threads', 'compiler', 'flat_range', 'flat_score', 'flat_search', 'kmeans_lloyd', 'kmeans_seed_rows', 'set_simd_level', 'simd_level', 'simd_levels', 'vlad_encode', 'vlad_transform']
class KMeansWords:
    """
    A vocabulary packed for the assignment kernel.
    """
    def __init__(self, centroids: numpy.typing.NDArray[numpy.float32]) -> None:
        ...
    def assign(self, x: numpy.typing.NDArray[numpy.float32], n_threads: typing.SupportsInt | typing.SupportsIndex, first_column: typing.SupportsInt | typing.SupportsIndex | None = None) -> numpy.typing.NDArray[numpy.int32]:
        """
        Nearest word of each row, (n,) int32; ties go to the lower word.
        """
    def nearest(self, x: numpy.typing.NDArray[numpy.float32], n_assign: typing.SupportsInt | typing.SupportsIndex, n_threads: typing.SupportsInt | typing.SupportsIndex, first_column: typing.SupportsInt | typing.SupportsIndex | None = None) -> tuple:
        """
        Nearest words and squared distances, (n, n_assign) int32 and float32.
        """
    @property
    def n_filtered(self) -> int:
        """
        Points that the 8-bit filter has decided so far.
        """
class InvertedFile:
    """
    Sparse rows and their postings. Never changes; copies share memory.
    """
    @staticmethod
    def adopted(n_words: typing.SupportsInt | typing.SupportsIndex, metric: str, word_ids: numpy.typing.NDArray[numpy.int32], weights: numpy.typing.NDArray[numpy.float32], offsets: numpy.typing.NDArray[numpy.int64], blocks: numpy.typing.NDArray[numpy.int64], block_largest: numpy.typing.NDArray[numpy.float64], list_offsets: numpy.typing.NDArray[numpy.uint32], list_rows: numpy.typing.NDArray[numpy.uint16], list_weights: numpy.typing.NDArray[numpy.float32], row_sums: numpy.typing.NDArray[numpy.float32], dense_words: numpy.typing.NDArray[numpy.int32], dense_begins: numpy.typing.NDArray[numpy.uint32], dense_masks: numpy.typing.NDArray[numpy.uint64], dense_weights: numpy.typing.NDArray[numpy.float32]) -> InvertedFile:
        """
        Rows and the arrays of their postings as they are, perhaps mapped; only sizes are looked at.
        """
    def __init__(self, n_words: typing.SupportsInt | typing.SupportsIndex, metric: str) -> None:
        ...
    def arrays(self) -> dict:
        """
        Name -> pieces of the arrays of the postings, sharing their memory.
        """
    def extended(self, word_ids: numpy.typing.NDArray[numpy.int32], weights: numpy.typing.NDArray[numpy.float32], offsets: numpy.typing.NDArray[numpy.int64], n_threads: typing.SupportsInt | typing.SupportsIndex = 0) -> InvertedFile:
        """
        One of these rows, which must begin with those of this, whose complete blocks are shared.
        """
    def range(self, ids: numpy.typing.NDArray[numpy.int64], q_word_ids: numpy.typing.NDArray[numpy.int32], q_weights: numpy.typing.NDArray[numpy.float32], q_offsets: numpy.typing.NDArray[numpy.int64], radius: typing.SupportsFloat | typing.SupportsIndex, n_threads: typing.SupportsInt | typing.SupportsIndex = 0, mask: numpy.typing.NDArray[numpy.bool] | None = None, positions: numpy.typing.NDArray[numpy.int64] | None = None) -> tuple:
        """
        Lims, keys and ids of all rows with keys up to radius.
        """
    def score(self, q_word_ids: numpy.typing.NDArray[numpy.int32], q_weights: numpy.typing.NDArray[numpy.float32], q_offsets: numpy.typing.NDArray[numpy.int64], positions: numpy.typing.NDArray[numpy.int64], n_threads: typing.SupportsInt | typing.SupportsIndex = 0) -> numpy.typing.NDArray[numpy.float32]:
        """
        Keys (nq, m) of given rows; positions (1 or nq, m), -1 gives infinity.
        """
    def search(self, ids: numpy.typing.NDArray[numpy.int64], q_word_ids: numpy.typing.NDArray[numpy.int32], q_weights: numpy.typing.NDArray[numpy.float32], q_offsets: numpy.typing.NDArray[numpy.int64], k: typing.SupportsInt | typing.SupportsIndex, n_threads: typing.SupportsInt | typing.SupportsIndex = 0, mask: numpy.typing.NDArray[numpy.bool] | None = None, positions: numpy.typing.NDArray[numpy.int64] | None = None) -> tuple:
        """
        Keys (distances or negated similarities, best first) and ids of the k best rows.
        """
def _parallel_probe(n_chunks: typing.SupportsInt | typing.SupportsIndex, n_threads: typing.SupportsInt | typing.SupportsIndex, failing: typing.SupportsInt | typing.SupportsIndex, ms: typing.SupportsInt | typing.SupportsIndex) -> list[int]:
    """
    Exercise parallel_for; for tests.
    """
def available_threads() -> int:
    """
    CPUs this process may use.
    """
def flat_range(xb: numpy.typing.NDArray[numpy.float32], ids: numpy.typing.NDArray[numpy.int64], xq: numpy.typing.NDArray[numpy.float32], metric: str, radius: typing.SupportsFloat | typing.SupportsIndex, n_threads: typing.SupportsInt | typing.SupportsIndex = 0, mask: numpy.typing.NDArray[numpy.bool] | None = None, positions: numpy.typing.NDArray[numpy.int64] | None = None) -> tuple:
    """
    Lims, keys and ids of all rows of xb with keys up to radius.
    """
def flat_score(xb: numpy.typing.NDArray[numpy.float32], xq: numpy.typing.NDArray[numpy.float32], metric: str, positions: numpy.typing.NDArray[numpy.int64], n_threads: typing.SupportsInt | typing.SupportsIndex = 0) -> numpy.typing.NDArray[numpy.float32]:
    """
    Keys (nq, m) of given rows; positions (1 or nq, m), -1 gives infinity.
    """
def flat_search(xb: numpy.typing.NDArray[numpy.float32], ids: numpy.typing.NDArray[numpy.int64], xq: numpy.typing.NDArray[numpy.float32], metric: str, k: typing.SupportsInt | typing.SupportsIndex, n_threads: typing.SupportsInt | typing.SupportsIndex = 0, mask: numpy.typing.NDArray[numpy.bool] | None = None, positions: numpy.typing.NDArray[numpy.int64] | None = None) -> tuple:
    """
    Keys (squared distances or negated similarities, best first) and ids of the k best rows of xb.
    """
def kmeans_lloyd(x: numpy.typing.NDArray[numpy.float32], start: numpy.typing.NDArray[numpy.float32], n_iter: typing.SupportsInt | typing.SupportsIndex, n_threads: typing.SupportsInt | typing.SupportsIndex, on_assignment: collections.abc.Callable | None = None, first_column: typing.SupportsInt | typing.SupportsIndex | None = None) -> tuple:
    """
    Centroids (n_words, d) float32, inertia of each assignment, empty words repaired.
    """
def kmeans_seed_rows(x: numpy.typing.NDArray[numpy.float32], n_words: typing.SupportsInt | typing.SupportsIndex, seed: typing.SupportsInt | typing.SupportsIndex, n_threads: typing.SupportsInt | typing.SupportsIndex) -> list[int]:
    """
    Rows chosen by k-means++.
    """
def set_simd_level(level: str) -> None:
    """
    Choose a level that this machine has.
    """
def simd_level() -> str:
    """
    Level in use.
    """
def simd_levels() -> list[str]:
    """
    Levels this machine can run, lowest first.
    """
def vlad_encode(x: numpy.typing.NDArray[numpy.float32], offsets: numpy.typing.NDArray[numpy.int64], word_ids: numpy.typing.NDArray[numpy.int32], centroids: numpy.typing.NDArray[numpy.float32], *, signed_sqrt: bool, intra: bool, l2: bool, n_threads: typing.SupportsInt | typing.SupportsIndex, out: numpy.typing.NDArray[numpy.float32]) -> None:
    """
    VLAD of each bag of rows of x (N, d) into out (n, n_words d); see csrc/vlad/vlad.h.
    """
def vlad_transform(x: numpy.typing.NDArray[numpy.float32], offsets: numpy.typing.NDArray[numpy.int64], words: KMeansWords, *, signed_sqrt: bool, intra: bool, l2: bool, n_threads: typing.SupportsInt | typing.SupportsIndex, out: numpy.typing.NDArray[numpy.float32]) -> None:
    """
    words.assign and vlad_encode in one: an image is encoded while its descriptors are still in cache.
    """
compiler: str
