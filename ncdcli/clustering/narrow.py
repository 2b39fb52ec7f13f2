"""The nearest centres of rows of few numbers, for several k-means of the same rows at once."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.rows import Rows, blocks, squared_norms
from ncdcli.clustering.threads import each

_BLOCK = 2**18  # distances that one product makes: 1 MiB, what a processor's cache holds
_FEWEST = 256  # rows in a product


class NarrowNearest:
    """The nearest centres of some rows, where the product of rows and centres is quicker than any bookkeeping.

    One product serves the centres of several k-means together: it is then less narrow, and what NumPy takes for a call
    is shared. To find the place of the least distance takes more time than the product; so the least one is found
    alone, and its place only for rows whose last centre it is not.
    """

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    @cached_property
    def _columns(self) -> NDArray[np.float32]:
        """(d, n) the rows, so that the distances to a centre lie side by side."""
        return np.ascontiguousarray(self.rows.T)

    def __call__(self, centres: NDArray[np.floating], last: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """(r, n) nearest of each of the r sets of (r, k, d) centres to each row, the first of equally near ones.

        `last` (r, n) are clusters of which most have not changed, those of the sweep before.
        """
        r, k, d = centres.shape
        near = centres.reshape(r * k, d).astype(np.float32)
        slopes, norms = -2 * near, squared_norms(near)[:, None]
        labels = np.empty((r, len(self.rows)), np.int64) if last is None else last.copy()

        def look(part: slice) -> None:
            distances = slopes @ self._columns[:, part]
            distances += norms
            stacked = distances.reshape(r, k, -1)
            least = stacked == stacked.min(axis=1, keepdims=True)
            size = stacked.shape[2]
            if last is None or np.count_nonzero(least) > r * size:  # equally near ones
                labels[:, part] = least.argmax(axis=1)
                return
            for own, held in zip(labels[:, part], least, strict=True):
                moved = np.flatnonzero(~held.ravel()[own * size + np.arange(size)])
                own[moved] = held[:, moved].argmax(axis=0)

        each(look, list(blocks(len(self.rows), max(_BLOCK // (r * k), _FEWEST))))
        return labels
