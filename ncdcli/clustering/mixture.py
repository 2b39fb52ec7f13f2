"""Gaussian mixtures fitted by EM, some rows pinned to a component: the engine of `gmm` and `semi_gmm`.

Written out here because scikit-learn's has no pinned rows; without them it is the same (a test holds this), but that a
component left without rows keeps its mean and covariance instead of moving to the origin.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular
from scipy.special import logsumexp

from ncdcli.clustering.rows import blocks

Matrix = NDArray[np.float64]

_LEAST_COUNT = 1e-8  # rows below which a component has none


@dataclass(frozen=True)
class Mixture:
    """k Gaussians. `scales` say how the covariances are held.

    `spherical`: (k,) variances; `diagonal`: (k, d) variances; `tied`: (d, d), the one covariance of all; `full`:
    (k, d, d) covariances.
    """

    kind: str
    weights: NDArray[np.float64]  # (k,), of the rows that are not pinned
    means: Matrix  # (k, d)
    scales: NDArray[np.float64]

    @property
    def free_parameters(self) -> int:
        """How many numbers the mixture has, for information criteria."""
        k, d = self.means.shape
        of_scales = {"spherical": k, "diagonal": k * d, "tied": d * (d + 1) // 2, "full": k * d * (d + 1) // 2}
        return k * d + k - 1 + of_scales[self.kind]

    def log_joint(self, rows: Matrix) -> Matrix:
        """(n, k) log of weight times density."""
        k, d = self.means.shape
        if self.kind in ("spherical", "diagonal"):
            precisions = 1 / (self.scales if self.kind == "diagonal" else np.repeat(self.scales[:, None], d, axis=1))
            squared = rows**2 @ precisions.T - 2 * rows @ (self.means * precisions).T
            squared += np.einsum("kd,kd->k", self.means**2, precisions)
            log_det = -np.log(precisions).sum(axis=1)
        elif self.kind == "tied":
            lower = cholesky(self.scales, lower=True)
            near, centres = (solve_triangular(lower, part.T, lower=True).T for part in (rows, self.means))
            squared = np.einsum("nd,nd->n", near, near)[:, None] - 2 * near @ centres.T
            squared += np.einsum("kd,kd->k", centres, centres)
            log_det = np.full(k, 2 * np.log(np.diag(lower)).sum())
        else:
            squared, log_det = np.empty((len(rows), k)), np.empty(k)
            for c in range(k):
                lower = cholesky(self.scales[c], lower=True)
                near = solve_triangular(lower, (rows - self.means[c]).T, lower=True)
                squared[:, c] = np.einsum("dn,dn->n", near, near)
                log_det[c] = 2 * np.log(np.diag(lower)).sum()
        with np.errstate(divide="ignore"):
            log_weights = np.log(self.weights)
        return log_weights - 0.5 * (d * np.log(2 * np.pi) + log_det + np.maximum(squared, 0))


@dataclass(frozen=True)
class Moments:
    """Rows of each component, by responsibility: their number, sum, and sum of squares or of outer products."""

    counts: NDArray[np.float64]  # (k,)
    sums: Matrix  # (k, d)
    squares: NDArray[np.float64]  # (k, d), (k, d, d), or (d, d) for `tied`, which sums over components

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.counts + other.counts, self.sums + other.sums, self.squares + other.squares)

    @classmethod
    def of(cls, rows: Matrix, shares: Matrix, kind: str) -> Moments:
        """Of rows (n, d) with responsibilities (n, k)."""
        if kind == "tied":
            squares = (rows * shares.sum(axis=1)[:, None]).T @ rows
        elif kind == "full":
            squares = np.stack([(rows * share[:, None]).T @ rows for share in shares.T])
        else:
            squares = shares.T @ rows**2
        return cls(shares.sum(axis=0), shares.T @ rows, squares)


def estimate(moments: Moments, kind: str, *, before: Mixture, least: float, weights: NDArray[np.float64]) -> Mixture:
    """The mixture of these moments; `least` is added to every variance. A component without rows stays as `before`."""
    filled = moments.counts > _LEAST_COUNT
    counts = np.where(filled, moments.counts, 1.0)
    means = np.where(filled[:, None], moments.sums / counts[:, None], before.means)
    scales = before.scales.copy()
    if kind == "tied":
        of_means = (means * moments.counts[:, None]).T @ means
        scales = (moments.squares - of_means) / moments.counts.sum() + least * np.eye(means.shape[1])
        scales = (scales + scales.T) / 2
    elif kind == "full":
        outer = np.einsum("kd,ke->kde", means, means)
        found = moments.squares / counts[:, None, None] - outer + least * np.eye(means.shape[1])
        scales[filled] = ((found + found.transpose(0, 2, 1)) / 2)[filled]
    else:
        variances = np.maximum(moments.squares / counts[:, None] - means**2, 0)
        found = (variances if kind == "diagonal" else variances.mean(axis=1)) + least
        scales[filled] = found[filled]
    return Mixture(kind, weights, means, scales)


@dataclass(frozen=True)
class Fit:
    """Where EM ended."""

    mixture: Mixture
    labels: NDArray[np.int64]  # (n,) most probable component; of pinned rows, their own
    log_likelihood: float  # mean over rows
    iterations: int
    converged: bool


def fit_mixture(
    rows: Matrix,
    labels: NDArray[np.int64],
    centres: Matrix,
    *,
    kind: str,
    least: float,
    iterations: int,
    tolerance: float,
    pinned: NDArray[np.bool_] | None = None,
    barred: NDArray[np.bool_] | None = None,
) -> Fit:
    """The mixture that EM reaches from a partition of the rows (n, d), which should have their mean near the origin.

    `labels` (n,) and `centres` (k, d) are the partition; components without a row start at their centre with the
    variance of all rows. `pinned` rows keep their label, the others never go to a `barred` component (k,). EM stops
    when the mean log-likelihood grows by less than `tolerance`. It counts the density of pinned rows in their own
    component, and of the others in the mixture; weights are those of the latter, as pinned rows are not drawn from it.
    """
    k, n = len(centres), len(rows)
    free = np.ones(n, bool) if pinned is None else ~pinned
    open_to = np.ones(k) if barred is None else (~barred).astype(np.float64)
    mixture = Mixture(kind, open_to / max(open_to.sum(), 1), centres, _spread(rows, kind, k, least))
    own = rows[~free]
    held = sum((_moments(own[part], labels[~free][part], k, kind) for part in blocks(len(own))), _none(rows, kind, k))
    pool, at_first = rows[free], labels[free]
    found = sum((_moments(pool[part], at_first[part], k, kind) for part in blocks(len(pool))), _none(rows, kind, k))
    before, converged, done = -np.inf, False, 0
    while not converged and done < iterations:
        done += 1
        weights = found.counts / len(pool) if len(pool) else mixture.weights
        mixture = estimate(held + found, kind, before=mixture, least=least, weights=weights)
        found, total = _expected(mixture, pool, kind)
        total += _own_density(mixture, own, labels[~free])
        converged = abs(total / max(n, 1) - before) < tolerance
        before = total / max(n, 1)
    answer = labels.copy()
    answer[free] = most_probable(mixture, pool)
    return Fit(mixture, answer, before, done, converged)


def _expected(mixture: Mixture, pool: Matrix, kind: str) -> tuple[Moments, float]:
    """What the rows add to each component, each in the shares that the mixture expects, and their log-likelihood."""
    found, total = _none(pool, kind, len(mixture.weights)), 0.0
    for part in blocks(len(pool)):
        joint = mixture.log_joint(pool[part])
        of_rows = logsumexp(joint, axis=1, keepdims=True)
        found += Moments.of(pool[part], np.exp(joint - of_rows), kind)
        total += float(of_rows.sum())
    return found, total


def most_probable(mixture: Mixture, rows: Matrix) -> NDArray[np.int64]:
    """(n,) component of each row, the first of equally probable ones."""
    out = np.empty(len(rows), np.int64)
    for part in blocks(len(rows)):
        out[part] = mixture.log_joint(rows[part]).argmax(axis=1)
    return out


def _moments(rows: Matrix, labels: NDArray[np.int64], k: int, kind: str) -> Moments:
    return Moments.of(rows, (labels[:, None] == np.arange(k)).astype(np.float64), kind)


def _none(rows: Matrix, kind: str, k: int) -> Moments:
    d = rows.shape[1]
    shape = {"tied": (d, d), "full": (k, d, d)}.get(kind, (k, d))
    return Moments(np.zeros(k), np.zeros((k, d)), np.zeros(shape))


def _own_density(mixture: Mixture, rows: Matrix, labels: NDArray[np.int64]) -> float:
    """Sum over rows of the log density in their component."""
    even = replace(mixture, weights=np.ones(len(mixture.weights)))
    return sum(
        float(even.log_joint(rows[part])[np.arange(part.stop - part.start), labels[part]].sum())
        for part in blocks(len(rows))
    )


def _spread(rows: Matrix, kind: str, k: int, least: float) -> NDArray[np.float64]:
    """Scales of k components that all have the variances of all rows."""
    variances = rows.var(axis=0) + least
    if kind == "spherical":
        return np.full(k, variances.mean())
    if kind == "diagonal":
        return np.tile(variances, (k, 1))
    return np.diag(variances) if kind == "tied" else np.tile(np.diag(variances), (k, 1, 1))
