"""The answer of a classifier that was trained with the representation: the most likely class of every row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.assign import Logits
from ncdcli.clustering.base import Clustering, Problem
from ncdcli.clustering.checks import check_k, check_problem
from ncdcli.clustering.kinds import Head
from ncdcli.clustering.rows import require_finite
from ncdcli.clustering.sums import group_sums
from ncdcli.pipeline.context import Progress


def cluster(problem: Problem, config: Head, rng: np.random.Generator, progress: Progress) -> Clustering:
    """Clusters by the argmax of `problem.logits`, of which there are as many as classes.

    GCD: pool rows may be in any cluster. NCD: in a novel one only, which is the task-aware answer of UNO and others;
    the stage `cluster` gives the task-agnostic one beside it. Labelled rows are in the cluster of their class. The
    centroids are means of the rows of each cluster; that of an empty one is the row that comes nearest to being in it.
    The objective is the mean of −log p of the cluster over pool rows. Nothing is drawn.

    Raises DataError for embeddings that are not finite or none, RecipeError where the classifier has fewer classes than
    are known (and, in the NCD setting, a novel one).
    """
    check_problem(problem)
    require_finite(problem.embeddings)
    if problem.logits is None:
        raise ValueError("this method needs logits")
    answers = Logits(problem.logits)
    check_k(answers.k, n_known=problem.n_known, novel_only=problem.novel_only)
    rows = np.arange(len(problem.labels))
    allowed = np.arange(problem.n_known, answers.k) if problem.novel_only else None
    pool = problem.labels < 0
    assignments = problem.labels.copy()
    assignments[pool], _ = answers.best(rows[pool], allowed=allowed)
    sizes = np.bincount(assignments, minlength=answers.k)
    likely = answers.probabilities(rows[pool], assignments[pool])
    return Clustering(
        assignments=assignments,
        centroids=_centroids(problem, assignments, sizes).astype(np.float32),
        matched=np.where(np.arange(answers.k) < problem.n_known, np.arange(answers.k), -1),
        objective=float(-np.log(likely).mean()) if len(likely) else 0.0,
        statistics={"mean_confidence": float(likely.mean()) if len(likely) else None, "empty": int((sizes == 0).sum())},
    )


def _centroids(problem: Problem, assignments: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """(k, d) mean of the rows of each cluster; of an empty one, its likeliest row."""
    assert problem.logits is not None
    means = group_sums(problem.embeddings, assignments, len(sizes)) / np.maximum(sizes, 1)[:, None]
    for cluster in np.flatnonzero(sizes == 0):
        means[cluster] = problem.embeddings[int(np.argmax(problem.logits[:, cluster]))]
    return means
