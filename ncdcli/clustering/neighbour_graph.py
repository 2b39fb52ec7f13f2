"""The graph that joins every row to its nearest ones, in one piece, as a sparse matrix."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from ncdcli.clustering.neighbours import nearest_neighbours
from ncdcli.clustering.rows import Rows, blocks

_BLOCK = 256  # rows whose distances to all others are held at once


def neighbour_graph(points: Rows, neighbours: int) -> tuple[csr_matrix, NDArray[np.float64]]:
    """Symmetric (n, n) graph, and (n,) squared distance of each row to its `neighbours`-th nearest other row.

    Two rows are joined with 1 where each is among the other's nearest, with 0.5 where only one is. Where the graph is
    in several pieces, each but the largest is joined (0.5) to the row outside that is nearest to it, until there is
    one: spectral clustering would otherwise cut off stray pieces first.
    """
    n = len(points)
    nearest, squared = nearest_neighbours(points, neighbours)
    count = nearest.shape[1]
    radii = squared[:, -1] if count else np.zeros(n)
    joined = csr_matrix((np.full(n * count, 0.5), nearest.ravel(), count * np.arange(n + 1)), shape=(n, n))
    graph = joined + joined.T
    while True:
        pieces, piece = connected_components(graph, directed=False)
        if pieces == 1:
            return graph, radii
        graph = graph.maximum(_bridges(points, piece, pieces))


def _bridges(points: Rows, piece: NDArray[np.int32], pieces: int) -> csr_matrix:
    """Edges from each piece, but the largest, to the nearest row of another."""
    largest = int(np.bincount(piece).argmax())
    shortest = np.full(pieces, np.inf)
    ends = np.zeros((pieces, 2), np.int64)
    outside = np.flatnonzero(piece != largest)
    for part in blocks(len(outside), _BLOCK):
        rows = outside[part]
        distances = squared_to(points[rows], points)
        distances[piece[rows][:, None] == piece] = np.inf
        target = distances.argmin(axis=1)
        for row, other, length in zip(rows, target, distances[np.arange(len(rows)), target], strict=True):
            if length < shortest[piece[row]]:
                shortest[piece[row]], ends[piece[row]] = length, (row, other)
    a, b = ends[np.arange(pieces) != largest].T
    n = len(points)
    one_way = csr_matrix((np.full(len(a), 0.5), (a, b)), shape=(n, n))
    return one_way.maximum(one_way.T)


def joined_to(points: Rows, others: Rows, *, radii: NDArray[np.float64], neighbours: int) -> NDArray[np.float64]:
    """(m, n) weights with which `others` (m) would be joined to the `points` of a graph, which keep their radii."""
    distances = squared_to(others, points)
    reach = np.partition(distances, min(neighbours, len(points)) - 1, axis=1)[:, min(neighbours, len(points)) - 1]
    return 0.5 * (distances <= reach[:, None]) + 0.5 * (distances <= radii)


def squared_to(rows: Rows, points: Rows) -> NDArray[np.float64]:
    """(m, n) squared Euclidean distances of rows to points, in float64."""
    a, b = rows.astype(np.float64), points.astype(np.float64)
    out = -2 * (a @ b.T)
    out += np.einsum("ij,ij->i", a, a)[:, None]
    out += np.einsum("ij,ij->i", b, b)
    return np.maximum(out, 0, out=out)
