"""Clusters of single samples, by the nearest centroid or the likeliest class, and how clear each assignment is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.rows import blocks

_Distances = NDArray[np.float64]


class Answers(Protocol):
    """Tells the cluster of any row of a run."""

    def best(
        self, rows: NDArray[np.int64] | slice, *, allowed: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """(m,) cluster of each of the rows among the `allowed` ones (default: all), and (m,) its margin."""
        ...

    def margins(
        self, rows: NDArray[np.int64], *, clusters: NDArray[np.int64], allowed: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """(m,) how clearly each of the rows belongs to the cluster that it is in, -1 … 1."""
        ...


class Centroids:
    """The cluster of a row is that of the nearest centroid."""

    def __init__(self, embeddings: NDArray[Any], centroids: NDArray[Any]) -> None:
        self.embeddings, self.centroids = embeddings, centroids

    def best(
        self, rows: NDArray[np.int64] | slice, *, allowed: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """See `nearest`."""
        return nearest(self.embeddings[rows], self.centroids, allowed=allowed)

    def margins(
        self, rows: NDArray[np.int64], *, clusters: NDArray[np.int64], allowed: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """See `margins`."""
        return margins(self.embeddings[rows], self.centroids, clusters=clusters, allowed=allowed)


class Logits:
    """The cluster of a row is the likeliest by a classifier; its margin is how much likelier it is than any other.

    Probabilities are softmaxes over the allowed clusters, so that margins are differences of two of these.
    """

    def __init__(self, logits: NDArray[Any]) -> None:
        self.logits, self.k = logits, logits.shape[1]

    def best(
        self, rows: NDArray[np.int64] | slice, *, allowed: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """(m,) likeliest cluster of each row, the first of equally likely ones, and (m,) its margin in 0 … 1."""
        ids = np.arange(self.k) if allowed is None else np.asarray(allowed, np.int64)
        logits = self.logits[rows]
        clusters = ids[np.take(logits, ids, axis=1).argmax(axis=1)]
        return clusters, self._margins(logits, clusters, ids)

    def margins(
        self, rows: NDArray[np.int64], *, clusters: NDArray[np.int64], allowed: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """(m,) p_own − p_other of each row; negative where another cluster is likelier."""
        ids = np.arange(self.k) if allowed is None else np.asarray(allowed, np.int64)
        return self._margins(self.logits[rows], clusters, ids)

    def probabilities(self, rows: NDArray[np.int64], clusters: NDArray[np.int64]) -> NDArray[np.float64]:
        """(m,) probability of the cluster that each row is in."""
        return _softmax(self.logits[rows])[np.arange(len(rows)), clusters]

    @staticmethod
    def _margins(logits: NDArray[Any], clusters: NDArray[np.int64], allowed: NDArray[np.int64]) -> NDArray[np.float32]:
        likely = _softmax(np.take(logits, allowed, axis=1))
        if likely.shape[1] < 2:
            return np.ones(len(likely), np.float32)
        place = np.arange(len(likely)), np.searchsorted(allowed, clusters)
        own = likely[place]
        likely[place] = -1
        return (own - likely.max(axis=1)).astype(np.float32)


def _softmax(logits: NDArray[Any]) -> NDArray[np.float64]:
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


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
