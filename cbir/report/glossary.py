"""What each metric is called, what it can reach, and what it says in half a sentence."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One row of the table of metrics.

    Attributes
    ----------
    key, label, meaning : machine name, name for people, explanation.
    value, best : the number and the highest it can be.
    lower_bound : whether the number may in truth be higher.
    """

    key: str
    label: str
    meaning: str
    value: float
    best: float
    lower_bound: bool = False

    @property
    def text(self) -> str:
        """The number as shown."""
        number = f"{self.value:.2f}" if self.best > 1 else f"{self.value:.3f}"
        return f"≥ {number}" if self.lower_bound else number

    @property
    def share(self) -> float:
        """Value / best in percent, inside 0 to 100."""
        return 100 * min(max(self.value / self.best, 0.0), 1.0)


KNOWN = {
    "ns_score": ("N-S score", "images of the object among the first 4, the query included", 4.0),
    "accuracy": ("Accuracy", "N-S score / 4; finding only oneself gives 0.25", 1.0),
    "ns_score_self_excluded": (
        "N-S, self excluded",
        "of the 3 others, how many come in the first 3",
        3.0,
    ),
    "map": ("mAP", "mean average precision, step rule (TREC)", 1.0),
    "map_trapezoid": (
        "mAP, trapezoid",
        "mean average precision as Oxford and Holidays count it",
        1.0,
    ),
    "r_precision": ("R-precision", "precision at as many results as there are right answers", 1.0),
}
AT_K = {
    "precision": ("Precision@{k}", "right answers among the first {k}, divided by {k}"),
    "recall": ("Recall@{k}", "share of all right answers that is among the first {k}"),
    "success": ("Success@{k}", "queries with at least one right answer among the first {k}"),
    "ndcg": ("nDCG@{k}", "graded answers in the first {k}, later ones discounted"),
    "revisitop_mP": (
        "mP@{k}, revisitop",
        "precision at {k} or at the last right answer, if earlier",
    ),
}
HEADLINES = ("ns_score", "map", "precision@1", "recall@10", "accuracy", "r_precision", "ndcg@10")


def entry(key: str, value: float) -> Entry:
    """Describe one metric; an unknown one keeps its key as its name."""
    if key in KNOWN:
        label, meaning, best = KNOWN[key]
        return Entry(key, label, meaning, value, best)
    match = re.fullmatch(r"(\w+)@(\d+)", key)
    if match and match[1] in AT_K:
        label, meaning = AT_K[match[1]]
        k = match[2]
        if k == "1" and match[1] == "precision":
            return Entry(key, "Precision@1", "queries whose first result is right", value, 1.0)
        if k == "1":
            meaning = meaning.replace("among the first {k}", "in first place")
        return Entry(key, label.format(k=k), meaning.format(k=k), value, 1.0)
    return Entry(key, key, "", value, max(1.0, value))


def headlines(metrics: dict[str, float], count: int = 4) -> list[Entry]:
    """The metrics that get a card of their own, most telling first."""
    chosen = [key for key in HEADLINES if key in metrics]
    chosen += [key for key in metrics if key not in chosen and not key.startswith("n_")]
    return [entry(key, metrics[key]) for key in chosen[:count]]
