"""Semi-supervised k-means: labelled rows are pinned to their class (GCD, Vaze et al., CVPR 2022, section 3.2).

Where we differ from the released code: distances are GEMMs; k-means++ looks at the newest centre only; an empty
cluster is re-seeded instead of becoming NaN; and besides GCD's own start there is `matched`, in which novel clusters
start at those centroids of plain k-means that no known class claims. The start decides much of the result: see the
descriptions of `ncdcli.clustering.kinds.SemiKMeans`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ncdcli.clustering.base import Clustering, Problem
from ncdcli.clustering.checks import check_problem, class_means
from ncdcli.clustering.kinds import SemiKMeans
from ncdcli.clustering.lloyd import Partition, Pinned, lloyd
from ncdcli.clustering.restarts import best_of, fit, leave_frame, restart_statistics
from ncdcli.clustering.rows import Frame, Rows, as_rows, choose_frame
from ncdcli.clustering.seeding import plus_plus
from ncdcli.clustering.threads import threads_for
from ncdcli.pipeline.context import Progress


@dataclass(frozen=True)
class _Prepared:
    """A problem with its unlabelled rows first."""

    rows: Rows  # (n, d), unlabelled rows, then labelled ones
    pool: Rows  # (unlabelled, d), a view of the first
    frame: Frame
    pinned: Pinned
    means: NDArray[np.float64]  # (k, d) of the labelled rows of each cluster; zeros where there are none
    fixed: NDArray[np.int64]  # clusters that have labelled rows
    free: NDArray[np.int64]  # the others: novel ones, and known classes without a labelled row


def cluster(problem: Problem, config: SemiKMeans, rng: np.random.Generator, progress: Progress) -> Clustering:
    """The partition with the lowest inertia among `config.restarts` pinned Lloyd iterations.

    Unlabelled rows go to the nearest centre (in the NCD setting: the nearest novel centre), labelled rows stay in
    their class, centres are the means over both. Known centres start at labelled means, novel ones as `config.init`
    says; inertia = squared distances of unlabelled rows to the nearest centre + of labelled rows to their own.
    Without labelled rows this is plain k-means. A known class without labelled rows competes as a novel cluster in
    its place, with `matched` -1.

    Raises DataError for embeddings that are not finite or too few, RecipeError for a k below the known classes.
    """
    check_problem(problem, pinned=True)
    prepared = _prepare(problem)
    partitions = []
    threads = threads_for(prepared.rows.size, problem.given_k)
    with threads, progress.track("semi-supervised k-means", config.restarts) as tick:
        for start in _starts(prepared, problem, config, rng):
            partitions.append(leave_frame(_run(prepared, problem, config, start), prepared.frame))
            tick()
    best = partitions[best_of(partitions)]
    unlabelled = problem.labels < 0
    assignments = problem.labels.copy()
    assignments[unlabelled] = best.labels
    matched = np.full(problem.given_k, -1, np.int64)
    matched[prepared.fixed] = prepared.fixed
    statistics = restart_statistics(partitions, assignments, problem.given_k)
    return Clustering(assignments, best.centres.astype(np.float32), matched, best.objective, statistics)


def _prepare(problem: Problem) -> _Prepared:
    unlabelled, labelled = np.flatnonzero(problem.labels < 0), np.flatnonzero(problem.labels >= 0)
    rows = as_rows(problem.embeddings)
    frame = choose_frame(rows)
    rows = frame.enter(rows[np.concatenate([unlabelled, labelled])])
    labels = problem.labels[labelled]
    pinned = Pinned.of(rows[len(unlabelled) :], labels, problem.given_k)
    return _Prepared(
        rows=rows,
        pool=rows[: len(unlabelled)],
        frame=frame,
        pinned=pinned,
        means=class_means(rows[len(unlabelled) :], labels, problem.given_k),
        fixed=np.flatnonzero(pinned.counts > 0),
        free=np.flatnonzero(pinned.counts == 0),
    )


def _starts(
    prepared: _Prepared, problem: Problem, config: SemiKMeans, rng: np.random.Generator
) -> Iterator[NDArray[np.float64]]:
    """(k, d) starting centres of each restart."""
    known, free = prepared.means[prepared.fixed], prepared.free
    if config.init == "gcd":
        rngs = rng.spawn(config.restarts)
        chosen = plus_plus(prepared.pool, len(free), rngs=rngs, known=known)
        novel = (prepared.pool[rows].astype(np.float64) for rows in chosen)
    else:
        plain = fit(prepared.rows, problem.given_k, restarts=config.restarts, iterations=config.iterations, rng=rng)
        novel = (partition.centres[unclaimed(partition.centres, known)] for partition in plain)
    for centres in novel:
        start = prepared.means.copy()
        start[free] = centres
        yield start


def unclaimed(centroids: NDArray[np.float64], means: NDArray[np.float64]) -> NDArray[np.int64]:
    """Centroids, ascending, that the one-to-one matching to class means with least squared distance leaves over."""
    squared = np.square(means).sum(axis=1)[:, None] - 2 * means @ centroids.T + np.square(centroids).sum(axis=1)
    _, taken = linear_sum_assignment(squared)
    return np.setdiff1d(np.arange(len(centroids)), taken)


def _run(prepared: _Prepared, problem: Problem, config: SemiKMeans, start: NDArray[np.float64]) -> Partition:
    tolerance = config.tolerance * prepared.frame.scale**2
    if not problem.novel_only:
        return lloyd(prepared.pool, start, iterations=config.iterations, tolerance=tolerance, pinned=prepared.pinned)
    first = problem.n_known
    novel = lloyd(prepared.pool, start[first:], iterations=config.iterations, tolerance=tolerance)
    centres = np.concatenate([start[:first], novel.centres])
    return Partition(
        labels=novel.labels + first,
        centres=centres,
        objective=novel.objective + prepared.pinned.inertia(centres),
        iterations=novel.iterations,
        repaired=novel.repaired,
        converged=novel.converged,
    )
