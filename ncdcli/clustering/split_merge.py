"""Whether a cluster is better as two, or two as one: the Hastings ratio of a Dirichlet process mixture.

GPC (Zhao, Wen & Han, ICCV 2023, section 3.3; after Chang & Fisher 2013, and DeepDPM, Ronen et al. 2022) splits a
cluster of n rows into parts of n₁ and n₂ where

    log α + log Γ(n₁) + log L(part 1) + log Γ(n₂) + log L(part 2) − log Γ(n) − log L(whole) > 0,

L being the marginal likelihood of a Gaussian under a normal-inverse-Wishart prior, and merges two by the inverse. Real
classes are no Gaussians: the plain ratio finds 35 to 40 clusters in the ten classes of Pendigits, and 5 in CIFAR-10.
Hence two things are learnt from the known classes here, which GPC sets by hand: the prior expects clusters as wide as
they are, and log L counts with the power (a number of principal components, too) at which known classes are neither
split nor merged as far as possible.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, multigammaln

from ncdcli.clustering.mixture import Matrix
from ncdcli.clustering.restarts import best_of, fit

LEAST_PART = 6  # rows of the smaller part of a split (GPC: parts of 5 or fewer are refused)
_DIMENSIONS = (4, 8, 16, 32, 64)
_DEFAULT_DIMENSIONS = 16
_POWERS = (0.05, 2.0)
_SHRINK = 0.1  # of the width of known classes, towards the same in all directions


@dataclass(frozen=True)
class Judge:
    """Log marginal likelihoods of clusters in the first principal components, and the ratio made of them."""

    mean: NDArray[np.float64]  # (d,) expected mean of a cluster
    width: Matrix  # (d, d) expected covariance
    mean_strength: float
    power: float = 1.0  # of the likelihood

    @property
    def dimensions(self) -> int:
        """Principal components that are looked at."""
        return len(self.mean)

    def log_likelihood(self, points: Matrix) -> float:
        """Log of the density of the points (n, ≥ d) as one cluster whose mean and covariance are not known.

        Normal-inverse-Wishart prior with d + 2 degrees of freedom, the least for which the covariance has an
        expectation (Murphy, "Conjugate Bayesian analysis of the Gaussian distribution", 2007, equation 266).
        """
        points = points[:, : self.dimensions]
        n, d = points.shape
        strength, freedom = self.mean_strength + n, d + 2 + n
        centre = points.mean(axis=0)
        spread = points - centre
        offset = centre - self.mean
        posterior = self.width + spread.T @ spread + self.mean_strength * n / strength * np.outer(offset, offset)
        return float(
            multigammaln(freedom / 2, d)
            - multigammaln((d + 2) / 2, d)
            + (d + 2) / 2 * np.linalg.slogdet(self.width)[1]
            - freedom / 2 * np.linalg.slogdet(posterior)[1]
            + d / 2 * (np.log(self.mean_strength) - np.log(strength))
            - n * d / 2 * np.log(np.pi)
        )

    def score(self, points: Matrix) -> float:
        """What a cluster adds to the log probability of a partition, with a concentration α of 1."""
        return float(gammaln(len(points))) + self.power * self.log_likelihood(points)

    def gain(self, first: Matrix, second: Matrix) -> float:
        """Log of the ratio: above 0 where two clusters are more probable than one."""
        return self.score(first) + self.score(second) - self.score(np.concatenate([first, second]))

    def turning_power(self, first: Matrix, second: Matrix) -> float:
        """The power of the likelihood above which two clusters are more probable than one; infinite: at none."""
        both = np.concatenate([first, second])
        evidence = self.log_likelihood(first) + self.log_likelihood(second) - self.log_likelihood(both)
        cost = float(gammaln(len(both)) - gammaln(len(first)) - gammaln(len(second)))
        return cost / evidence if evidence > 0 else np.inf


def halves(points: Matrix, judge: Judge, rng: np.random.Generator) -> NDArray[np.bool_] | None:
    """Which points are in the second half by 2-means in the judge's components; None where a half would be small."""
    if len(points) < 2 * LEAST_PART:
        return None
    near = points[:, : judge.dimensions].astype(np.float32)
    partitions = fit(near, 2, restarts=3, iterations=50, rng=rng)
    second = partitions[best_of(partitions)].labels == 1
    return second if LEAST_PART <= second.sum() <= len(second) - LEAST_PART else None


def make_judge(
    points: Matrix,
    groups: Sequence[Matrix],
    *,
    calibrate: bool,
    dimensions: int | None,
    mean_strength: float,
    rng: np.random.Generator,
) -> Judge:
    """The judge of clusters of `points` (n, d), whose prior is as wide as the `groups`, the known classes.

    `calibrate` chooses the power of the likelihood by the groups, and the number of components where it is not given.
    """
    numbers: tuple[int, ...] = (dimensions or _DEFAULT_DIMENSIONS,)
    if calibrate and dimensions is None:
        numbers = _DIMENSIONS
    numbers = tuple(sorted({min(number, points.shape[1]) for number in numbers}, key=_from_default))
    judges = [_plain(points, groups, number, mean_strength) for number in numbers]
    if not calibrate:
        return judges[0]
    taught = [(_calibration(judge, groups, rng), judge) for judge in judges]
    (_, power), best = max(taught, key=lambda pair: pair[0][0])  # the first of equal ones
    return replace(best, power=power)


def _from_default(dimensions: int) -> float:
    """How far a number of components is from the default: few cannot hold many classes, many need many rows."""
    return float(abs(np.log(dimensions / _DEFAULT_DIMENSIONS)))


def _plain(points: Matrix, groups: Sequence[Matrix], dimensions: int, mean_strength: float) -> Judge:
    near = points[:, :dimensions]
    scatter, freedom = np.zeros((dimensions, dimensions)), 0
    for group in groups:
        spread = group[:, :dimensions] - group[:, :dimensions].mean(axis=0)
        scatter += spread.T @ spread
        freedom += len(group) - 1
    variance = float(near.var(axis=0).mean())
    width = scatter / freedom if freedom > 0 else 0.25 * variance * np.eye(dimensions)
    part = max(_SHRINK, dimensions / (dimensions + max(freedom, 1)))
    round_one = np.trace(width) / dimensions
    width = (1 - part) * width + (part * round_one + 1e-6 * variance + np.finfo(float).tiny) * np.eye(dimensions)
    return Judge(near.mean(axis=0), width, mean_strength)


def _calibration(judge: Judge, groups: Sequence[Matrix], rng: np.random.Generator) -> tuple[float, float]:
    """How well splits of known classes are told from pairs of them, 0 … 1, and the power that does it best.

    The share of (split, pair) where the pair is found to be two at a lower power than the split; and the power with
    the least share of known classes split plus share of known classes merged with the nearest one.
    """
    groups = [group for group in groups if len(group) >= LEAST_PART]
    splits = np.array(
        [
            judge.turning_power(group[~second], group[second])
            for group in groups
            if (second := halves(group, judge, rng)) is not None
        ]
    )
    if len(groups) < 2 or not len(splits):
        return 0.5, 1.0
    apart = np.full((len(groups), len(groups)), np.inf)
    for a in range(len(groups)):
        for b in range(a):
            apart[a, b] = apart[b, a] = judge.turning_power(groups[a], groups[b])
    pairs = apart[np.tril_indices(len(groups), -1)]
    told_apart = float((splits[:, None] > pairs).mean())
    means = np.stack([group[:, : judge.dimensions].mean(axis=0) for group in groups])
    merges = apart[np.arange(len(groups)), nearest_mean(means, judge)]
    return told_apart, _best_power(splits, merges)


def _best_power(splits: NDArray[np.float64], merges: NDArray[np.float64]) -> float:
    """The power at which the greater of two shares is least: of known classes split, and of those merged.

    Of equally good powers, the one with the lesser sum of both, then the one nearest to 1.
    """
    turns = np.concatenate([splits, merges])
    inside = turns[(turns > _POWERS[0]) & (turns < _POWERS[1])]
    edges = np.unique(np.concatenate([_POWERS, inside]))
    shares = [
        ((splits < power).mean(), (merges > power).mean(), power) for power in (1.0, *np.sqrt(edges[:-1] * edges[1:]))
    ]
    best = min(shares, key=lambda s: (round(max(s[:2]), 9), round(s[0] + s[1], 9), abs(np.log(s[2]))))
    return float(best[2])


def nearest_mean(means: Matrix, judge: Judge, *, barred: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
    """(k,) the other cluster whose mean is nearest, as the prior's width measures; -1 where all are `barred` (k, k)."""
    near = np.linalg.solve(np.linalg.cholesky(judge.width), means[:, : judge.dimensions].T).T
    sizes = np.square(near).sum(axis=1)
    squared = np.maximum(sizes[:, None] - 2 * near @ near.T + sizes, 0)
    np.fill_diagonal(squared, np.inf)
    if barred is not None:
        squared[barred] = np.inf
    return np.where(np.isfinite(squared.min(axis=1, initial=np.inf)), squared.argmin(axis=1), -1)
