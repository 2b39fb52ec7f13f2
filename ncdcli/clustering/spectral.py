"""Normalised spectral clustering: k-means of the leading eigenvectors of a similarity graph (PBN, section 3; its
untuned baseline: similarity 0.6, as many components as clusters, novel rows alone).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.base import Clustering, Problem
from ncdcli.clustering.checks import check_problem
from ncdcli.clustering.criterion import judged
from ncdcli.clustering.descent import Partition
from ncdcli.clustering.division import Division, cluster_without_labels
from ncdcli.clustering.eigenmap import (
    Eigenmap,
    Matrix,
    eigenmap,
    framed,
    gaussian,
    gaussian_width,
    longest_edge,
    squared_distances,
)
from ncdcli.clustering.kinds import NcdSpectral, Spectral
from ncdcli.clustering.nearest import Nearest
from ncdcli.clustering.neighbour_graph import joined_to, neighbour_graph, squared_to
from ncdcli.clustering.restarts import descend, fit, restart_statistics, settle
from ncdcli.clustering.rows import Rows, as_rows, blocks
from ncdcli.clustering.sums import group_sums
from ncdcli.errors import RecipeError
from ncdcli.pipeline.context import Progress

_MOST = {"gaussian": 4000, "knn": 20_000}  # rows of a graph by default: some seconds


def cluster(problem: Problem, config: Spectral, rng: np.random.Generator, progress: Progress) -> Clustering:
    """Spectral clusters of labelled and unlabelled rows together (NCD: of unlabelled rows alone).

    Labels only name the clusters (`cluster_without_labels`). Centroids are the means of the clusters in the space of
    the embeddings, so that a new sample has a nearest one; it need not be the cluster that the graph would give it.
    With more than `max_samples` rows the graph is that of a random sample, and the others get the coordinates that
    their similarities to the sample give (`Eigenmap.extend`), and the nearest centre there.

    Raises DataError for embeddings that are not finite or too few, RecipeError for a k that does not fit.
    """
    check_problem(problem, needs_k=True)

    def divide(part: Rows, k: int) -> Division:
        points = framed(part)
        graph = Graph.of(points, config, components=config.components or k, rng=rng)
        spectral = graph.coordinates(points, config.components or k, config.scaling)
        division = divide_by(spectral, graph.sample, part, k, config, rng=rng, progress=progress)
        return replace(division, statistics=dict(division.statistics) | {"sigma": graph.sigma})

    return cluster_without_labels(problem, as_rows(problem.embeddings), divide)


@dataclass(frozen=True)
class Graph:
    """A similarity graph of some of the rows, its eigenvectors, and the similarity of any row to them."""

    sample: NDArray[np.int64]  # ascending numbers of the rows in it
    eigen: Eigenmap
    affinity: Callable[[Rows], Matrix]  # of rows (m, d), to those of the sample
    sigma: float | None  # width of the Gaussian (where the points are), None for nearest neighbours

    @classmethod
    def of(cls, points: Rows, config: Spectral, *, components: int, rng: np.random.Generator) -> Graph:
        """The graph of `points` (n, d), or of `max_samples` of them at random."""
        sample = sampled(len(points), config.max_samples or _MOST[config.affinity], rng)
        chosen = points[sample]
        if config.affinity == "knn":
            graph, radii = neighbour_graph(chosen, config.neighbours)

            def joined(rows: Rows) -> Matrix:
                return joined_to(chosen, rows, radii=radii, neighbours=config.neighbours)

            return cls(sample, eigenmap(graph, components), joined, None)
        squared = squared_distances(chosen)
        sigma = gaussian_width(longest_edge(squared), config.similarity, config.sigma_convention)
        return cls.gaussian(sample, chosen, squared, sigma, components)

    @classmethod
    def gaussian(cls, sample: NDArray[np.int64], chosen: Rows, squared: Matrix, sigma: float, components: int) -> Graph:
        """The graph of `chosen`, the rows of the `sample`, by a Gaussian of their squared distances."""

        def nearness(rows: Rows) -> Matrix:
            return gaussian(squared_to(rows, chosen), sigma)

        return cls(sample, eigenmap(gaussian(squared, sigma), components), nearness, sigma)

    def coordinates(self, points: Rows, components: int, scaling: str) -> Rows:
        """(n, u) coordinates of all `points`, of which the sample are some."""
        inside = self.eigen.coordinates(components, scaling)
        if len(inside) == len(points):
            return inside
        out = np.empty((len(points), inside.shape[1]), np.float32)
        for part in blocks(len(points), 256):
            similar = self.affinity(points[part])
            out[part] = self.eigen.extend(similar, components, scaling, positive=self.sigma is not None)
        out[self.sample] = inside
        return out


def sampled(n: int, most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Ascending numbers of all n rows, or of `most` of them at random."""
    return np.arange(n) if n <= most else np.sort(rng.choice(n, most, replace=False))


def require_room(k: int, n: int) -> None:
    """Nothing, where a graph of n rows can be divided into k clusters; else RecipeError."""
    if k > n:
        hint = "raise `cluster.max_samples`, or give a smaller k"
        raise RecipeError(f"{k} clusters cannot be made of the {n} rows in the graph", hint=hint)


def divide_by(
    spectral: Rows,
    sample: NDArray[np.int64],
    rows: Rows,
    k: int,
    config: Spectral | NcdSpectral,
    *,
    rng: np.random.Generator,
    progress: Progress,
) -> Division:
    """k-means of the `sample` of spectral coordinates (n, u), to which the others are added; centres in `rows` (n, d).

    The objective is that of the restarts, over the sample. A cluster that is empty, which takes fewer distinct rows
    than clusters, has its centre at the row nearest to where it is.
    """
    require_room(k, len(sample))
    with progress.track("k-means of eigenvectors", config.restarts) as tick:
        inside = spectral[sample]
        partitions = partitions_of(inside, k, config, rng, tick)
        settled = settle(
            partitions, config.restarts_rule, inside, again=lambda centres: _again(inside, centres, config)
        )
    best = settled.partition
    labels = best.labels if len(sample) == len(rows) else Nearest(spectral)(best.centres)
    counts = np.bincount(labels, minlength=k)
    centres = group_sums(rows, labels, k) / np.maximum(counts, 1)[:, None]
    for empty in np.flatnonzero(counts == 0):
        centres[empty] = rows[np.square(spectral - best.centres[empty]).sum(axis=1).argmin()]
    statistics = restart_statistics(partitions, labels, k) | settled.statistics
    extra = {"criterion": config.restart_criterion, "components": spectral.shape[1], "rows_in_graph": len(sample)}
    return Division(labels, best.objective, centres, statistics | extra)


def _again(rows: Rows, centres: NDArray[np.float64], config: Spectral | NcdSpectral) -> Partition:
    """Where k-means of the eigenvectors ends from these centres."""
    return judged(descend(rows, centres, iterations=config.iterations), rows, config.restart_criterion)


def partitions_of(
    rows: Rows, k: int, config: Spectral | NcdSpectral, rng: np.random.Generator, tick: Callable[[], None] | None = None
) -> list[Partition]:
    """k-means partitions of `rows` from several starts, with the objective that `restart_criterion` says."""
    partitions = fit(
        rows, k, restarts=config.restarts, iterations=config.iterations, seeding="greedy", rng=rng, tick=tick
    )
    return [judged(partition, rows, config.restart_criterion) for partition in partitions]
