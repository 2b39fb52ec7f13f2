"""Gaussian mixture: EM from what several k-means agree on (Dempster et al. 1977; scikit-learn's `GaussianMixture`)."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.base import Clustering, Problem
from ncdcli.clustering.checks import check_problem
from ncdcli.clustering.division import Division, cluster_without_labels
from ncdcli.clustering.kinds import Gmm, SemiGmm
from ncdcli.clustering.mixture import Fit, Matrix, fit_mixture
from ncdcli.clustering.principal import principal
from ncdcli.clustering.restarts import descend, fit, restart_statistics, settle
from ncdcli.clustering.rows import Rows, as_rows, choose_frame
from ncdcli.clustering.sums import group_sums
from ncdcli.clustering.threads import threads_for
from ncdcli.pipeline.context import Progress

_KMEANS_ITERATIONS = 100


def cluster(problem: Problem, config: Gmm, rng: np.random.Generator, progress: Progress) -> Clustering:
    """The most probable component of every row, in a mixture of labelled and unlabelled rows (NCD: of the pool alone).

    The mixture is that of the first `dimensions` principal components: a covariance of 768 columns has more numbers
    than most data have rows. Rows that do not fill them, as 500 in 768 dimensions with k clusters, are what
    `regularization` is for. Centroids are the means of the rows of each cluster in the space of the embeddings: what is
    nearest to a new sample need not be what the mixture would say.

    Raises DataError for embeddings that are not finite or too few, RecipeError for a k below the known classes.
    """
    check_problem(problem, needs_k=True)

    def divide(part: Rows, k: int) -> Division:
        points = mixture_space(part, config.dimensions)
        near = points.astype(np.float32)
        with progress.track("k-means", config.restarts) as tick:
            partitions = fit(
                near, k, restarts=config.restarts, iterations=_KMEANS_ITERATIONS, rng=rng, seeding="greedy", tick=tick
            )
        settled = settle(
            partitions, config.restarts_rule, near, again=partial(descend, near, iterations=_KMEANS_ITERATIONS)
        )
        start = settled.partition
        with threads_for(points.size, k):
            found = run_em(points, start.labels, start.centres, config)
        statistics = restart_statistics(partitions, found.labels, k) | settled.statistics
        statistics |= em_statistics(found, len(points))
        return Division(found.labels, -found.log_likelihood, centres_of(part, points, found), statistics)

    return cluster_without_labels(problem, as_rows(problem.embeddings), divide)


def mixture_space(rows: Rows, dimensions: int | None) -> Matrix:
    """(n, d') float64 rows in which a mixture is fitted: principal components, scaled where squares would overflow."""
    return principal(choose_frame(rows).enter(rows), dimensions)


def run_em(
    points: Matrix,
    labels: NDArray[np.int64],
    centres: Matrix,
    config: Gmm | SemiGmm,
    *,
    pinned: NDArray[np.bool_] | None = None,
    barred: NDArray[np.bool_] | None = None,
) -> Fit:
    """The mixture that EM reaches from a partition, with what the recipe says of covariances and of stopping."""
    variance = float(points.var(axis=0).mean()) if points.size else 0.0
    return fit_mixture(
        points,
        labels,
        centres,
        kind=config.covariance,
        least=config.regularization * variance or 1.0,  # rows that are all the same: any variance will do
        iterations=config.iterations,
        tolerance=config.tolerance,
        pinned=pinned,
        barred=barred,
    )


def em_statistics(found: Fit, n: int) -> dict[str, float | int | bool]:
    """What `clustering.json` tells about the mixture; `bic` is smaller for a better one."""
    return {
        "log_likelihood": found.log_likelihood,
        "bic": found.mixture.free_parameters * float(np.log(max(n, 1))) - 2 * n * found.log_likelihood,
        "em_iterations": found.iterations,
        "em_converged": found.converged,
    }


def centres_of(rows: Rows, points: Matrix, found: Fit) -> Matrix:
    """(k, d) means of the `rows` of each cluster; of one without rows, the row whose point is nearest to its mean."""
    means = found.mixture.means
    counts = np.bincount(found.labels, minlength=len(means))
    centres = group_sums(rows, found.labels, len(means)) / np.maximum(counts, 1)[:, None]
    for empty in np.flatnonzero(counts == 0):
        centres[empty] = rows[np.square(points - means[empty]).sum(axis=1).argmin()]
    return centres
