"""Rows by their principal components, in float64, with their mean at the origin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh

from ncdcli.clustering.rows import Rows


def principal(rows: Rows, dimensions: int | None) -> NDArray[np.float64]:
    """(n, min(dimensions, d, n)) coordinates along the directions of greatest variance.

    Where that is all d, or `dimensions` is None, rows are centred and not turned.
    """
    centred = rows.astype(np.float64) - rows.mean(axis=0, dtype=np.float64)
    n, d = centred.shape
    count = min(d, d if dimensions is None else dimensions, n)
    if count == d:
        return centred
    if d <= n:
        _, directions = eigh(centred.T @ centred, subset_by_index=[d - count, d - 1])
        return np.ascontiguousarray((centred @ directions)[:, ::-1])
    values, vectors = eigh(centred @ centred.T, subset_by_index=[n - count, n - 1])
    return np.ascontiguousarray((vectors * np.sqrt(np.maximum(values, 0)))[:, ::-1])
