"""Silhouettes of many partitions of the same rows, with each distance computed once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def silhouettes(rows: NDArray[Any], partitions: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
    """(partitions, n) silhouette of every row in every partition: (b − a) / max(a, b), in -1 … 1.

    a is the mean Euclidean distance to the other rows of the own cluster, b the least mean distance to the rows of
    another cluster (Rousseeuw 1987). A row alone in its cluster, and every row of a partition with a single cluster,
    has 0. Quadratic in n; memory is that of a block of 512 rows of distances.
    """
    n = len(rows)
    points = np.asarray(rows, np.float64)
    codes = [np.unique(labels, return_inverse=True)[1].reshape(-1) for labels in partitions]
    sizes = [np.bincount(code, minlength=1) for code in codes]
    one_hot = np.zeros((n, sum(map(len, sizes))), np.float32)
    edges = np.cumsum([0, *map(len, sizes)])
    for code, first in zip(codes, edges, strict=False):
        one_hot[np.arange(n), code + first] = 1
    norms = np.einsum("ij,ij->i", points, points)
    out = np.zeros((len(partitions), n))
    for start in range(0, n, 512):
        part = slice(start, min(start + 512, n))
        squared = norms[part, None] + norms - 2 * points[part] @ points.T
        distances = np.sqrt(np.maximum(squared, 0)).astype(np.float32)
        distances[np.arange(len(distances)), np.arange(part.start, part.stop)] = 0
        sums = (distances @ one_hot).astype(np.float64)
        for index, (code, size) in enumerate(zip(codes, sizes, strict=True)):
            out[index, part] = _of_block(sums[:, edges[index] : edges[index + 1]], code[part], size)
    return out


def _of_block(sums: NDArray[np.float64], own: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Silhouettes of a block of rows from the sums of their distances to the rows of each cluster."""
    if len(sizes) < 2:
        return np.zeros(len(own))
    index = np.arange(len(own))
    mates = sizes[own] - 1
    within = sums[index, own] / np.maximum(mates, 1)
    means = sums / sizes
    means[index, own] = np.inf
    between = means.min(axis=1)
    larger = np.maximum(within, between)
    value = np.divide(between - within, larger, out=np.zeros_like(larger), where=larger > 0)
    return np.where(mates > 0, value, 0.0)
