"""The nearest centres of rows of few numbers, for several k-means of the same rows at once."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.rows import Rows, blocks, squared_norms
from ncdcli.clustering.scratch import Scratch
from ncdcli.clustering.threads import each

_BLOCK = 2**18  # distances that one product makes: 1 MiB, what a processor's cache holds
_FEWEST = 256  # rows in a product
_SOME = 100  # centres from which NumPy finds the place of the least quickly; fewer than a byte can count


class NarrowNearest:
    """The nearest centres of some rows, where the product of rows and centres is quicker than any bookkeeping.

    One product serves the centres of several k-means together: it is then less narrow, and what NumPy takes for a call
    is shared. NumPy takes more time for the place of the least of a few distances than for the product; so the least
    one is found alone, and its place as the greatest of numbers that fall from centre to centre and count only where
    the least is. Rows are kept with a 1 at their end, so that the product adds the lengths of the centres, too.
    """

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self._scratch = Scratch()

    @cached_property
    def _extended(self) -> NDArray[np.float32]:
        """(n, d + 1) the rows, each with a 1."""
        out = np.ones((len(self.rows), self.rows.shape[1] + 1), np.float32)
        out[:, :-1] = self.rows
        return out

    def __call__(self, centres: NDArray[np.floating]) -> NDArray[np.int64]:
        """(r, n) nearest of each of the r sets of (r, k, d) centres to each row, the first of equally near ones."""
        r, k, d = centres.shape
        slopes = np.empty((r * k, d + 1), np.float32)
        near = slopes[:, :-1]
        near[:] = centres.reshape(r * k, d)
        slopes[:, -1] = squared_norms(near)
        near *= -2
        labels = np.empty((r, len(self.rows)), np.int64)
        look = self._among_few if k < _SOME else self._among_many
        each(
            lambda part: look(slopes, part, labels[:, part]),
            list(blocks(len(self.rows), max(_BLOCK // (r * k), _FEWEST))),
        )
        return labels

    def _among_few(self, slopes: NDArray[np.float32], part: slice, labels: NDArray[np.int64]) -> None:
        """Fill in `labels` (r, m) of these rows: the distances to a centre lie side by side."""
        r, m = labels.shape
        k = len(slopes) // r
        distances = self._scratch("distances", (r * k, m), np.float32)
        np.matmul(slopes, self._extended[part].T, out=distances)
        stacked = distances.reshape(r, k, m)
        places = self._scratch("places", (r, k, m), np.uint8)
        np.equal(stacked, stacked.min(axis=1, keepdims=True), out=places.view(np.bool_))
        places *= np.arange(k, 0, -1, dtype=np.uint8)[:, None]
        np.subtract(k, places.max(axis=1), out=labels, dtype=np.int64)

    def _among_many(self, slopes: NDArray[np.float32], part: slice, labels: NDArray[np.int64]) -> None:
        """Fill in `labels` (r, m) of these rows: the distances of a row lie side by side."""
        r, m = labels.shape
        distances = self._scratch("distances", (m, len(slopes)), np.float32)
        np.matmul(self._extended[part], slopes.T, out=distances)
        labels[:] = distances.reshape(m, r, -1).argmin(axis=2).T
