"""Ward's tree of all merges, and the clusters it is cut into."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from ncdcli.clustering.rows import Rows, blocks, choose_frame, squared_norms
from ncdcli.clustering.threads import each, threads_for

Linkage = NDArray[np.float64]  # (n − 1, 4), as of scipy.cluster.hierarchy: two nodes, height, weight

_Distances = NDArray[Any]  # float64 or float32

_EXACT_ROWS = 4096  # up to so many rows distances are float64 (128 MB), above it float32: rounding decides near ties


def ward_tree(rows: Rows, *, weights: NDArray[np.floating] | None = None) -> Linkage:
    """Ward's agglomerative tree of `rows` (n, d), with the heights and numbering of `scipy.cluster.hierarchy.linkage`.

    Each step merges the two clusters A, B whose union raises the sum of squared distances to the cluster means least:
    by |A||B| / (|A| + |B|) · |a − b|² (Ward 1963); its height is the square root of twice that. `weights` (n,) count
    a row as so many; the last column of the answer is the weight of the merged cluster.

    The nearest-neighbour chain (Murtagh 1983) on one square matrix, filled by GEMM and updated by Lance and Williams'
    formula: 4 n² bytes (below 4,096 rows 8 n²), a quarter of what SciPy takes, and several times as fast as it. Heights
    are computed from the means in float64: those of equal rows are exactly 0.
    """
    n = len(rows)
    frame = choose_frame(rows)
    framed = frame.enter(rows)
    sizes = np.ones(n) if weights is None else np.asarray(weights, np.float64)
    pairs = _Chain(_increases(framed, sizes), framed, sizes).merge_all()
    return _sorted(pairs, n, frame.scale)


def cut_tree(linkage: Linkage, k: int) -> NDArray[np.int64]:
    """(n,) cluster 0 … k − 1 of each row when the tree of n rows is cut into k, numbered in the order of first rows.

    Equal rows (height 0) are never torn apart: where fewer than k are distinct, so many clusters come out.
    """
    n = len(linkage) + 1
    merges = max(n - k, int(np.searchsorted(linkage[:, 2], 0, side="right")), 0)
    if k < 1 or merges > max(n - 1, 0):
        raise ValueError(f"a tree of {n} rows cannot be cut into {k} clusters")
    parents = np.repeat(np.arange(n, n + merges), 2)
    children = linkage[:merges, :2].astype(np.int64).ravel()
    nodes = n + merges
    graph = coo_matrix((np.ones(len(parents), np.int8), (children, parents)), shape=(nodes, nodes))
    _, labels = connected_components(graph, directed=False)
    _, first, clusters = np.unique(labels[:n], return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[clusters]


def _increases(rows: Rows, sizes: NDArray[np.float64]) -> _Distances:
    """(n, n) what merging two rows adds to the sum of squares; infinite on the diagonal."""
    dtype = np.float64 if len(rows) <= _EXACT_ROWS else np.float32
    points: _Distances = rows.astype(dtype)
    weights: _Distances = sizes.astype(dtype)
    norms = squared_norms(points)
    out = np.empty((len(rows), len(rows)), dtype)

    def fill(part: slice) -> None:
        block = out[part]
        np.matmul(points[part], points.T, out=block)
        block *= -2
        block += norms
        block += norms[part, None]
        np.maximum(block, 0, out=block)
        block *= weights[part, None] * weights / (weights[part, None] + weights)

    with threads_for(rows.size, len(rows)):
        each(fill, list(blocks(len(rows), 256)))
    np.fill_diagonal(out, np.inf)
    return out


class _Chain:
    """The state of the nearest-neighbour chain: clusters live in the slots of their first rows."""

    def __init__(self, increases: _Distances, rows: Rows, sizes: NDArray[np.float64]) -> None:
        n = len(rows)
        self.increases = increases
        self.sizes = sizes.astype(increases.dtype)
        self.weights = sizes.copy()
        self.sums = rows * sizes[:, None]
        self.heights = np.zeros(n)
        self.nodes = np.arange(n)
        self.gone = np.zeros(n, increases.dtype)  # infinite for a slot whose cluster was merged into another

    def merge_all(self) -> NDArray[np.float64]:
        """(n − 1, 4) merges in the order in which the chain finds them."""
        n = len(self.nodes)
        merges = np.empty((max(n - 1, 0), 4))
        chain: list[int] = []
        first = 0
        for step in range(len(merges)):
            while chain and self.gone[chain[-1]]:
                chain.pop()  # rounding bent the chain into a loop through a merged pair
            if not chain:
                while self.gone[first]:
                    first += 1
                chain.append(first)
            one, other = self._reciprocal(chain)
            merges[step] = self._merge(min(one, other), max(one, other), n + step)
        return merges

    def _reciprocal(self, chain: list[int]) -> tuple[int, int]:
        """Two clusters nearest to each other, taken off the end of the chain, which grows until it has them."""
        while True:
            tip = chain[-1]
            distances = self.increases[tip] + self.gone
            nearest = int(distances.argmin())
            if len(chain) > 1 and distances[chain[-2]] <= distances[nearest]:
                del chain[-1]
                return tip, chain.pop()
            chain.append(nearest)

    def _merge(self, kept: int, gone: int, node: int) -> tuple[float, float, float, float]:
        """Merge two slots into the first; (node, node, height, weight)."""
        of_kept, of_gone = float(self.weights[kept]), float(self.weights[gone])
        total = of_kept + of_gone
        difference = self.sums[kept] / of_kept - self.sums[gone] / of_gone
        height = float(np.sqrt(2 * of_kept * of_gone / total * (difference @ difference)))
        height = max(height, self.heights[kept], self.heights[gone])
        merge = (self.nodes[kept], self.nodes[gone], height, total)
        distances = (self.sizes + self.sizes[kept]) * self.increases[kept]
        distances += (self.sizes + self.sizes[gone]) * self.increases[gone]
        distances -= self.sizes * self.increases[kept, gone]
        distances /= self.sizes + self.sizes.dtype.type(total)
        distances[kept] = np.inf
        self.increases[kept] = distances
        self.increases[:, kept] = distances
        self.gone[gone] = np.inf
        self.weights[kept] = self.sizes[kept] = total
        self.sums[kept] += self.sums[gone]
        self.heights[kept] = height
        self.nodes[kept] = node
        return merge


def _sorted(merges: NDArray[np.float64], n: int, scale: float) -> Linkage:
    """The merges by height, nodes numbered accordingly."""
    order = np.argsort(merges[:, 2], kind="stable")
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    out = merges[order]
    inner = out[:, :2] >= n
    out[:, :2][inner] = n + rank[out[:, :2][inner].astype(np.int64) - n]
    out[:, :2].sort(axis=1)
    out[:, 2] /= scale
    return out
