"""Transductive clustering with fixed labels: distances to prototypes and the votes of neighbours.

LaplacianShot (Ziko, Dolz, Granger & Ben Ayed, ICML 2020) as a clustering method (Boudiaf et al., "Transductive
few-shot learning: clustering is all you need?", 2021): a prototype term, a Laplacian term over nearest neighbours, and
labelled rows whose memberships are fixed. Where we differ: prototypes are means that move with the memberships;
distances are measured by how much farther the second nearest centre is than the nearest, so that `weight` and
`temperature` have no unit; and each row is a neighbour of itself as well, with the weight of all others together. That
makes the neighbours' matrix positive semi-definite, without which the bound is none and the objective may rise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags_array, eye_array

from ncdcli.clustering import semi_kmeans
from ncdcli.clustering.base import Clustering, Problem
from ncdcli.clustering.checks import check_problem
from ncdcli.clustering.kinds import Laplacian, SemiKMeans
from ncdcli.clustering.neighbours import nearest_neighbours
from ncdcli.clustering.rows import Rows, as_rows, choose_frame
from ncdcli.pipeline.context import Progress

_Memberships = NDArray[np.float64]  # (n, k), rows sum to 1


@dataclass(frozen=True)
class _Model:
    """What the objective is made of."""

    rows: Rows  # (n, d)
    votes: csr_matrix  # (n, n), symmetric and positive semi-definite
    free: NDArray[np.int64]  # rows without a label
    allowed: slice  # clusters that these may be in
    scale: float  # squared distance that counts as 1
    weight: float
    temperature: float

    def costs(self, centres: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, k) squared distances of all rows to all centres, in units of `scale`."""
        sizes = np.einsum("ij,ij->i", self.rows, self.rows, dtype=np.float64)[:, None]
        squared = sizes - 2 * (self.rows @ centres.astype(np.float64).T) + np.einsum("ij,ij->i", centres, centres)
        return np.maximum(squared, 0, out=squared) / self.scale

    def objective(self, memberships: _Memberships, costs: NDArray[np.float64]) -> float:
        """Distances − half of the neighbours' agreement − entropy of the memberships, weighted."""
        logs = np.log(memberships, out=np.zeros_like(memberships), where=memberships > 0)
        agreement = np.einsum("ij,ij->", memberships, self.votes @ memberships)
        spread = np.einsum("ij,ij->", memberships, costs)
        entropy = -np.einsum("ij,ij->", memberships, logs)
        return float(spread - self.weight / 2 * agreement - self.temperature * entropy)

    def update(self, memberships: _Memberships, costs: NDArray[np.float64]) -> _Memberships:
        """The memberships that minimise the bound, the concave part of the objective being linear there: a softmax."""
        votes = (self.votes @ memberships)[self.free, self.allowed]
        exponents = (self.weight * votes - costs[self.free, self.allowed]) / self.temperature
        return self.with_free(memberships, exponents)

    def with_free(self, memberships: _Memberships, exponents: NDArray[np.float64]) -> _Memberships:
        """Memberships in which those of rows without a label are the softmax of `exponents`."""
        exponents -= exponents.max(axis=1, keepdims=True)
        np.exp(exponents, out=exponents)
        exponents /= exponents.sum(axis=1, keepdims=True)
        out = memberships.copy()
        out[self.free, self.allowed] = exponents
        return out

    def means(self, memberships: _Memberships, centres: NDArray[np.float64]) -> NDArray[np.float64]:
        """(k, d) means weighted by the memberships; a cluster without any keeps its centre."""
        totals = memberships.sum(axis=0)[:, None]
        return np.where(totals > 0, memberships.T @ self.rows / np.where(totals > 0, totals, 1), centres)


def cluster(problem: Problem, config: Laplacian, rng: np.random.Generator, progress: Progress) -> Clustering:
    """Each row in the cluster in which its membership is the greatest, where the objective no longer falls.

    With memberships y of rows x (each row's sum to 1), centres c and neighbours' weights w it is, for all rows i, j

        Σ y_ic |x_i − c|² / s² − `weight` / 2 Σ w_ij y_i·y_j + `temperature` Σ y_ic log y_ic,

    s² being the mean gap between the squared distances of unlabelled rows to their two nearest centres at the start.
    Memberships (all at once) and centres (weighted means) are updated in turn, and neither raises it. w: see
    `neighbour_votes`. Labelled rows keep their class. Centres start at those of `semi_kmeans`; in the NCD setting
    unlabelled rows have novel clusters only. Memory: some arrays of n × k numbers, and time grows with n².

    Raises DataError for embeddings that are not finite or too few, RecipeError for a k below the known classes.
    """
    check_problem(problem, pinned=True)
    start = semi_kmeans.cluster(problem, SemiKMeans(restarts=config.restarts), rng, progress)
    rows = as_rows(problem.embeddings)
    frame = choose_frame(rows)
    shift = 0.0 if frame.shift is None else frame.shift
    centres = (start.centroids.astype(np.float64) - shift) * frame.scale
    model, memberships = _prepare(problem, config, frame.enter(rows), centres)
    with progress.track("memberships", config.iterations) as tick:
        costs = model.costs(centres)
        memberships = model.with_free(memberships, -costs[model.free, model.allowed] / config.temperature)
        objectives = [model.objective(memberships, costs)]
        for _ in range(config.iterations):
            memberships = model.update(memberships, costs)
            centres = model.means(memberships, centres)
            costs = model.costs(centres)
            objectives.append(model.objective(memberships, costs))
            tick()
            if objectives[-2] - objectives[-1] <= config.tolerance * len(rows):
                break
    assignments = memberships.argmax(axis=1)
    sizes = np.bincount(assignments, minlength=problem.given_k)
    statistics = {"objectives": objectives, "unit": model.scale, "empty_clusters": int((sizes == 0).sum())}
    return Clustering(assignments, frame.leave(centres).astype(np.float32), start.matched, objectives[-1], statistics)


def _prepare(
    problem: Problem, config: Laplacian, rows: Rows, centres: NDArray[np.float64]
) -> tuple[_Model, _Memberships]:
    """The model, and memberships of which those of labelled rows are set."""
    labelled, free = np.flatnonzero(problem.labels >= 0), np.flatnonzero(problem.labels < 0)
    memberships = np.zeros((len(rows), problem.given_k))
    memberships[labelled, problem.labels[labelled]] = 1
    allowed = slice(problem.n_known if problem.novel_only else 0, None)
    votes = neighbour_votes(rows, config.neighbours)
    model = _Model(rows, votes, free, allowed, 1.0, config.weight, config.temperature)
    return replace(model, scale=_gap(model.costs(centres)[free, allowed])), memberships


def _gap(costs: NDArray[np.float64]) -> float:
    """Mean difference of each row's two least costs, of the least to 0 where there is one centre; 1 where that is 0."""
    least = np.partition(costs, min(1, costs.shape[1] - 1), axis=1)[:, :2]
    gaps = least[:, 1] - least[:, 0] if least.shape[1] > 1 else least[:, 0]
    return float(gaps.mean()) or 1.0 if len(gaps) else 1.0


def neighbour_votes(rows: Rows, neighbours: int) -> csr_matrix:
    """(n, n) symmetric weights whose eigenvalues are in 0 … 1: half from the row itself, half from its neighbours.

    Rows are joined by 1 where each is among the other's nearest, by ½ where one is; the graph is then scaled by the
    square roots of both rows' degrees.
    """
    n = len(rows)
    nearest, _ = nearest_neighbours(rows, neighbours)
    count = nearest.shape[1]
    joined = csr_matrix((np.full(n * count, 0.5), nearest.ravel(), count * np.arange(n + 1)), shape=(n, n))
    graph = joined + joined.T
    degrees = np.asarray(graph.sum(axis=1)).ravel()
    scaling = diags_array(1 / np.sqrt(np.where(degrees > 0, degrees, 1)))
    return csr_matrix(0.5 * (scaling @ graph @ scaling) + 0.5 * eye_array(n))
