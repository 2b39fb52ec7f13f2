"""The nearest centres of rows of few numbers, for several k-means of the same rows at once."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering import loops
from ncdcli.clustering.rows import Rows, blocks
from ncdcli.clustering.threads import each

_BLOCK = 2**18  # distances of a block of rows: 1 MiB, what a processor's cache holds
_WORK = 2**22  # multiply-adds of a block: a tenth of a millisecond, of which a call takes a hundredth
_FEWEST = 256  # rows of a block


class NarrowNearest:
    """The nearest centres of some rows, where computing all distances is quicker than any bookkeeping.

    One pass over the rows serves the centres of several k-means together.
    """

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    @cached_property
    def _packed(self) -> NDArray[np.float32]:
        return loops.pack(np.ascontiguousarray(self.rows, np.float32))

    def __call__(self, centres: NDArray[np.floating]) -> NDArray[np.int64]:
        """(r, n) nearest of each of the r sets of (r, k, d) centres to each row, the first of equally near ones."""
        r, k, d = centres.shape
        packed, near = self._packed, np.ascontiguousarray(centres, np.float64)
        labels = np.empty((r, len(self.rows)), np.int64)
        size = max(min(_BLOCK, _WORK // max(d, 1)) // max(r * k, 1), _FEWEST) // loops.STEP * loops.STEP
        each(
            lambda part: loops.nearest(packed, near, labels, part.start, part.stop),
            list(blocks(len(self.rows), size)),
        )
        return labels
