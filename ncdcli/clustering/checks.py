"""What a clustering problem must be before it is solved, and the naming of its clusters."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.base import Problem
from ncdcli.clustering.rows import Rows
from ncdcli.clustering.sums import group_sums
from ncdcli.errors import DataError, RecipeError
from ncdcli.metrics.contingency import count_table
from ncdcli.metrics.matching import match_clusters
from ncdcli.words import counted

_FEWER = "give a smaller k (`estimate_k`), or more samples"


def check_problem(problem: Problem, *, pinned: bool = False, needs_k: bool = False) -> None:
    """Nothing, where the problem can be solved (a k of None is the method's to find, unless it `needs_k`).

    Raises RecipeError for a k that leaves no room for the known classes, and DataError where there are fewer rows
    than clusters to fill (`pinned`: novel clusters can be filled by unlabelled rows only; without a k: no row at all),
    or, in the NCD setting, where a known class has no labelled row to give it a centroid.
    """
    if problem.k is not None or needs_k:
        check_k(problem.given_k, n_known=problem.n_known, novel_only=problem.novel_only)
    labels = problem.labels
    if len(labels) != len(problem.embeddings):
        raise ValueError(f"{len(problem.embeddings)} embeddings but {len(labels)} labels")
    if len(labels) and int(labels.max()) >= problem.n_known:
        raise ValueError(f"label {labels.max()} is not one of the {problem.n_known} known classes")
    absent = np.flatnonzero(np.bincount(labels[labels >= 0], minlength=problem.n_known) == 0)
    pool = int((labels < 0).sum())
    if problem.novel_only and len(absent):
        have = counted(len(absent), "known class has", "known classes have")
        raise DataError(
            f"{have} no labelled sample, and so no centroid: class number {absent[:10].tolist()}",
            hint="give labelled samples of every known class",
        )
    if problem.k is None:
        _check_rows(1, pool if problem.novel_only else len(labels), unlabelled=problem.novel_only)
        return
    if problem.novel_only or pinned:
        _check_rows(problem.k - problem.n_known + len(absent), pool, unlabelled=True)
    _check_rows(problem.k, len(labels), unlabelled=False)


def _check_rows(clusters: int, rows: int, *, unlabelled: bool) -> None:
    """Nothing, where there are as many rows as clusters to be made of them; else DataError."""
    if clusters > rows:
        of = counted(rows, "unlabelled sample" if unlabelled else "sample")
        hint = _FEWER if clusters > 1 else "give more samples"
        raise DataError(f"{counted(clusters, 'cluster')} cannot be made of {of}", hint=hint)


def check_k(k: int, *, n_known: int, novel_only: bool, name: str = "k") -> None:
    """Nothing, where k clusters hold all known classes (and, in the NCD setting, a novel one); else RecipeError."""
    least = n_known + 1 if novel_only else max(n_known, 1)
    if k < least:
        novel = " and at least one novel class" if novel_only else ""
        raise RecipeError(
            f"`{name}` is {k}, too few for {n_known} known classes{novel}",
            hint=f"k counts known and novel classes together: it must be at least {least}",
        )


def class_means(rows: Rows, labels: NDArray[np.int64], n_known: int) -> NDArray[np.float64]:
    """(n_known, d) mean of the labelled rows of each class; zeros for a class without any."""
    labelled = np.flatnonzero(labels >= 0)
    counts = np.bincount(labels[labelled], minlength=n_known)
    sums = group_sums(rows[labelled], labels[labelled], n_known)
    return sums / np.maximum(counts, 1)[:, None]


def name_clusters(
    clusters: NDArray[np.int64], classes: NDArray[np.int64], *, n_known: int, k: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Order of the k clusters (known classes first, in their order) and (k,) the class each place stands for.

    `clusters` and `classes` are those of the labelled rows; the matching has the most labelled rows in agreement.
    A class whose cluster holds none of its rows is matched to nothing: a spare cluster takes its place, with -1.
    """
    counts = count_table(clusters, classes, shape=(k, n_known))
    class_of = match_clusters(counts)
    held = np.array([class_of[c] >= 0 and counts[c, class_of[c]] > 0 for c in range(k)])
    order = np.full(k, -1, np.int64)
    order[class_of[held]] = np.flatnonzero(held)
    matched = np.where(order >= 0, np.arange(k), -1)
    order[order < 0] = np.flatnonzero(~held)
    return order, matched
