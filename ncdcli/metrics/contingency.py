"""How often each cluster meets each class: the table every score is computed from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Contingency:
    """Counts of samples by cluster and class, for ids of any kind."""

    counts: NDArray[np.int64]  # (clusters, classes)
    clusters: NDArray[Any]  # (clusters,) ids, ascending
    classes: NDArray[Any]  # (classes,) ids, ascending

    def select(self, classes: NDArray[np.bool_]) -> Contingency:
        """The table of the samples of some classes; clusters that hold none of them keep a row of zeros."""
        return Contingency(self.counts[:, classes], self.clusters, self.classes[classes])


def contingency(clusters: NDArray[Any], classes: NDArray[Any]) -> Contingency:
    """The table of `clusters` (n,) against `classes` (n,); ids may be negative, sparse, numbers or strings.

    Raises ValueError where the two differ in length.
    """
    clusters, classes = np.asarray(clusters), np.asarray(classes)
    if clusters.shape != classes.shape or clusters.ndim != 1:
        raise ValueError(f"one cluster and one class per sample: got shapes {clusters.shape} and {classes.shape}")
    row_ids, rows = _encode(clusters)
    column_ids, columns = _encode(classes)
    shape = (len(row_ids), len(column_ids))
    counts = np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1]).reshape(shape)
    return Contingency(counts.astype(np.int64), row_ids, column_ids)


def count_table(
    clusters: NDArray[np.int64], classes: NDArray[np.int64], *, shape: tuple[int, int]
) -> NDArray[np.int64]:
    """`shape` counts for ids that are `0 … shape − 1` already."""
    flat = clusters.astype(np.int64) * shape[1] + classes
    return np.bincount(flat, minlength=shape[0] * shape[1]).reshape(shape)


def _encode(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Distinct values, ascending, and the position of each value among them; no sort for dense integers."""
    if len(values) and np.issubdtype(values.dtype, np.integer):
        low, high = int(values.min()), int(values.max())
        if high - low < 4 * len(values) + 1024:
            offset = values.astype(np.int64) - low
            present = np.flatnonzero(np.bincount(offset))
            position = np.zeros(high - low + 1, np.int64)
            position[present] = np.arange(len(present))
            return (present + low).astype(values.dtype), position[offset]
    ids, positions = np.unique(values, return_inverse=True)
    return ids, positions.reshape(-1).astype(np.int64)
