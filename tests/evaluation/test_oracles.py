"""The same rankings through ir-measures (trec_eval), ranx, scikit-learn and revisitop's rule.

They agree where they mean the same thing. Scores are kept distinct, since their tie rules differ.
"""

import numpy as np
import pytest

from cbir.evaluation import Protocol, evaluate, ns_score

pytestmark = pytest.mark.reference
NQ, N = 60, 120


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(5)
    ranked = np.argsort(rng.random((NQ, N)), axis=1).astype(np.int64)
    ranked[:, 90:] = -1  # some positives are never returned
    relevant = [
        rng.choice(N, rng.integers(1, 25), replace=False).astype(np.int64) for _ in range(NQ)
    ]
    grades = [rng.integers(1, 4, len(r)).astype(float) for r in relevant]
    protocol = Protocol(
        name="random",
        query_ids=np.full(NQ, -1, np.int64),
        relevant=relevant,
        junk=[np.zeros(0, np.int64)] * NQ,
        self_included=False,
        n_database=N,
        grades=grades,
    )
    run = {
        f"q{q}": {f"d{d}": float(N - at) for at, d in enumerate(row) if d >= 0}
        for q, row in enumerate(ranked)
    }
    qrels = {
        f"q{q}": {f"d{d}": int(g) for d, g in zip(relevant[q], grades[q], strict=True)}
        for q in range(NQ)
    }
    return protocol, ranked, run, qrels


def test_against_ir_measures(case):
    import ir_measures as ir

    protocol, ranked, run, qrels = case
    theirs = {
        "map": ir.AP, "r_precision": ir.Rprec, "ndcg@10": ir.nDCG @ 10,
        **{f"precision@{k}": ir.P @ k for k in (1, 4, 10)},
        **{f"recall@{k}": ir.R @ k for k in (1, 4, 10)},
        **{f"success@{k}": ir.Success @ k for k in (1, 4, 10)},
    }  # fmt: skip
    values = ir.calc_aggregate(list(theirs.values()), qrels, run)
    mine = evaluate(protocol, ranked)
    for name, measure in theirs.items():
        assert mine[name] == pytest.approx(values[measure], abs=1e-9), name


def test_against_ranx(case, monkeypatch):
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")  # compiling takes a minute, this case a second
    import ranx

    protocol, ranked, run, qrels = case
    theirs = {
        "map": "map", "r_precision": "r-precision", "ndcg@10": "ndcg@10",
        **{f"precision@{k}": f"precision@{k}" for k in (1, 4, 10)},
        **{f"recall@{k}": f"recall@{k}" for k in (1, 4, 10)},
        **{f"success@{k}": f"hit_rate@{k}" for k in (1, 4, 10)},
    }  # fmt: skip
    values = ranx.evaluate(ranx.Qrels(qrels), ranx.Run(run), list(theirs.values()))
    mine = evaluate(protocol, ranked)
    for name, measure in theirs.items():
        assert mine[name] == pytest.approx(values[measure], abs=1e-6), name


def test_against_scikit_learn():
    import sklearn.metrics as sklearn_metrics

    from cbir.evaluation import average_precision

    rng = np.random.default_rng(0)
    for _ in range(50):
        n = int(rng.integers(2, 60))
        right = rng.random(n) < 0.3
        right[rng.integers(n)] = True
        scores = -np.arange(n, dtype=float)  # distinct: scikit-learn merges ties
        theirs = sklearn_metrics.average_precision_score(right, scores)
        assert average_precision(np.flatnonzero(right), int(right.sum())) == pytest.approx(theirs)


def test_against_revisitop_written_out(case):
    """The loop of the revisited sets' paper, with junk, as published in formulas."""
    protocol, _, _, _ = case
    rng = np.random.default_rng(9)
    ranked = np.argsort(rng.random((NQ, N)), axis=1).astype(np.int64)
    junk = [np.setdiff1d(rng.choice(N, 15), r).astype(np.int64) for r in protocol.relevant]
    with_junk = Protocol("r", protocol.query_ids, protocol.relevant, junk, False, N)
    aps, precisions = [], []
    for row, right, left_out in zip(ranked, protocol.relevant, junk, strict=True):
        kept = [i for i in row if i not in set(left_out)]
        ranks = [at for at, i in enumerate(kept) if i in set(right)]
        ap = 0.0
        for j, rank in enumerate(ranks):
            before = 1.0 if rank == 0 else j / rank
            ap += (before + (j + 1) / (rank + 1)) / 2 / len(right)
        aps.append(ap)
        k = min(max(ranks) + 1, 10)
        precisions.append(sum(r < k for r in ranks) / k)
    mine = evaluate(with_junk, ranked)
    assert mine["map_trapezoid"] == pytest.approx(np.mean(aps))
    assert mine["revisitop_mP@10"] == pytest.approx(np.mean(precisions))


def test_published_accuracy_is_ns_over_four():
    # "94.68 %" on the first 1,000 images is an N-S of 3.787, self included
    assert pytest.approx(3.787, abs=5e-4) == 0.9468 * 4
    assert ns_score([0, 1, 2, 3]) / 4 == 1.0
