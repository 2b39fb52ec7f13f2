"""The nearest centres of rows of few numbers, for several k-means of the same rows at once."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.rows import Rows, blocks, squared_norms
from ncdcli.clustering.threads import each

_BLOCK = 2**18  # distances that one product makes: 1 MiB, what a processor's cache holds
_FEWEST = 256  # rows in a product
_BESIDE = 12  # centres up to which NumPy finds the place of the least faster than the least


class NarrowNearest:
    """The nearest centres of some rows, where the product of rows and centres is quicker than any bookkeeping.

    One product serves the centres of several k-means together: it is then less narrow, and what NumPy takes for a call
    is shared. NumPy takes more time for the place of the least distance than for the product; so the least one is found
    alone, and where it is by another product. Rows are kept with a 1 at their end, so that the product adds the lengths
    of the centres, too.
    """

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    @cached_property
    def _extended(self) -> NDArray[np.float32]:
        """(n, d + 1) the rows, each with a 1."""
        out = np.ones((len(self.rows), self.rows.shape[1] + 1), np.float32)
        out[:, :-1] = self.rows
        return out

    @cached_property
    def _columns(self) -> NDArray[np.float32]:
        """(d + 1, n) the same, so that the distances to a centre lie side by side."""
        out = np.ones((self.rows.shape[1] + 1, len(self.rows)), np.float32)
        out[:-1] = self.rows.T
        return out

    def __call__(self, centres: NDArray[np.floating]) -> NDArray[np.int64]:
        """(r, n) nearest of each of the r sets of (r, k, d) centres to each row, the first of equally near ones."""
        r, k, d = centres.shape
        near = centres.reshape(r * k, d).astype(np.float32)
        slopes = np.empty((r * k, d + 1), np.float32)
        np.multiply(near, -2, out=slopes[:, :-1])
        slopes[:, -1] = squared_norms(near)
        if r == 1 and k <= _BESIDE:
            return self._beside(slopes)
        return self._stacked(slopes.reshape(r, k, d + 1))

    def _beside(self, slopes: NDArray[np.float32]) -> NDArray[np.int64]:
        """(1, n) nearest of few centres: the distances of a row lie side by side."""
        labels = np.empty((1, len(self.rows)), np.int64)

        def look(part: slice) -> None:
            labels[0, part] = (self._extended[part] @ slopes.T).argmin(axis=1)

        each(look, list(blocks(len(self.rows), max(_BLOCK // len(slopes), _FEWEST))))
        return labels

    def _stacked(self, slopes: NDArray[np.float32]) -> NDArray[np.int64]:
        """(r, n) nearest of several or many centres: the distances to a centre lie side by side."""
        r, k, _ = slopes.shape
        labels = np.empty((r, len(self.rows)), np.int64)
        flat, places = slopes.reshape(r * k, -1), np.arange(k, dtype=np.float32)

        def look(part: slice) -> None:
            stacked = (flat @ self._columns[:, part]).reshape(r, k, -1)
            least = stacked == stacked.min(axis=1, keepdims=True)
            if np.count_nonzero(least) > labels[:, part].size:  # equally near ones
                labels[:, part] = least.argmax(axis=1)
            else:
                labels[:, part] = places @ least.astype(np.float32)

        each(look, list(blocks(len(self.rows), max(_BLOCK // (r * k), _FEWEST))))
        return labels
