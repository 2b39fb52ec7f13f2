"""CiPR's estimate of the number of classes: the best cut of the hierarchy of selective neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.rows import Rows, as_rows, unit_rows
from ncdcli.clustering.snc_levels import count_clusters, levels, merge_down
from ncdcli.counting.base import Cost, CountEstimate, CountProblem
from ncdcli.counting.candidates import best_candidate, near_best, stratified_rows
from ncdcli.counting.kinds import SncScore
from ncdcli.counting.labelled import accuracy, choose_anchors, labelled_range, require_labels
from ncdcli.counting.sweep import sample_of
from ncdcli.metrics.silhouette import silhouettes
from ncdcli.pipeline.context import Progress

RESAMPLES = 100
SILHOUETTE_ROWS = 2048


@dataclass(frozen=True)
class _Hierarchy:
    """Rows, the labels that guide their hierarchy, and its levels."""

    rows: Rows  # (n, d)
    guides: NDArray[np.int64]  # (n,) class of anchors' labelled rows, -1 elsewhere
    levels: list[NDArray[np.int64]]  # single rows first, then ever fewer clusters
    counts: list[int]  # of clusters at each level, those of an anchor counted once


@dataclass(frozen=True)
class _Curves:
    """What every candidate's clusters score."""

    clusters: NDArray[np.int64]  # (candidates, held-out rows)
    classes: NDArray[np.int64]  # (held-out rows,) 0 …
    values: NDArray[np.float64]  # (candidates, sampled rows) silhouettes

    def scores(
        self, rows: NDArray[np.int64] | slice, weights: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(candidates,) accuracy on some held-out rows, and weighted mean silhouette."""
        shape = {"k": int(self.clusters.max()) + 1, "n_known": int(self.classes.max()) + 1}
        accuracies = [accuracy(line[rows], self.classes[rows], **shape) for line in self.clusters]
        return np.array(accuracies), self.values @ weights / weights.sum()


def estimate(problem: CountProblem, config: SncScore, rng: np.random.Generator, progress: Progress) -> CountEstimate:
    """The k in low … high whose selective neighbours do best on held-out known classes and by silhouette.

    CiPR (Hao, Han and Wong, TMLR 2024), section 3.4: the hierarchy of selective neighbours is built with the labels of
    `anchor_ratio` of the known classes, drawn at random; the labelled rows of the others are held out. score(k) is
    the Hungarian accuracy on them × the mean silhouette of at most 2,048 rows, each scaled to 0 … 1 over the
    candidates. CiPR scores the levels, and then the numbers of clusters between the neighbours of the best one, by
    merging one pair of clusters at a time. We score every k of the range in this way, from the level above: few levels
    lie in a range, and scaled over these alone most scores are 0. A criterion that is the same for all counts as 1.

    The interval holds the candidates whose shortfall against the best is within one standard deviation over 100
    bootstrap samples of the held-out rows and of the rows with silhouettes.

    Built of a stratified sample of `max_samples` rows. Raises DataError without labelled rows of two classes or with
    too few rows, RecipeError for bounds that make no sense.
    """
    require_labels(problem, "snc_score")
    key = int(rng.integers(2**63))
    chosen = stratified_rows(problem.labels, config.max_samples, np.random.default_rng([key, 0]))
    labels, cost = problem.labels[chosen], Cost()
    anchors, others = choose_anchors(labels, config.anchor_ratio, np.random.default_rng([key, 3]), kind="snc_score")
    guides = np.where(np.isin(labels, anchors), labels, -1)
    low, high = labelled_range(problem, config, most=len(anchors) + int((guides < 0).sum()))
    with progress.track("estimate k", 2) as tick:
        rows = as_rows(problem.embeddings[chosen])
        hierarchy = _build(
            unit_rows(rows) if config.spherical else rows, guides, config, np.random.default_rng([key, 1])
        )
        tick()
        held_out = np.flatnonzero(np.isin(labels, others))
        sample = sample_of(len(rows), SILHOUETTE_ROWS, key)
        partitions = _cuts(hierarchy, range(low, high + 1), spherical=config.spherical)
        curves = _Curves(
            clusters=np.stack([partition[held_out] for partition in partitions]),
            classes=np.unique(labels[held_out], return_inverse=True)[1].reshape(-1),
            values=silhouettes(hierarchy.rows[sample], [partition[sample] for partition in partitions]),
        )
        tick()
    cost.clusterings, cost.distances = 1, len(rows) ** 2 + len(sample) ** 2
    return _answer(curves, hierarchy, np.random.default_rng([key, 2]), low, cost)


def _build(rows: Rows, guides: NDArray[np.int64], config: SncScore, rng: np.random.Generator) -> _Hierarchy:
    found = [np.arange(len(rows)), *levels(rows, guides, rng, spherical=config.spherical)]
    return _Hierarchy(rows, guides, found, [count_clusters(level, guides) for level in found])


def _cuts(hierarchy: _Hierarchy, candidates: Sequence[int], *, spherical: bool) -> list[NDArray[np.int64]]:
    """(n,) clusters for each candidate, merged from the coarsest level that has as many."""
    counts = np.array(hierarchy.counts)
    start = [int(np.flatnonzero(counts >= k)[-1]) for k in candidates]
    cuts: dict[int, NDArray[np.int64]] = {}
    for level in sorted(set(start)):
        wanted = [k for k, of_level in zip(candidates, start, strict=True) if of_level == level]
        merged = merge_down(hierarchy.rows, hierarchy.guides, hierarchy.levels[level], wanted, spherical=spherical)
        cuts |= dict(zip(wanted, merged, strict=True))
    return [cuts[k] for k in candidates]


def _answer(curves: _Curves, hierarchy: _Hierarchy, rng: np.random.Generator, low: int, cost: Cost) -> CountEstimate:
    candidates = range(low, low + len(curves.values))
    held_out, rows = len(curves.classes), curves.values.shape[1]
    accuracies, means = curves.scores(slice(None), np.ones(rows, np.int64))
    scores = dict(zip(candidates, (_scaled(accuracies) * _scaled(means)).tolist(), strict=True))
    resampled = np.empty((RESAMPLES, len(candidates)))
    for line in resampled:
        weights = np.bincount(rng.integers(rows, size=rows), minlength=rows)
        parts = curves.scores(rng.integers(held_out, size=held_out), weights)
        line[:] = _scaled(parts[0]) * _scaled(parts[1])
    k = best_candidate(scores)
    statistics = {
        "range": [low, candidates[-1]],
        "accuracy": float(accuracies[k - low]),
        "silhouette": float(means[k - low]),
        "held_out_classes": int(curves.classes.max()) + 1,
        "level_counts": hierarchy.counts[1:],
        "cost": cost.facts(len(hierarchy.rows)),
    }
    others = {
        "accuracy": dict(zip(candidates, accuracies.tolist(), strict=True)),
        "silhouette": dict(zip(candidates, means.tolist(), strict=True)),
    }
    interval = near_best(scores, dict(zip(candidates, resampled.T, strict=True)))
    return CountEstimate(k, "snc_score", scores, interval, statistics, others)


def _scaled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values moved to 0 … 1; all 1 where they are equal."""
    width = float(np.ptp(values))
    return (values - values.min()) / width if width > 0 else np.ones_like(values)
