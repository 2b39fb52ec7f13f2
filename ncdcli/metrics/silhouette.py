"""Silhouettes of many partitions of the same rows, with each distance computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.rows import blocks

FEW = 200  # clusters up to which sums by GEMM are quicker than sums over sorted rows


def silhouettes(rows: NDArray[Any], partitions: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
    """(partitions, n) silhouette of every row in every partition: (b − a) / max(a, b), in -1 … 1.

    a is the mean Euclidean distance to the other rows of the own cluster, b the least mean distance to the rows of
    another cluster (Rousseeuw 1987). A row alone in its cluster, and every row of a partition with a single cluster,
    has 0. Quadratic in n; memory is that of a block of 512 rows of distances.
    """
    points = np.asarray(rows, np.float64)
    norms = np.einsum("ij,ij->i", points, points)
    groups = [_Groups.of(labels) for labels in partitions]
    out = np.zeros((len(partitions), len(rows)))
    for part in blocks(len(rows), 512):
        squared = norms[:, None] + norms[part] - 2 * points @ points[part].T
        distances = np.sqrt(np.maximum(squared, 0)).astype(np.float32)
        distances[np.arange(part.start, part.stop), np.arange(part.stop - part.start)] = 0
        for values, group in zip(out, groups, strict=True):
            values[part] = _of_block(group.sums(distances), group.codes[part], group.sizes)
    return out


@dataclass(frozen=True)
class _Groups:
    """The rows of each cluster of one partition."""

    codes: NDArray[np.int64]  # (n,) 0 … clusters − 1
    sizes: NDArray[np.int64]  # (clusters,)
    order: NDArray[np.int64]  # (n,) rows, those of the first cluster first
    starts: NDArray[np.int64]  # (clusters,) where each cluster's rows begin in `order`
    one_hot: NDArray[np.float32] | None  # (clusters, n) where there are few clusters: a GEMM is quicker then

    @classmethod
    def of(cls, labels: NDArray[np.int64]) -> _Groups:
        codes = np.unique(labels, return_inverse=True)[1].reshape(-1)
        sizes = np.bincount(codes)
        one_hot = (np.arange(len(sizes))[:, None] == codes).astype(np.float32) if len(sizes) <= FEW else None
        return cls(codes, sizes, np.argsort(codes, kind="stable"), np.cumsum(sizes) - sizes, one_hot)

    def sums(self, distances: NDArray[np.float32]) -> NDArray[np.float64]:
        """(block, clusters) sum of the distances of each row of a block to the rows of each cluster."""
        if self.one_hot is not None:
            return (self.one_hot @ distances).T.astype(np.float64)
        return np.add.reduceat(distances[self.order], self.starts, axis=0).T.astype(np.float64)


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
