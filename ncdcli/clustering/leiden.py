"""Communities of the nearest-neighbour graph by the Leiden algorithm (Traag, Waltman & van Eck 2019), from igraph.

As in the defaults of scanpy, with which MNIST-Nd (2024) found it the most robust method in many dimensions: 15 nearest
neighbours, UMAP's edge weights, modularity with resolution 1. Where we differ: a row is not a neighbour of itself; and
where k is given, the resolution is searched for it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, triu
from scipy.sparse.csgraph import connected_components

from ncdcli.clustering.base import Clustering, Problem
from ncdcli.clustering.checks import check_problem
from ncdcli.clustering.division import Division, cluster_without_labels
from ncdcli.clustering.kinds import Leiden
from ncdcli.clustering.neighbours import nearest_neighbours
from ncdcli.clustering.rows import Rows, as_rows
from ncdcli.clustering.sampled import cluster_means
from ncdcli.clustering.ward_tree import cut_tree, ward_tree
from ncdcli.pipeline.context import Progress, Tick

_TRIALS = 20  # resolutions between the one with too few communities and the one with enough
_STRETCH = 40  # doublings or halvings of the resolution before that
_BISECTIONS = 64  # halvings of the interval in which an edge weight's bandwidth lies
_LEAST_BANDWIDTH = 1e-3  # of the mean distance, as in UMAP


def cluster(problem: Problem, config: Leiden, rng: np.random.Generator, progress: Progress) -> Clustering:
    """The communities of labelled and unlabelled rows together (NCD: of unlabelled rows alone).

    Without k, there are as many as the resolution brings. With k, the resolution is doubled or halved until k lies
    between two counts, and bisected 20 times at most; of the partitions with k communities or more the smallest one
    counts, whose means, weighted by their sizes, are merged by Ward's method where it has more than k. How clusters get
    their names: see `cluster_without_labels`. The objective is minus the modularity at the last resolution.

    Raises DataError for embeddings that are not finite or too few, RecipeError for a k below the known classes.
    """
    check_problem(problem)
    rows = as_rows(problem.embeddings)
    seed = int(rng.integers(2**63))

    def divide(part: Rows, k: int | None) -> Division:
        if len(part) == 1:
            return Division(np.zeros(1, np.int64), 0.0)
        with progress.track("Leiden", None) as tick:
            communities = _Communities(neighbour_weights(part, config.neighbours), config, seed, tick)
            resolution = config.resolution
            if k is None:
                found = communities.at(resolution)
            else:
                found, resolution = _search(communities, resolution, k)
            count = int(found.max()) + 1
            clusters = found if k is None or count <= k else _merge(part, found, k)
            statistics = {"resolution": resolution, "found": count, "edges": communities.graph.ecount()}
            return Division(clusters, -communities.modularity(clusters, resolution), statistics=statistics)

    return cluster_without_labels(problem, rows, divide)


def neighbour_weights(rows: Rows, neighbours: int) -> csr_matrix:
    """(n, n) symmetric weights 0 … 1 of the edges between each row and its nearest ones.

    UMAP (McInnes, Healy & Melville 2018, section 3.1): a row's nearest neighbour has 1, the others fall off with their
    distance beyond it, by a bandwidth of the row's own that makes the sum log₂ of their number; the two weights a and b
    of an edge become a + b − a b.
    """
    n = len(rows)
    nearest, squared = nearest_neighbours(rows, neighbours)
    count = nearest.shape[1]
    distances = np.sqrt(squared)
    beyond = np.maximum(distances - distances[:, :1], 0)
    bandwidths = np.maximum(_bandwidths(beyond), _LEAST_BANDWIDTH * distances.mean(axis=1))
    weights = np.exp(-beyond / np.where(bandwidths > 0, bandwidths, 1)[:, None])
    one_way = csr_matrix((weights.ravel(), nearest.ravel(), count * np.arange(n + 1)), shape=(n, n))
    return csr_matrix(one_way + one_way.T - one_way.multiply(one_way.T))


def _bandwidths(beyond: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) s at which the sum of exp(−beyond / s) over a row's m values is log₂ m; 0 where more are 0 already."""
    target = np.log2(beyond.shape[1])  # 0 for a single neighbour: the sum is 1 then, and the bandwidth goes to 0
    low, high = np.zeros(len(beyond)), np.full(len(beyond), np.inf)
    middle = np.where(beyond.max(axis=1) > 0, beyond.max(axis=1), 1.0)
    for _ in range(_BISECTIONS):
        above = np.exp(-beyond / middle[:, None]).sum(axis=1) > target
        high, low = np.where(above, middle, high), np.where(above, low, middle)
        middle = np.where(np.isinf(high), middle * 2, (low + high) / 2)
    return middle


class _Communities:
    """A graph whose communities are looked for at several resolutions, always with the same random numbers.

    `pieces`: connected parts of the graph, weights of 0 joining as well.
    """

    def __init__(self, weights: csr_matrix, config: Leiden, seed: int, tick: Tick) -> None:
        import igraph

        upper = triu(weights, k=1).tocoo()
        self.graph: Any = igraph.Graph(n=weights.shape[0], edges=np.stack([upper.row, upper.col], axis=1))
        self.weights, self.iterations, self.seed, self.tick = upper.data, config.iterations, seed, tick
        self.pieces = int(connected_components(weights, directed=False)[0])

    def at(self, resolution: float) -> NDArray[np.int64]:
        """(n,) community 0 … of each row."""
        with _random_numbers(self.seed):
            found = self.graph.community_leiden(
                objective_function="modularity",
                weights=self.weights,
                resolution=resolution,
                n_iterations=self.iterations,
            )
        self.tick(1, resolution=resolution)
        return np.array(found.membership, np.int64)

    def modularity(self, clusters: NDArray[np.int64], resolution: float) -> float:
        """Share of the edges within clusters, minus `resolution` × the share that chance would have there."""
        return float(self.graph.modularity(clusters.tolist(), weights=self.weights, resolution=resolution))


@contextmanager
def _random_numbers(seed: int) -> Iterator[None]:
    """A context in which igraph, which knows only one generator, draws from one that starts at `seed`."""
    import igraph

    igraph.set_random_number_generator(random.Random(seed))
    try:
        yield
    finally:
        igraph.set_random_number_generator(random)  # as it was when igraph was imported


def _search(communities: _Communities, start: float, k: int) -> tuple[NDArray[np.int64], float]:
    """The partition with the fewest communities among those with k or more, and its resolution."""
    tried: dict[float, NDArray[np.int64]] = {}
    aim = max(k, communities.pieces)  # no resolution brings fewer than the graph has pieces

    def count(resolution: float) -> int:
        if resolution not in tried:
            tried[resolution] = communities.at(resolution)
        return int(tried[resolution].max()) + 1

    low = high = start
    for _ in range(_STRETCH):
        if count(high) >= aim:
            break
        low, high = high, 2 * high
    for _ in range(_STRETCH):
        if count(low) <= aim:
            break
        low, high = low / 2, low
    for _ in range(_TRIALS):
        if aim in map(count, tried):
            break
        middle = float(np.sqrt(low * high))
        low, high = (low, middle) if count(middle) > aim else (middle, high)
    best = min((resolution for resolution in tried if count(resolution) >= k), key=lambda found: (count(found), found))
    return tried[best], best


def _merge(rows: Rows, found: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """Communities merged to k, those first whose union raises the sum of squares least."""
    means = cluster_means(rows, found).astype(np.float32)
    return cut_tree(ward_tree(means, weights=np.bincount(found).astype(np.float64)), k)[found]
