"""All scores of one split, and the tables that explain them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncdcli.metrics import scores
from ncdcli.metrics.contingency import Contingency, contingency
from ncdcli.metrics.matching import match_clusters, matched_counts
from ncdcli.metrics.scores import Scores


@dataclass(frozen=True)
class Predictions:
    """The samples of one split whose class is known to the scorer."""

    clusters: NDArray[np.int64]  # (n,) 0 … k − 1
    classes: NDArray[np.int64]  # (n,) ids, known classes 0 … n_known − 1 first
    n_known: int
    matched: NDArray[np.int64]  # (k,) known class of each cluster, -1: novel
    task_aware: NDArray[np.int64] | None = None  # (n,) NCD only: the cluster when it is told whether a row is novel
    task_agnostic: NDArray[np.int64] | None = None  # (n,) NCD only: the cluster when it is not


def score_split(predictions: Predictions) -> dict[str, Scores]:
    """Protocol -> {all, known, novel}, in a fixed order. The NCD protocols only where their clusters are given."""
    p, n_known = predictions, predictions.n_known
    table = contingency(p.clusters, p.classes)
    found = {
        "gcd_v2": scores.gcd_v2(table, n_known=n_known),
        "gcd_v1": scores.gcd_v1(table, n_known=n_known),
        "gcd_v2_balanced": scores.gcd_v2_balanced(table, n_known=n_known),
        "balanced_accuracy": scores.balanced_accuracy(table, n_known=n_known),
        "nmi": scores.nmi(table, n_known=n_known),
        "ari": scores.ari(table, n_known=n_known),
        "known_accuracy": scores.known_accuracy(table, n_known=n_known, matched=p.matched),
    }
    if p.task_aware is not None:
        found["ncd_task_aware"] = scores.ncd_task_aware(contingency(p.task_aware, p.classes), n_known=n_known)
    if p.task_agnostic is not None:
        table = contingency(p.task_agnostic, p.classes)
        found["ncd_task_agnostic"] = scores.ncd_task_agnostic(table, n_known=n_known, matched=p.matched)
        found["ncd_task_agnostic_strict"] = scores.ncd_task_agnostic_strict(table, n_known=n_known, matched=p.matched)
    return found


@dataclass(frozen=True)
class ClassScores:
    """One class in one split, under the matching of `gcd_v2`."""

    class_id: int
    size: int
    recall: float
    precision: float | None  # None: no cluster is matched to the class, or it holds no scored sample
    cluster: int | None


def match_and_score_classes(predictions: Predictions) -> tuple[dict[int, int | None], list[ClassScores]]:
    """Cluster -> class (None: matched to none) of every cluster that holds a row, and the scores of each class."""
    table = contingency(predictions.clusters, predictions.classes)
    match = match_clusters(table.counts)
    pairs = {
        int(cluster): None if column < 0 else int(table.classes[column])
        for cluster, column in zip(table.clusters, match, strict=True)
    }
    return pairs, _score_classes(table, match)


def _score_classes(table: Contingency, match: NDArray[np.int64]) -> list[ClassScores]:
    hits, sizes, filled = matched_counts(table.counts, match), table.counts.sum(axis=0), table.counts.sum(axis=1)
    row_of = {int(column): row for row, column in enumerate(match) if column >= 0}
    found = []
    for column, class_id in enumerate(table.classes):
        row = row_of.get(column)
        found.append(
            ClassScores(
                class_id=int(class_id),
                size=int(sizes[column]),
                recall=float(hits[column] / sizes[column]),
                precision=None if row is None else float(hits[column] / filled[row]),
                cluster=None if row is None else int(table.clusters[row]),
            )
        )
    return found
