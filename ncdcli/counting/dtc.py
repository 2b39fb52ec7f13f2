"""DTC's estimate of the number of classes: known classes that are treated as novel show how well each k does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.base import Problem
from ncdcli.clustering.rows import Rows, as_rows
from ncdcli.counting.base import Cost, CountEstimate, CountProblem
from ncdcli.counting.candidates import middle_of
from ncdcli.counting.kinds import Dtc
from ncdcli.counting.labelled import accuracy, choose_anchors, labelled_range, require_labels
from ncdcli.counting.pinned import cluster_pinned
from ncdcli.counting.sweep import sample_of
from ncdcli.metrics.contingency import count_table
from ncdcli.metrics.matching import match_clusters
from ncdcli.metrics.silhouette import silhouettes
from ncdcli.pipeline.context import Progress

RESAMPLES = 100


@dataclass(frozen=True)
class _Probe:
    """Known classes in two parts: anchors, whose rows are pinned, and validation classes, treated as novel."""

    rows: Rows  # (n, d)
    pins: NDArray[np.int64]  # (n,) number of the anchor 0 … anchors − 1, -1: validation and unlabelled rows
    anchors: int
    validation: NDArray[np.int64]  # numbers of the labelled rows of validation classes
    classes: NDArray[np.int64]  # (validation rows,) 0 … n_validation − 1
    n_validation: int
    pool: NDArray[np.int64]  # numbers of the unlabelled rows
    sample: NDArray[np.int64]  # rows without a pin that silhouettes are taken of
    key: int


@dataclass(frozen=True)
class _Look:
    """What is kept of one candidate's clustering."""

    validation: NDArray[np.int64]  # (validation rows,) clusters
    sample: NDArray[np.int64]  # (sampled rows,) clusters
    left: int  # classes that are left when small clusters are dropped


def estimate(problem: CountProblem, config: Dtc, rng: np.random.Generator, progress: Progress) -> CountEstimate:
    """The number of classes by probe classes: DTC, Han, Vedaldi and Zisserman, ICCV 2019, section 3.3.

    The known classes are divided at random into anchors (`anchor_ratio` of them, their labelled rows pinned) and
    validation classes, whose labelled rows are treated like unlabelled ones. For every k in low … high,
    semi-supervised k-means makes k clusters; recorded are the Hungarian accuracy on the validation rows and the mean
    silhouette of rows without a pin (`max_samples` of them at most). The greatest k with the best accuracy and the
    greatest k with the best silhouette are averaged and rounded up. Of that clustering, clusters with fewer unlabelled
    rows than `min_max_ratio` times the largest are dropped.

    In the NCD setting rows without a pin are kept out of the anchors' clusters, and all clusters that are left count
    as novel classes, as in DTC. In the GCD setting, which DTC does not know, clusters of anchors and those that the
    validation rows are matched to count whatever their size; only the others can be dropped.

    `scores` are the accuracies, the silhouettes are in `other_scores`; the answer is no candidate's best score. The
    interval holds the middle 90 % of the answers on 100 bootstrap samples of validation rows and of sampled rows.

    Raises DataError without labelled rows of two classes or with too few rows, RecipeError for bounds that make no
    sense.
    """
    require_labels(problem, "dtc")
    probe, cost = _probe(problem, config, rng), Cost()
    loose = len(probe.validation) + len(probe.pool)
    low, high = labelled_range(problem, config, most=probe.anchors + loose - 1)
    looks: dict[int, _Look] = {}
    with progress.track("estimate k", high - low + 1) as tick:
        for k in range(low, high + 1):
            looks[k] = _look(probe, problem, config, k, cost, progress)
            tick(1, k=k)
    values = silhouettes(probe.rows[probe.sample], [look.sample for look in looks.values()])
    cost.distances += len(probe.sample) ** 2
    accuracies = {k: _accuracy(probe, look, k, slice(None)) for k, look in looks.items()}
    means = dict(zip(looks, values.mean(axis=1).tolist(), strict=True))
    by_accuracy, by_silhouette = _last_best(accuracies), _last_best(means)
    averaged = -(-(by_accuracy + by_silhouette) // 2)
    k = max(looks[averaged].left, low)
    statistics: dict[str, Any] = {
        "range": [low, high],
        "anchors": probe.anchors,
        "validation_classes": probe.n_validation,
        "best_by_accuracy": by_accuracy,
        "best_by_silhouette": by_silhouette,
        "averaged": averaged,
        "cost": cost.facts(len(probe.rows)),
    }
    interval = middle_of([max(looks[a].left, low) for a in _resampled(probe, looks, values)], k)
    return CountEstimate(k, "dtc", accuracies, interval, statistics, {"silhouette": means})


def _probe(problem: CountProblem, config: Dtc, rng: np.random.Generator) -> _Probe:
    key = int(rng.integers(2**63))
    stream = np.random.default_rng([key, 3])
    anchors, others = choose_anchors(problem.labels, config.anchor_ratio, stream, kind="dtc")
    place = np.full(problem.n_known + 1, -1, np.int64)  # the last one is that of label -1
    place[anchors] = np.arange(len(anchors))
    pins = place[problem.labels]
    validation = np.flatnonzero((problem.labels >= 0) & (pins < 0))
    loose = np.flatnonzero(pins < 0)
    return _Probe(
        rows=as_rows(problem.embeddings),
        pins=pins,
        anchors=len(anchors),
        validation=validation,
        classes=np.unique(problem.labels[validation], return_inverse=True)[1].reshape(-1),
        n_validation=len(others),
        pool=np.flatnonzero(problem.labels < 0),
        sample=loose[sample_of(len(loose), config.max_samples, key)],
        key=key,
    )


def _look(probe: _Probe, problem: CountProblem, config: Dtc, k: int, cost: Cost, progress: Progress) -> _Look:
    clusters = cluster_pinned(
        Problem(probe.rows, probe.pins, probe.anchors, k, problem.novel_only),
        restarts=config.restarts,
        rng=np.random.default_rng([probe.key, k]),
        cost=cost,
        progress=progress,
    ).assignments
    sizes = np.bincount(clusters[probe.pool], minlength=k)
    large = sizes >= max(config.min_max_ratio * sizes.max(initial=0), 1)
    if problem.novel_only:
        left = problem.n_known + int(large.sum())
    else:
        counts = count_table(clusters[probe.validation], probe.classes, shape=(k, probe.n_validation))
        named = (match_clusters(counts) >= 0) & (counts.sum(axis=1) > 0)
        named[: probe.anchors] = True
        left = int((large | named).sum())
    return _Look(clusters[probe.validation], clusters[probe.sample], left)


def _accuracy(probe: _Probe, look: _Look, k: int, rows: NDArray[np.int64] | slice) -> float:
    return accuracy(look.validation[rows], probe.classes[rows], k=k, n_known=probe.n_validation)


def _last_best(scores: dict[int, float]) -> int:
    """The candidate with the greatest score, the greatest of equal ones."""
    return max(scores, key=lambda k: (scores[k], k))


def _resampled(probe: _Probe, looks: dict[int, _Look], values: NDArray[np.float64]) -> list[int]:
    """The average of both best candidates on each bootstrap sample."""
    rng = np.random.default_rng([probe.key, 1])
    out = []
    for _ in range(RESAMPLES):
        rows = rng.integers(len(probe.validation), size=len(probe.validation))
        drawn = np.bincount(rng.integers(values.shape[1], size=values.shape[1]), minlength=values.shape[1])
        accuracies = {k: _accuracy(probe, look, k, rows) for k, look in looks.items()}
        means = dict(zip(looks, (values @ drawn).tolist(), strict=True))
        out.append(-(-(_last_best(accuracies) + _last_best(means)) // 2))
    return out
