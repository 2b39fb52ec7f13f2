"""Coordinates of rows by the leading eigenvectors of a similarity graph: what spectral clustering clusters.

A graph with a weight for every two rows takes some 4 · 8 n² bytes (half a GB for 4,000 rows), and time grows with n³;
one that joins only neighbours takes neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, eigh
from scipy.sparse import csr_matrix, diags, issparse
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from ncdcli.clustering.neighbour_graph import squared_to
from ncdcli.clustering.rows import Rows, choose_frame

Matrix = NDArray[np.float64]

# Lanczos steps beat the full reduction where few of many eigenvectors are wanted (measured at n = 1,500 and 3,000).
_FEW, _FEW_SPARSE = 75, 8
_BASIS = 20  # Lanczos vectors at least
_PRODUCTS = 6  # a full reduction takes about as long as n / 6 products with a dense matrix
_LEAST_VALUE = 1e-2  # of the greatest eigenvalue: what is divided by when rows are added to a map


def squared_distances(rows: Rows) -> Matrix:
    """(n, n) squared Euclidean distances of the rows, with zeros on the diagonal."""
    out = squared_to(rows, rows)
    np.fill_diagonal(out, 0)
    return out


def longest_edge(squared: Matrix) -> float:
    """Length of the longest edge of the minimum spanning tree of (n, n) squared distances; 0 for fewer than 2 rows.

    Prim's algorithm: n sweeps over a row, 70 times faster than sorting the edges of a complete graph.
    """
    if len(squared) < 2:
        return 0.0
    waiting = squared[0].copy()
    inside = np.zeros(len(squared), bool)
    waiting[0], inside[0] = np.inf, True
    longest = 0.0
    for _ in range(len(squared) - 1):
        row = int(waiting.argmin())
        longest = max(longest, float(waiting[row]))
        inside[row] = True
        np.minimum(waiting, squared[row], out=waiting)
        waiting[inside] = np.inf
    return float(np.sqrt(longest))


def gaussian_width(longest: float, similarity: float, convention: str) -> float:
    """The sigma of exp(−d² / 2 sigma²) that the longest edge of the minimum spanning tree, and a similarity, give.

    `paper` (PBN, Troisemaine et al. 2024, equation 1): rows as far apart as `longest` have just that `similarity`.
    `released`: as in the code published with it, where a factor 2 is missing; they have its square root. Published
    values of the parameter (`min_dist`) are meant for this one.
    """
    return longest / float(np.sqrt(-(2.0 if convention == "paper" else 1.0) * np.log(similarity)))


def gaussian(squared: Matrix, sigma: float) -> Matrix:
    """exp(−d² / 2 sigma²); all 1 for a sigma of 0 (rows that are all the same)."""
    return np.ones_like(squared) if sigma == 0 else np.exp(squared / (-2 * sigma**2))


@dataclass(frozen=True)
class Eigenmap:
    """Eigenvectors of D^-½ A D^-½, the trivial first one left out, in descending order of their values."""

    vectors: Matrix  # (n, u)
    values: NDArray[np.float64]  # (u,)
    degrees: NDArray[np.float64]  # (n,) row sums of A, its diagonal left out

    def coordinates(self, components: int, scaling: str) -> Rows:
        """(n, components) rows to cluster, as float32 with a mean square of 1 (`unit`: 1 / components).

        `none`: components of eigenvectors, as PBN has them. `degree`: divided by the root of the degree, eigenvectors
        of the random walk (Shi & Malik 2000), as scikit-learn has them. `unit`: to unit length (Ng, Jordan & Weiss
        2001).
        """
        return self._scaled(self.vectors[:, :components], self.degrees, scaling)

    def extend(self, affinity: Matrix, components: int, scaling: str, *, positive: bool) -> Rows:
        """(m, components) coordinates of other rows, from their affinity (m, n) to the rows of the map (Nyström).

        With λ the eigenvalue, they are the affinity-weighted sums of the vectors, divided by λ; or, where the affinity
        is a `positive` definite kernel whose diagonal of 1 the map left out, by λ + 1 / degree, its own eigenvalue.
        """
        degrees = np.maximum(affinity.sum(axis=1), np.finfo(float).tiny)
        sums = (affinity / np.sqrt(self.degrees)) @ self.vectors[:, :components]
        sums /= np.sqrt(degrees)[:, None]
        values = self.values[:components] + (1 / degrees[:, None] if positive else 0.0)
        least = _LEAST_VALUE * np.abs(values).max(axis=-1, keepdims=True, initial=1e-12)
        return self._scaled(sums / np.maximum(values, least), degrees, scaling)

    def _scaled(self, vectors: Matrix, degrees: NDArray[np.float64], scaling: str) -> Rows:
        out = vectors * np.sqrt(len(self.vectors))
        if scaling == "degree":
            out /= np.sqrt(degrees / self.degrees.mean())[:, None]
        elif scaling == "unit":
            lengths = np.linalg.norm(out, axis=1, keepdims=True)
            out /= np.where(lengths > 0, lengths, 1)
        return np.ascontiguousarray(out, np.float32)


def eigenmap(affinity: Matrix | csr_matrix, components: int) -> Eigenmap:
    """The map by the `components` leading eigenvectors of the symmetric, non-negative affinity (n, n).

    The diagonal is taken as 0. The trivial eigenvector, D^½ 1, is taken out by its formula and not by its position.
    """
    matrix: Any = affinity.copy()
    matrix.setdiag(0) if issparse(matrix) else np.fill_diagonal(matrix, 0)
    degrees = np.maximum(np.asarray(matrix.sum(axis=1)).ravel(), np.finfo(float).tiny)
    roots = np.sqrt(degrees)
    scale = diags(1 / roots)
    trivial = roots / np.linalg.norm(roots)
    values, vectors = _leading(scale @ matrix @ scale, trivial, max(1, min(components, len(roots) - 1)))
    return Eigenmap(vectors[:, ::-1], values[::-1], degrees)


def _leading(matrix: Any, trivial: NDArray[np.float64], count: int) -> tuple[NDArray[np.float64], Matrix]:
    """The `count` greatest eigenvalues, ascending, and their vectors, when that of `trivial` goes from 1 to -1."""
    n = len(trivial)
    if count * (_FEW_SPARSE if issparse(matrix) else _FEW) < n:
        deflated = LinearOperator((n, n), matvec=lambda v: matrix @ v - 2 * trivial * (trivial @ v), dtype=np.float64)
        basis = max(2 * count + 1, _BASIS)
        rounds = None if issparse(matrix) else max(n // (_PRODUCTS * (basis - count)), 2)
        try:
            values, vectors = eigsh(deflated, k=count, which="LA", v0=np.linspace(1, 2, n), ncv=basis, maxiter=rounds)
            order = np.argsort(values)
            return values[order], vectors[:, order]
        except ArpackNoConvergence:  # eigenvalues too close to each other: the other way always ends
            pass
    dense = matrix.toarray() if issparse(matrix) else matrix
    dense -= 2 * np.outer(trivial, trivial)
    try:
        found: tuple[NDArray[np.float64], Matrix] = eigh(
            dense, subset_by_index=[n - count, n - 1], driver="evr", check_finite=False
        )
        return found
    except LinAlgError:  # some eigenvalues that are all but the same are too much for this driver
        values, vectors = eigh(dense, driver="evd", check_finite=False)
        return values[-count:], vectors[:, -count:]


def framed(rows: Rows) -> Rows:
    """Rows where their squared distances neither vanish nor overflow: the graph does not depend on scale or origin."""
    return choose_frame(rows).enter(rows)
