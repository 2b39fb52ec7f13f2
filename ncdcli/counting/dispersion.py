"""Classical criteria on the spread of clusters: Caliński-Harabasz, Davies-Bouldin, and the elbow of the inertia.

All three look at the same sweep: k-means of the pool for every k. Each gives the score of every candidate, greater
being better, and an interval of the candidates whose shortfall against the best is within one standard deviation over
100 bootstrap samples of the pool's rows. The partitions and their centres are held in the resamples: means are where
the inertia is least, so that to first order their own moves do not change it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.spatial.distance import cdist

from ncdcli.clustering.checks import class_means
from ncdcli.clustering.descent import Partition
from ncdcli.clustering.rows import Rows, blocks
from ncdcli.counting.base import CountEstimate, CountProblem
from ncdcli.counting.candidates import best_candidate, near_best
from ncdcli.counting.kinds import CalinskiHarabasz, DaviesBouldin, Elbow
from ncdcli.counting.sweep import PoolSweep, sweep_of
from ncdcli.errors import RecipeError
from ncdcli.pipeline.context import Progress

RESAMPLES = 100

# Part of the total dispersion below which the dispersion within clusters is rounding: every row lies on its centre.
_NONE = 1e-12

_Values = NDArray[np.float64]


def calinski_harabasz(
    problem: CountProblem, config: CalinskiHarabasz, rng: np.random.Generator, progress: Progress
) -> CountEstimate:
    """The number of classes with the greatest (B / (c − 1)) / (W / (n − c)) of the pool's k-means partition.

    Caliński and Harabasz 1974: B and W are the dispersion between and within the c clusters that hold rows. Where W
    is nothing (all rows on their centres), it counts as 1e-12 of the total, so that the fewest such clusters win.

    Raises DataError with too few unlabelled rows, RecipeError for bounds that make no sense.
    """
    sweep = _sweep(problem, config, rng)
    weights = _resamples(sweep)
    total = weights.sum(_squared(sweep.rows, sweep.rows.mean(axis=0, dtype=np.float64)))

    def score(_: int, partition: Partition) -> _Values:
        spread = Spread.of(sweep.rows, partition.labels)
        return _ratio(total, weights.sum(spread.squared), len(sweep.rows), len(spread.sizes))

    return _answer("calinski_harabasz", sweep, sweep.run(score, progress))


def davies_bouldin(
    problem: CountProblem, config: DaviesBouldin, rng: np.random.Generator, progress: Progress
) -> CountEstimate:
    """The number of classes with the least Davies-Bouldin index of the pool's k-means partition.

    Davies and Bouldin 1979: the mean over clusters of the greatest (s + s') / d to another one, where s is the mean
    distance of a cluster's rows to its centre and d the distance of the two centres. Lower is better: scores in the
    curve are the index times −1. Bootstrap samples leave out the clusters that they draw no row of.

    Raises DataError with too few unlabelled rows, RecipeError for bounds that make no sense.
    """
    sweep = _sweep(problem, config, rng)
    weights = _resamples(sweep)

    def score(_: int, partition: Partition) -> _Values:
        spread = Spread.of(sweep.rows, partition.labels)
        sizes, sums = weights.by_cluster(spread, None), weights.by_cluster(spread, np.sqrt(spread.squared))
        apart = cdist(spread.means, spread.means)
        return -np.array([_index(s, n, apart) for s, n in zip(sums.T, sizes.T, strict=True)])

    return _answer("davies_bouldin", sweep, sweep.run(score, progress))


def elbow(problem: CountProblem, config: Elbow, rng: np.random.Generator, progress: Progress) -> CountEstimate:
    """The number of classes at which the inertia of the pool's k-means bends most.

    Scores are the distances of `knee_distances`; the inertia is in `other_scores`.

    Raises DataError with too few unlabelled rows, RecipeError for bounds that make no sense.
    """
    sweep = sweep_of(problem, config, rng, max_samples=config.max_samples, least_novel=1)
    weights = _resamples(sweep)
    inertia = sweep.run(lambda _, partition: weights.sum(Spread.of(sweep.rows, partition.labels).squared), progress)
    if len(inertia) < 3:
        progress.note("an elbow lies between the ends of the range: give `elbow` at least three candidates")
    distances = np.stack([knee_distances(curve) for curve in np.array(list(inertia.values())).T], axis=1)
    others = {"inertia": {k: float(values[0]) for k, values in inertia.items()}}
    return _answer("elbow", sweep, dict(zip(inertia, distances, strict=True)), others)


def knee_distances(curve: _Values) -> _Values:
    """How far a falling curve over equally spaced points lies below the line that joins its corners: (1 − y) − x.

    Kneedle (Satopää, Albrecht, Irwin and Raghavan, ICDCSW 2011, section III) for a convex decreasing curve: both axes
    are scaled to 0 … 1, and the knee is where the distance has its maximum. We take the greatest one of all: their
    smoothing, and the sensitivity by which a first maximum counts before later ones are seen, are for noisy streams.
    A curve that does not fall, or has fewer than three points, has zeros.
    """
    height = float(np.ptp(curve))
    if len(curve) < 3 or height == 0:
        return np.zeros(len(curve))
    return (curve.max() - curve) / height - np.linspace(0, 1, len(curve))


@dataclass(frozen=True)
class Spread:
    """Where the clusters of a partition are, and how far their rows lie from there; empty clusters are left out."""

    codes: NDArray[np.int64]  # (n,) 0 … c − 1
    sizes: NDArray[np.int64]  # (c,)
    means: _Values  # (c, d)
    squared: _Values  # (n,) squared distance of each row to the mean of its cluster

    @classmethod
    def of(cls, rows: Rows, labels: NDArray[np.int64]) -> Spread:
        """The spread of `rows` (n, d) in the clusters `labels` (n,)."""
        codes = np.unique(labels, return_inverse=True)[1].reshape(-1)
        sizes = np.bincount(codes)
        means = class_means(rows, codes, len(sizes))
        return cls(codes, sizes, means, _squared(rows, means, codes))


@dataclass(frozen=True)
class _Weights:
    """How often each row is drawn: once in the first line, and as often as chance has it in the bootstrap lines."""

    counts: NDArray[np.uint8]  # (1 + resamples, n)

    def sum(self, values: _Values) -> _Values:
        """(1 + resamples,) sum of a value per row."""
        out = np.zeros(len(self.counts))
        for part in blocks(len(values), 65536):
            out += self.counts[:, part].astype(np.float64) @ values[part]
        return out

    def by_cluster(self, spread: Spread, values: _Values | None) -> _Values:
        """(c, 1 + resamples) sum of a value per row (None: 1) in every cluster."""
        out = np.zeros((len(spread.sizes), len(self.counts)))
        for part in blocks(len(spread.codes), 65536):
            codes = spread.codes[part]
            data = np.ones(len(codes)) if values is None else values[part]
            table = csr_matrix((data, codes, np.arange(len(codes) + 1)), shape=(len(codes), len(out)))
            out += table.T @ self.counts[:, part].T.astype(np.float64)
        return out


def _sweep(problem: CountProblem, config: CalinskiHarabasz | DaviesBouldin, rng: np.random.Generator) -> PoolSweep:
    """The sweep of a criterion that compares clusters with each other: there must be two."""
    sweep = sweep_of(problem, config, rng, max_samples=config.max_samples)
    if sweep.low - sweep.others < 2:
        raise RecipeError(
            f"`estimate_k.low` is {sweep.low}, one cluster of unlabelled samples: `{config.kind}` compares several",
            hint=f"give at least {sweep.others + 2}, or leave it out",
        )
    return sweep


def _resamples(sweep: PoolSweep) -> _Weights:
    n, rng = len(sweep.rows), np.random.default_rng([sweep.key, 1])
    counts = np.ones((1 + RESAMPLES, n), np.uint8)
    for line in counts[1:]:
        line[:] = np.minimum(np.bincount(rng.integers(n, size=n), minlength=n), 255)
    return _Weights(counts)


def _squared(rows: Rows, means: _Values, codes: NDArray[np.int64] | None = None) -> _Values:
    """(n,) squared distance of each row to a mean: to its cluster's, or to the only one."""
    out = np.empty(len(rows))
    for part in blocks(len(rows)):
        difference = rows[part] - (means if codes is None else means[codes[part]])
        out[part] = np.einsum("ij,ij->i", difference, difference)
    return out


def _ratio(total: _Values, within: _Values, n: int, clusters: int) -> _Values:
    """Caliński-Harabasz index from the dispersions; 0 where there is nothing to divide."""
    if clusters < 2 or clusters >= n:
        return np.zeros_like(total)
    least = np.maximum(within, _NONE * total)
    ratio = np.divide(total - within, least, out=np.zeros_like(total), where=least > 0)
    return ratio * ((n - clusters) / (clusters - 1))


def _index(sums: _Values, sizes: _Values, apart: _Values) -> float:
    """Davies-Bouldin index from the distances of rows to their centre, summed by cluster, and those of centres."""
    drawn = np.flatnonzero(sizes > 0)
    spread = sums[drawn] / sizes[drawn]
    distance = apart[np.ix_(drawn, drawn)]
    pairs = spread[:, None] + spread
    ratio = np.divide(pairs, distance, out=np.zeros_like(pairs), where=distance > 0)
    return float(ratio.max(axis=1).mean())


def _answer(
    kind: str,
    sweep: PoolSweep,
    values: dict[int, _Values],
    others: dict[str, dict[int, float]] | None = None,
) -> CountEstimate:
    """The candidate with the greatest score; `values` (1 + resamples,) open with the score itself."""
    scores = {k: float(value[0]) for k, value in values.items()}
    interval = near_best(scores, {k: value[1:] for k, value in values.items()})
    statistics = {"range": [sweep.low, sweep.high], "cost": sweep.cost.facts(len(sweep.rows))}
    return CountEstimate(best_candidate(scores), kind, scores, interval, statistics, others or {})
