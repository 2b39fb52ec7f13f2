"""Nearest centroids of samples that were not clustered, and how clear each assignment is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.rows import blocks

_Distances = NDArray[np.float64]


def nearest(
    embeddings: NDArray[Any], centroids: NDArray[Any], *, allowed: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """(n,) nearest centroid of each row, the first of equally near ones, and (n,) its margin.

    `allowed` restricts the choice to some centroids; answers keep the numbering of `centroids`. Margin: see
    `margins`; here it lies in 0 … 1.
    """
    ids = np.arange(len(centroids)) if allowed is None else np.asarray(allowed, np.int64)
    clusters = np.empty(len(embeddings), np.int64)
    margin = np.empty(len(embeddings), np.float32)
    for part, distances in _distances(embeddings, centroids[ids]):
        own = distances.argmin(axis=1)
        clusters[part], margin[part] = ids[own], _margin(distances, own)
    return clusters, margin


def margins(
    embeddings: NDArray[Any],
    centroids: NDArray[Any],
    *,
    clusters: NDArray[np.int64],
    allowed: NDArray[np.int64] | None = None,
) -> NDArray[np.float32]:
    """(n,) how clearly each row belongs to its cluster: (d_other − d_own) / max(d_other, d_own), in -1 … 1.

    d are Euclidean distances to the row's own centroid and to the nearest other one among `allowed` (default: all).
    0: halfway between two clusters; 1: on the centroid, or there is no other; negative: another centroid is nearer,
    which happens to labelled rows, whose cluster is given. Rows must be in an allowed cluster.
    """
    ids = np.arange(len(centroids)) if allowed is None else np.asarray(allowed, np.int64)
    position = np.full(len(centroids), -1, np.int64)
    position[ids] = np.arange(len(ids))
    out = np.empty(len(embeddings), np.float32)
    for part, distances in _distances(embeddings, centroids[ids]):
        out[part] = _margin(distances, position[clusters[part]])
    return out


def _distances(embeddings: NDArray[Any], centroids: NDArray[Any]) -> Iterator[tuple[slice, _Distances]]:
    """Euclidean distances of blocks of rows to all centroids, in float64: one pass, so exactness costs little."""
    centres = centroids.astype(np.float64)
    sizes = np.einsum("ij,ij->i", centres, centres)
    for part in blocks(len(embeddings)):
        rows = embeddings[part].astype(np.float64)
        squared = np.einsum("ij,ij->i", rows, rows)[:, None] - 2 * rows @ centres.T + sizes
        yield part, np.sqrt(np.maximum(squared, 0))


def _margin(distances: _Distances, own: NDArray[np.int64]) -> NDArray[np.float64]:
    """Margins from a block of distances, which is changed."""
    if distances.shape[1] < 2:
        return np.ones(len(distances))
    index = np.arange(len(distances))
    mine = distances[index, own]
    distances[index, own] = np.inf
    other = distances.min(axis=1)
    larger = np.maximum(mine, other)
    return np.divide(other - mine, larger, out=np.zeros_like(larger), where=larger > 0)
