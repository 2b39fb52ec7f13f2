"""HDBSCAN (Campello, Moulavi & Sander, PAKDD 2013), as scikit-learn has it: a cluster for each dense region.

Where we differ: a sample must have a cluster, so what HDBSCAN calls noise goes to the nearest mean. (A cluster of all
noise would count as a class, and its mean would draw in new samples from everywhere.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.base import Clustering, Problem
from ncdcli.clustering.checks import check_problem
from ncdcli.clustering.division import Division, cluster_without_labels
from ncdcli.clustering.kinds import Hdbscan
from ncdcli.clustering.rows import Rows, as_rows, choose_frame
from ncdcli.clustering.sampled import carried_over, cluster_means
from ncdcli.clustering.sums import inertia
from ncdcli.counting.candidates import stratified_rows
from ncdcli.pipeline.context import Progress
from ncdcli.words import counted

_WIDE = 20  # columns above which all distances at once are quicker than a k-d tree: measured at 16 and 64
_NOISE = -1


def cluster(problem: Problem, config: Hdbscan, rng: np.random.Generator, progress: Progress) -> Clustering:
    """The clusters that HDBSCAN finds in labelled and unlabelled rows together (NCD: in unlabelled rows alone).

    Their number is its own. Rows that are noise go to the nearest mean of the rows that are not, and so do rows beyond
    the sample of `max_samples`. Where all is noise there is one cluster, and a note says so. How clusters get their
    names: see `cluster_without_labels`.

    Raises DataError for embeddings that are not finite.
    """
    check_problem(problem)
    rows = as_rows(problem.embeddings)

    def divide(part: Rows, _: int | None) -> Division:
        labels = problem.labels[problem.labels < 0] if problem.novel_only else problem.labels
        sample = stratified_rows(labels, config.max_samples, rng)
        found = dense_regions(part[sample], config)
        if not (found != _NOISE).any():
            progress.note(
                f"hdbscan found no cluster in {counted(len(sample), 'sample')}, so that all are in one: "
                f"lower `cluster.min_cluster_size`, now {config.min_cluster_size}"
            )
            found = np.zeros(len(sample), np.int64)
        dense = found != _NOISE
        clusters = carried_over(part, sample[dense], found[dense])
        centres = cluster_means(part, clusters)
        statistics = {"rows": len(sample), "found": int(found.max()) + 1, "noise": int((~dense).sum())}
        return Division(clusters, inertia(part, clusters, centres), centres, statistics)

    with progress.track("hdbscan", None):
        return cluster_without_labels(problem, rows, divide)


def dense_regions(rows: Rows, config: Hdbscan) -> NDArray[np.int64]:
    """(n,) cluster of each row, -1 for noise."""
    from sklearn.cluster import HDBSCAN

    if len(rows) < 2:
        return np.full(len(rows), _NOISE)
    engine = HDBSCAN(
        min_cluster_size=config.min_cluster_size,
        min_samples=min(config.min_samples, len(rows)),
        cluster_selection_method=config.selection,
        algorithm="brute" if rows.shape[1] > _WIDE else "kd_tree",
        copy=True,
    )
    return engine.fit_predict(choose_frame(rows).enter(rows)).astype(np.int64)
