"""Semi-supervised k-means for candidate numbers of classes, with part of the labelled rows held out of the pinning."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.base import Clustering, Problem
from ncdcli.clustering.kinds import SemiKMeans
from ncdcli.clustering.semi_kmeans import cluster
from ncdcli.counting.base import Cost
from ncdcli.counting.labelled import Sample, hold_out
from ncdcli.pipeline.context import Progress, SilentProgress


@dataclass(frozen=True)
class PinnedSweep:
    """Rows, some of them pinned, that are divided into one number of clusters after another.

    Held-out rows are of known classes, so that rows without a pin may be put in any cluster, in the NCD setting too.
    Silhouettes are taken of all rows without a pin: where a novel class is merged with a known one, those of the pool
    alone would not tell in the NCD setting.
    """

    sample: Sample
    held: NDArray[np.int64]  # numbers of the held-out rows
    pins: NDArray[np.int64]  # (n,) class that a row is pinned to, -1: none
    restarts: int
    cost: Cost
    progress: Progress

    @classmethod
    def of(
        cls, sample: Sample, share: float, restarts: int, cost: Cost, progress: Progress, *, kind: str
    ) -> PinnedSweep:
        """A sweep that holds out `share` of each class's labelled rows; DataError where no class has two of them."""
        held = hold_out(sample.labels, share, np.random.default_rng([sample.key, 3]), kind=kind)
        pins = sample.labels.copy()
        pins[held] = -1
        return cls(sample.with_pool(pins < 0), held, pins, restarts, cost, progress)

    @property
    def most(self) -> int:
        """The greatest number of clusters that can be filled: pinned classes, and one for every row without a pin."""
        return len(np.unique(self.pins[self.pins >= 0])) + int((self.pins < 0).sum())

    def cluster(self, k: int) -> Clustering:
        """Semi-supervised k-means into k clusters; the first ones are the known classes."""
        return cluster_pinned(
            Problem(self.sample.rows, self.pins, self.sample.n_known, k),
            restarts=self.restarts,
            rng=np.random.default_rng([self.sample.key, k]),
            cost=self.cost,
            progress=self.progress,
        )

    def right(self, clustering: Clustering) -> NDArray[np.bool_]:
        """(held-out rows,) whether each is in the cluster of its class."""
        return clustering.assignments[self.held] == self.sample.labels[self.held]


def cluster_pinned(
    problem: Problem, *, restarts: int, rng: np.random.Generator, cost: Cost, progress: Progress
) -> Clustering:
    """Semi-supervised k-means that starts from unclaimed centroids of plain k-means, the start with least inertia.

    `cost` is added to; the iterations of the plain k-means are not known and not counted.
    """
    config = SemiKMeans(restarts=restarts, restarts_rule="lowest_objective")
    clustering = cluster(problem, config, rng, SilentProgress(progress.note))
    cost.add_kmeans(int((problem.labels < 0).sum()), problem.given_k, clustering.statistics["iterations"])
    return clustering
