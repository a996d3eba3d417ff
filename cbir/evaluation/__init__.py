r"""How good is a ranking? Arrays in, numbers out: no files but the list of queries, no images, no
index.

::

    Protocol ------------------+
      who asks, what is right, +-> Evaluator -> Hits --> metrics   ranks, n_relevant -> number
      what is junk, self?      |     ranks of the    \-> curves    precision against recall
    ranked ids (nq, k) --------+     positives            then the mean over queries

Everything a binary metric needs to know of one query is two things: the 0-based **ranks** of its
positives, counted after junk (and, where the protocol says so, the query itself) has left the
ranking, and **n_relevant**, how many positives there are. Whatever was not returned adds nothing
and still counts in `n_relevant`.

Read first: `cbir.evaluation.metrics`, then `cbir.evaluation.protocols`.

The rules, each held by a test:

- Junk leaves the ranking before ranks are counted and does not use up the k of "@k".
- The query leaves by its id, never by "drop rank 0": an exact duplicate may stand there.
- An id of -1 means "no hit" and never counts; an id that comes twice in one ranking is an error.
- A query with no positives has no score: it is left out of the means and counted in
  ``n_queries_skipped``.
- Equal scores are ordered by the smaller id (`rank_by_score`).
"""

from cbir.evaluation.curves import (
    average_precision_11_point,
    average_precision_interpolated,
    interpolated_precision,
    precision_recall_curve,
)
from cbir.evaluation.evaluator import Evaluator, evaluate, per_query
from cbir.evaluation.metrics import (
    accuracy,
    average_precision,
    average_precision_at_k,
    average_precision_trapezoid,
    ndcg_at_k,
    ns_score,
    ns_score_self_excluded,
    precision_at_k,
    r_precision,
    recall_at_k,
    revisitop_mp_at_k,
    success_at_k,
)
from cbir.evaluation.neighbours import knn_recall, knn_recall_by_distance
from cbir.evaluation.protocols import Protocol, leave_one_out, ukbench
from cbir.evaluation.query_file import QueryEntry, from_file, from_queries
from cbir.evaluation.ranking import positive_ranks, rank_by_score

__all__ = [
    "Evaluator",
    "Protocol",
    "QueryEntry",
    "accuracy",
    "average_precision",
    "average_precision_11_point",
    "average_precision_at_k",
    "average_precision_interpolated",
    "average_precision_trapezoid",
    "evaluate",
    "from_file",
    "from_queries",
    "interpolated_precision",
    "knn_recall",
    "knn_recall_by_distance",
    "leave_one_out",
    "ndcg_at_k",
    "ns_score",
    "ns_score_self_excluded",
    "per_query",
    "positive_ranks",
    "precision_at_k",
    "precision_recall_curve",
    "r_precision",
    "rank_by_score",
    "recall_at_k",
    "revisitop_mp_at_k",
    "success_at_k",
    "ukbench",
]
