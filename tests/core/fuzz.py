"""Every native entry under random arguments, many of them lies.

A call must give the right answer or an exception that Python code can catch; whether memory was
touched that is nobody's is for the sanitizers to see::

    python tests/sanitize.py address tests/core/test_fuzz.py      a few thousand calls
    python -m tests.core.fuzz --seconds 3600 --seed 1             as long as wished; prints counts

A failing call can be made again: its number and the seed say everything.
"""

import argparse
import collections
import time

import numpy as np

from cbir import _core
from cbir.aggregation import _bow

REFUSALS = (ValueError, TypeError, OverflowError, MemoryError, RuntimeError)
EXTREME = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, -1e-40, 1e-20, 1e18, 3e38, -3e38, 1e30]
LIES = [-1, 0, 1, 2, 3, 7, 2**31 - 1, -(2**31), 2**31, 2**62, -(2**63), 2**63 - 1]
WIDTHS = [0, 1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 64, 65, 128, 129]
COUNTS = [0, 1, 2, 3, 5, 6, 7, 12, 13, 63, 64, 65, 100, 129, 200]


class Fuzz:
    """Draws arguments; each `call_*` is one entry, and looks at what it gives."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.told = collections.Counter()

    def often(self, share=0.9):
        return self.rng.random() < share

    def pick(self, choices):
        return choices[int(self.rng.integers(len(choices)))]

    def floats(self, n, d):
        """A float32 matrix, now and then with extreme values or laid out as it must not be."""
        x = self.rng.normal(size=(n, d)).astype(np.float32)
        x *= np.float32(self.pick([1, 1, 1e-3, 1e3]))
        x += np.float32(self.pick([0, 0, 0, 1000]))
        if x.size and not self.often(0.8):
            at = self.rng.integers(0, x.size, self.pick([1, 1, 3]))
            x.ravel()[at] = [self.pick(EXTREME) for _ in at]
        return self.laid_out(x)

    def laid_out(self, x):
        if self.often(0.96):
            return x
        wide = np.repeat(x, 2, axis=-1)[..., ::2]
        turned = np.asfortranarray(x)
        return self.pick([x.astype(np.float64), turned, wide, x[..., None], x.tolist()])

    def offsets(self, n_bags, total):
        """Offsets from 0 to `total`, or a lie."""
        cuts = np.sort(self.rng.integers(0, total + 1, max(n_bags - 1, 0)))
        out = np.concatenate([[0], cuts, [total]]) if n_bags else np.zeros(1)
        out = out.astype(np.int64)
        if not self.often(0.85):
            out[self.rng.integers(len(out))] = self.pick(LIES)
        return self.laid_out(out) if self.often(0.98) else out[:0]

    def words(self, n, n_words, dtype=np.int32):
        out = self.rng.integers(0, max(n_words, 1), n).astype(dtype)
        if n and not self.often(0.85):
            lie = self.pick(LIES)
            out[self.rng.integers(n)] = np.clip(lie, np.iinfo(dtype).min, np.iinfo(dtype).max)
        return self.laid_out(out)

    def number(self, usual):
        """A size or count that may not exceed another one: mostly `usual`."""
        return usual if self.often() else self.pick(LIES)

    def threads(self):
        return self.pick([1, 1, 2, 3]) if self.often(0.97) else self.pick([0, -1, -(2**31)])

    def some_of(self, n, what):
        """Mask or positions of n rows, or none."""
        if self.often(0.6):
            return {}
        if self.often(0.5):
            mask = self.rng.random(n if self.often() else n + 1) < 0.5
            return {"mask": mask}
        positions = np.flatnonzero(self.rng.random(n) < 0.3).astype(np.int64)
        if len(positions) and not self.often(0.7):
            positions[self.rng.integers(len(positions))] = self.pick(LIES)
        return {"positions": positions}

    def vocabulary(self):
        k, d = self.pick(COUNTS), self.pick(WIDTHS)
        return _core.KMeansWords(self.floats(k, d)), k, d

    def call_kmeans_assign(self):
        words, _, d = self.vocabulary()
        x = self.floats(self.pick(COUNTS), d if self.often() else self.pick(WIDTHS))
        first = None if self.often(0.8) else self.pick(LIES)
        found = words.assign(x, self.threads(), first)
        assert found.shape == (len(x),) and (found >= 0).all()

    def call_kmeans_nearest(self):
        words, _, d = self.vocabulary()
        x = self.floats(self.pick(COUNTS), d if self.often() else self.pick(WIDTHS))
        n_assign = self.number(self.pick([1, 2, 5]))
        first = None if self.often(0.8) else self.pick(LIES)
        found, squared = words.nearest(x, n_assign, self.threads(), first)
        assert found.shape == squared.shape == (len(x), n_assign) and (found >= 0).all()
        assert not np.isnan(squared).any()
        if first is None:
            np.testing.assert_array_equal(found[:, :1].ravel(), words.assign(x, 1))

    def call_kmeans_lloyd(self):
        x = self.floats(self.pick(COUNTS), d := self.pick(WIDTHS))
        k = self.pick([1, 2, 5, 64, 70])
        start = x[:k].copy() if isinstance(x, np.ndarray) and self.often() else self.floats(k, d)
        n_iter = self.pick([0, 1, 2, 5]) if self.often(0.95) else self.pick([-1, -(2**63)])
        centroids, inertia, _ = _core.kmeans_lloyd(x, start, n_iter, self.threads())
        assert centroids.shape == start.shape and 1 <= len(inertia) <= n_iter + 1

    def call_kmeans_seed_rows(self):
        x = self.floats(self.pick([*COUNTS, 700]), self.pick(WIDTHS))
        n_words = self.number(self.pick([1, 2, 60, 257, 300]))
        rows = _core.kmeans_seed_rows(x, n_words, self.pick([0, 1, 2**64 - 1]), self.threads())
        assert len(set(rows)) == n_words and min(rows) >= 0 and max(rows) < len(x)

    def steps(self):
        names = ("signed_sqrt", "intra", "l2")
        return {name: self.often(0.5) for name in names} | {"n_threads": self.threads()}

    def call_vlad_encode(self):
        n, k, d = self.pick(COUNTS), self.pick(COUNTS), self.pick(WIDTHS)
        bags = self.pick([0, 1, 9])
        out = np.zeros((bags if self.often() else bags + 1, k * d), np.float32)
        x, c = self.floats(n, d), self.floats(k, d)
        _core.vlad_encode(x, self.offsets(bags, n), self.words(n, k), c, **self.steps(), out=out)

    def call_vlad_transform(self):
        words, k, d = self.vocabulary()
        n, bags = self.pick(COUNTS), self.pick([0, 1, 9])
        out = np.zeros((bags, (k if self.often() else k + 1) * d), np.float32)
        _core.vlad_transform(
            self.floats(n, d), self.offsets(bags, n), words, **self.steps(), out=out
        )

    def call_bow_count(self):
        n, n_assign = self.pick(COUNTS), self.pick([1, 1, 3, 0])
        n_words = self.pick([1, 2, 300, 70_000])
        word_ids = self.words(n * n_assign, n_words)
        if isinstance(word_ids, np.ndarray) and word_ids.ndim == 1:
            word_ids = np.ascontiguousarray(word_ids).reshape(n, n_assign)
        shares = None if self.often(0.5) else self.floats(n, n_assign)
        n_words = n_words if self.often(0.95) else self.pick([-1, 0, 1, 2**31 - 1, 2**40])
        ids, counts, offsets = _bow.count(word_ids, shares, self.offsets(7, n), n_words)
        assert len(ids) == len(counts) == offsets[-1]

    def call_bow_weigh(self):
        n, n_words = self.pick(COUNTS), self.pick([1, 2, 300])
        counts, idf = self.floats(1, n)[0], self.floats(1, n_words)[0]
        tf, norm = self.pick([0, 1, 2]), self.pick([0, 1, 2])
        ids, weights, offsets = _bow.weigh(
            self.words(n, n_words), counts, self.offsets(7, n), idf, tf, norm
        )
        assert len(ids) == len(weights) == offsets[-1]

    def call_flat(self):
        n, d = self.pick([*COUNTS, 700]), self.pick(WIDTHS)
        xb, xq = self.floats(n, d), self.floats(self.pick([0, 1, 5, 6, 13, 97, 100]), d)
        ids = np.arange(n if self.often() else n + 1)
        metric = self.pick(["l2", "ip", "cosine"]) if self.often() else "l3"
        some = self.some_of(n, xb)
        if self.often(0.6):
            k = self.pick([1, 3, 50]) if self.often() else self.pick([-1, 0, 5000, 2**62])
            D, I = _core.flat_search(xb, ids, xq, metric, k, self.threads(), **some)
            assert D.shape == I.shape == (len(xq), k) and ((I >= -1) & (max(n, 1) > I)).all()
        elif self.often(0.5):
            radius = self.pick([*EXTREME, 1.0])
            lims, D, I = _core.flat_range(xb, ids, xq, metric, radius, self.threads(), **some)
            assert lims[-1] == len(D) == len(I)
        else:
            pairs = self.words(self.pick([0, 1, 7]), n, np.int64)
            if isinstance(pairs, np.ndarray):
                pairs = np.atleast_2d(pairs)
            _core.flat_score(xb, xq, metric, pairs, self.threads())

    def sparse(self, n, n_words):
        """CSR arrays of n rows whose words rise, or a lie."""
        rows = [np.flatnonzero(self.rng.random(n_words) < 0.1) for _ in range(n)]
        ids = np.concatenate([*rows, []]).astype(np.int32)
        offsets = np.cumsum([0, *map(len, rows)]).astype(np.int64)
        weights = np.abs(self.floats_plain(len(ids)))
        if not self.often(0.8):
            target = self.pick([ids, offsets, weights])
            if len(target):
                lie = self.pick(EXTREME if target is weights else LIES[:8])
                target[self.rng.integers(len(target))] = lie
        return ids, weights, offsets

    def floats_plain(self, n):
        return self.rng.normal(size=n).astype(np.float32)

    def call_inverted_file(self):
        n, n_words = self.pick(COUNTS), self.pick([1, 9, 200])
        metric = self.pick(["ip", "cosine", "l1", "histogram_intersection"])
        file = _core.InvertedFile(n_words, metric)
        file = file.extended(*self.sparse(n, n_words), self.threads())
        queries = self.sparse(self.pick([0, 1, 5]), n_words)
        ids, some = np.arange(n), self.some_of(n, file)
        if self.often(0.5):
            k = self.number(1 + int(self.rng.integers(max(n, 1))))
            D, I = file.search(ids, *queries, k, self.threads(), **some)
            assert D.shape == I.shape == (len(queries[2]) - 1, k)
        elif self.often(0.5):
            file.range(ids, *queries, self.pick([*EXTREME, 0.5]), self.threads(), **some)
        else:
            pairs = self.words(self.pick([0, 1, 7]), n, np.int64)
            if isinstance(pairs, np.ndarray):
                pairs = np.atleast_2d(pairs)
            file.score(*queries, pairs, self.threads())


ENTRIES = sorted(name for name in vars(Fuzz) if name.startswith("call_"))


def run(seed, first, n):
    """Make calls `first` to `first + n` of a seed; gives what became of them, by entry."""
    told = collections.Counter()
    before = _core.simd_level()
    try:
        for number in range(first, first + n):
            fuzz = Fuzz([seed, number])
            entry = fuzz.pick(ENTRIES)
            _core.set_simd_level(fuzz.pick(_core.simd_levels()))
            try:
                with np.errstate(all="ignore"):
                    getattr(fuzz, entry)()
                told[entry, "answered"] += 1
            except REFUSALS as error:
                assert str(error), (seed, number)
                told[entry, "refused"] += 1
            except Exception as error:
                raise AssertionError(f"seed {seed}, call {number}, {entry}") from error
    finally:
        _core.set_simd_level(before)
    return told


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first call")
    parser.add_argument("--trace", action="store_true", help="say the number before each call")
    arguments = parser.parse_args()
    told, number, end = collections.Counter(), arguments.first, time.monotonic() + arguments.seconds
    step = 1 if arguments.trace else 100
    while time.monotonic() < end:
        if arguments.trace:
            print(number, flush=True)
        told += run(arguments.seed, number, step)
        number += step
    print(f"seed {arguments.seed}: {number - arguments.first} calls")
    for entry in ENTRIES:
        answered, refused = told[entry, "answered"], told[entry, "refused"]
        print(f"{entry[5:]:20s} answered {answered:8d} refused {refused:8d}")


if __name__ == "__main__":
    main()
