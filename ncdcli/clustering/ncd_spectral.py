"""NCD spectral clustering (PBN, Troisemaine et al., DMKD 2024, Algorithm 3): the graph that finds known classes best.

It is no other way to cluster but a way to choose: of many pairs (similarity of the longest edge of the minimum
spanning tree, number of eigenvectors) the one counts whose clusters agree best, by the adjusted Rand index, with the
labelled rows. Eigen-decompositions dominate the time, and the number of eigenvectors only slices one: hence several
numbers are tried with each similarity (`trials: 1` gives independent pairs, as in the paper), distances and the
spanning tree are computed once, and the search decomposes a part of the rows (with the same width of the Gaussian).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.base import Clustering, Problem
from ncdcli.clustering.checks import check_problem
from ncdcli.clustering.division import Division, cluster_without_labels
from ncdcli.clustering.eigenmap import (
    Matrix,
    eigenmap,
    framed,
    gaussian,
    gaussian_width,
    longest_edge,
    squared_distances,
)
from ncdcli.clustering.kinds import NcdSpectral
from ncdcli.clustering.restarts import best_of
from ncdcli.clustering.rows import Rows, as_rows
from ncdcli.clustering.spectral import Graph, divide_by, partitions_of, require_room
from ncdcli.metrics.contingency import contingency
from ncdcli.metrics.scores import adjusted_rand
from ncdcli.pipeline.context import Progress

_UNTUNED = 0.6  # similarity without a search, as in the paper


@dataclass(frozen=True)
class _Trial:
    similarity: float
    components: int
    score: float  # adjusted Rand index on labelled rows


def cluster(problem: Problem, config: NcdSpectral, rng: np.random.Generator, progress: Progress) -> Clustering:
    """Spectral clusters in the graph of labelled and unlabelled rows that shows the known classes best.

    The graph holds all rows. In the search all of them are divided into k clusters; then, in the NCD setting, the
    unlabelled ones alone are divided into the novel clusters, by their eigenvector coordinates. In the GCD setting,
    which the paper does not have, all rows are divided. Without labelled rows there is nothing to choose by: what is
    not given is 0.6 and k then, as in the paper's untuned baseline.

    Raises DataError for embeddings that are not finite or too few, RecipeError for a k that does not fit.
    """
    check_problem(problem)
    rows = as_rows(problem.embeddings)
    points = framed(rows)
    sample = _sampled(problem.labels, config.max_samples, rng)
    require_room(problem.given_k, len(sample))
    squared = squared_distances(points[sample])
    longest = longest_edge(squared)
    pairs = _draw_pairs(problem, config, len(sample), rng)
    best = pairs[0][0], pairs[0][1][0]
    told: dict[str, Any] = {}
    if sum(len(components) for _, components in pairs) > 1:
        part = _sampled(problem.labels[sample], max(config.search_samples, 4 * problem.given_k), rng)
        inside, labels = squared[np.ix_(part, part)], problem.labels[sample][part]
        trials = _search(pairs, config, inside, labels, k=problem.given_k, longest=longest, rng=rng, progress=progress)
        first = max(trials, key=lambda trial: trial.score)  # the first of equal ones
        best = first.similarity, first.components
        told = {"score": first.score, "rows_in_search": len(part), "labelled_in_search": int((labels >= 0).sum())}
        told["trials"] = [asdict(trial) for trial in trials]
    sigma = gaussian_width(longest, best[0], config.sigma_convention)
    graph = Graph.gaussian(sample, points[sample], squared, sigma, best[1])
    spectral = graph.coordinates(points, best[1], config.scaling)
    chosen = np.flatnonzero(problem.labels < 0) if problem.novel_only else np.arange(len(rows))

    def divide(part: Rows, k: int) -> Division:
        inside = np.flatnonzero(np.isin(chosen, sample))
        division = divide_by(spectral[chosen], inside, part, k, config, rng=rng, progress=progress)
        return replace(division, statistics=dict(division.statistics) | {"similarity": best[0]} | told)

    return cluster_without_labels(problem, rows, divide)


def _sampled(labels: NDArray[np.int64], most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Ascending numbers of all rows, or of `most` at random, a quarter of them labelled where there are so many."""
    n = len(labels)
    if n <= most:
        return np.arange(n)
    labelled, others = np.flatnonzero(labels >= 0), np.flatnonzero(labels < 0)
    share = max(round(most * len(labelled) / n), min(len(labelled), most // 4), most - len(others))
    return np.sort(
        np.concatenate([rng.choice(labelled, share, replace=False), rng.choice(others, most - share, replace=False)])
    )


def _draw_pairs(
    problem: Problem, config: NcdSpectral, n: int, rng: np.random.Generator
) -> list[tuple[float, list[int]]]:
    """Similarities and, for each, the numbers of components to try; what the recipe gives is not drawn."""
    most = max(1, min(config.max_components, n - 2))
    if not (problem.labels >= 0).any():
        return [(config.similarity or _UNTUNED, [min(config.components or problem.given_k, most)])]
    count = config.similarities if config.similarity is None else 1
    pairs = []
    for _ in range(count):
        similarity = 1.0 - rng.random() if config.similarity is None else config.similarity
        drawn = rng.choice(most, min(config.trials, most), replace=False) + 1 if config.components is None else ()
        components = sorted(int(u) for u in drawn) if config.components is None else [config.components]
        pairs.append((min(similarity, 1 - 1e-9), components))
    return pairs


def _search(
    pairs: Sequence[tuple[float, list[int]]],
    config: NcdSpectral,
    squared: Matrix,
    labels: NDArray[np.int64],
    *,
    k: int,
    longest: float,
    rng: np.random.Generator,
    progress: Progress,
) -> list[_Trial]:
    """How well k clusters agree with the labelled rows, for each pair."""
    labelled = labels >= 0
    trials = []
    with progress.track("graphs tried", sum(len(components) for _, components in pairs)) as tick:
        for similarity, components in pairs:
            sigma = gaussian_width(longest, similarity, config.sigma_convention)
            graph = eigenmap(gaussian(squared, sigma), max(components))
            for count in components:
                partitions = partitions_of(graph.coordinates(count, config.scaling), k, config, rng)
                found = partitions[best_of(partitions)].labels[labelled]
                score = adjusted_rand(contingency(found, labels[labelled]).counts)
                trials.append(_Trial(similarity, count, 0.0 if score is None else score))
                tick()
    return trials
