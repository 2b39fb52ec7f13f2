"""Scores of a clustering against the truth, by subset: all classes, known ones, novel ones.

Every function takes a contingency table whose classes are ids with the known classes `0 … n_known − 1` first, and
gives `{"all": …, "known": …, "novel": …}`; a subset without samples has None. The matching is made within one score
and over exactly the samples of the table.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ncdcli.metrics.contingency import Contingency
from ncdcli.metrics.matching import match_clusters, matched_counts

Scores = dict[str, float | None]


def gcd_v2(table: Contingency, *, n_known: int) -> Scores:
    """Accuracy under one matching over all rows, split by class: the field's standard (GCD `split_cluster_acc_v2`)."""
    hits = matched_counts(table.counts, match_clusters(table.counts))
    return _by_subset(hits, table, n_known)


def gcd_v1(table: Contingency, *, n_known: int) -> Scores:
    """Accuracy under two matchings, one over known rows and one over novel rows (GCD `split_cluster_acc_v1`).

    A cluster may count for a known and a novel class at once, so this is never below `gcd_v2` and hides confusion
    between the two. `all` is the mean over rows.
    """
    hits = np.zeros(len(table.classes), np.int64)
    known = table.classes < n_known
    for subset in (known, ~known):
        part = table.select(subset)
        hits[subset] = matched_counts(part.counts, match_clusters(part.counts))
    return _by_subset(hits, table, n_known)


def gcd_v2_balanced(table: Contingency, *, n_known: int) -> Scores:
    """Mean over classes of the recall under the matching of `gcd_v2`: for long-tailed classes (SimGCD)."""
    hits = matched_counts(table.counts, match_clusters(table.counts))
    return _mean_recall(hits, table, n_known)


def balanced_accuracy(table: Contingency, *, n_known: int) -> Scores:
    """Mean over classes of the recall, under the one matching that makes the mean over all classes greatest.

    Differs from `gcd_v2_balanced`, whose matching counts samples and so favours large classes.
    """
    recall = table.counts / np.maximum(table.counts.sum(axis=0), 1)
    hits = matched_counts(table.counts, match_clusters(recall))
    return _mean_recall(hits, table, n_known)


def known_accuracy(table: Contingency, *, n_known: int, matched: NDArray[np.int64]) -> Scores:
    """Share of known-class samples in the cluster that stands for their class: no matching, no truth of novel classes.

    `matched` (k,) is the known class of each cluster, -1 for novel ones. What a user of the clusters sees.
    """
    hits = _identity_hits(table, matched)
    hits[table.classes >= n_known] = 0
    value = _by_subset(hits, table, n_known)["known"]
    return {"all": value, "known": value, "novel": None}


def ncd_task_aware(table: Contingency, *, n_known: int) -> Scores:
    """Clustering accuracy of novel-class rows when the model knows that they are novel: Hungarian over these alone.

    `table` is over the task-aware clusters (novel ones only). AutoNovel, UNO "unlab/train/acc".
    """
    part = table.select(table.classes >= n_known)
    hits = matched_counts(part.counts, match_clusters(part.counts))
    value = _ratio(hits.sum(), part.counts.sum())
    return {"all": value, "known": None, "novel": value}


def ncd_task_agnostic(table: Contingency, *, n_known: int, matched: NDArray[np.int64]) -> Scores:
    """Accuracy when any cluster may be chosen for any row (UNO, "incremental").

    Known rows: share in the cluster of their class. Novel rows: Hungarian over these rows alone, over all clusters.
    `all` is the mean over rows, as in the other scores.
    """
    hits = _identity_hits(table, matched)
    novel = table.classes >= n_known
    part = table.select(novel)
    hits[novel] = matched_counts(part.counts, match_clusters(part.counts))
    return _by_subset(hits, table, n_known)


def ncd_task_agnostic_strict(table: Contingency, *, n_known: int, matched: NDArray[np.int64]) -> Scores:
    """As `ncd_task_agnostic`, but a novel row in the cluster of a known class is an error (rKD's third version)."""
    hits = _identity_hits(table, matched)
    novel = table.classes >= n_known
    part = table.select(novel).counts.copy()
    part[matched[table.clusters] >= 0] = 0
    hits[novel] = matched_counts(part, match_clusters(part))
    return _by_subset(hits, table, n_known)


def nmi(table: Contingency, *, n_known: int) -> Scores:
    """Normalised mutual information (arithmetic mean of the entropies) within each subset."""
    return {name: _nmi(part.counts) for name, part in _subsets(table, n_known)}


def ari(table: Contingency, *, n_known: int) -> Scores:
    """Adjusted Rand index within each subset."""
    return {name: adjusted_rand(part.counts) for name, part in _subsets(table, n_known)}


def adjusted_rand(counts: NDArray[np.int64]) -> float | None:
    """Adjusted Rand index (Hubert & Arabie 1985) of a contingency table; None for an empty one."""
    total = int(counts.sum())
    if total == 0:
        return None
    together = int((counts.astype(np.int64) ** 2).sum())
    rows = int((counts.sum(axis=1).astype(np.int64) ** 2).sum())
    columns = int((counts.sum(axis=0).astype(np.int64) ** 2).sum())
    # Ordered pairs of samples, as Python integers: products of pair counts overflow 64 bits beyond some 50,000 rows.
    both = together - total
    only_rows, only_columns = rows - together, columns - together
    neither = total * total - rows - columns + together
    if only_rows == 0 and only_columns == 0:
        return 1.0
    below = (both + only_columns) * (only_columns + neither) + (both + only_rows) * (only_rows + neither)
    return 2.0 * (both * neither - only_rows * only_columns) / below


def _nmi(counts: NDArray[np.int64]) -> float | None:
    total = counts.sum()
    if total == 0:
        return None
    rows, columns = counts.sum(axis=1) / total, counts.sum(axis=0) / total
    entropies = _entropy(rows) + _entropy(columns)
    if entropies == 0:  # one cluster and one class
        return 1.0
    i, j = np.nonzero(counts)
    joint = counts[i, j] / total
    mutual = float((joint * (np.log(joint) - np.log(rows[i]) - np.log(columns[j]))).sum())
    return max(2 * mutual / entropies, 0.0)


def _entropy(shares: NDArray[np.float64]) -> float:
    present = shares[shares > 0]
    return float(-(present * np.log(present)).sum())


def _identity_hits(table: Contingency, matched: NDArray[np.int64]) -> NDArray[np.int64]:
    """(classes,) samples of each known class in the cluster that stands for it."""
    stands_for = matched[table.clusters]
    hits = np.zeros(len(table.classes), np.int64)
    for row in np.flatnonzero(stands_for >= 0):
        column = np.searchsorted(table.classes, stands_for[row])
        if column < len(table.classes) and table.classes[column] == stands_for[row]:
            hits[column] += table.counts[row, column]
    return hits


def _subsets(table: Contingency, n_known: int) -> list[tuple[str, Contingency]]:
    known = table.classes < n_known
    return [("all", table), ("known", table.select(known)), ("novel", table.select(~known))]


def _by_subset(hits: NDArray[np.int64], table: Contingency, n_known: int) -> Scores:
    sizes, known = table.counts.sum(axis=0), table.classes < n_known
    return {
        "all": _ratio(hits.sum(), sizes.sum()),
        "known": _ratio(hits[known].sum(), sizes[known].sum()),
        "novel": _ratio(hits[~known].sum(), sizes[~known].sum()),
    }


def _mean_recall(hits: NDArray[np.int64], table: Contingency, n_known: int) -> Scores:
    sizes, known = table.counts.sum(axis=0), table.classes < n_known
    recall = hits / np.maximum(sizes, 1)

    def mean(subset: NDArray[np.bool_]) -> float | None:
        present = subset & (sizes > 0)
        return float(recall[present].mean()) if present.any() else None

    return {"all": mean(np.ones_like(known)), "known": mean(known), "novel": mean(~known)}


def _ratio(part: int | np.integer, whole: int | np.integer) -> float | None:
    return float(part / whole) if whole else None
