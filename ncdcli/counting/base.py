"""What every estimator of the number of classes is given and gives back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class CountProblem:
    """Embeddings whose classes are to be counted, and the labels that may be used."""

    embeddings: NDArray[np.float32]  # (n, d), finite: labelled, validation and unlabelled rows
    labels: NDArray[np.int64]  # (n,) known class id on labelled rows, -1 elsewhere
    n_known: int
    novel_only: bool = False  # the unlabelled rows hold novel classes only (NCD)


@dataclass(frozen=True)
class CountEstimate:
    """How many classes there are, known and novel together."""

    k: int | None  # None: the clustering method finds it
    criterion: str
    scores: Mapping[int, float]  # candidate k -> score, greater is better; empty where k is given or left open
    interval: (
        tuple[int, int] | None
    )  # candidates that the criterion cannot tell from the best, or its answers if repeated
    statistics: Mapping[str, Any] = field(default_factory=dict)  # `cost` among them, unless k is given or left open
    other_scores: Mapping[str, Mapping[int, float]] = field(default_factory=dict)  # name -> candidate k -> score


class Cost:
    """Work that an estimate took, as counts: the same in every run, unlike seconds."""

    def __init__(self) -> None:
        self.clusterings = 0  # runs of a clustering method, each restart one
        self.distances = 0  # between a row and a centre or another row, as the plain algorithm computes them

    def add_kmeans(self, n: int, k: int, iterations: Sequence[int]) -> None:
        """Count k-means runs over n rows: k-means++ and every iteration compute n × k distances."""
        self.clusterings += len(iterations)
        self.distances += n * k * (len(iterations) + sum(iterations))

    def facts(self, rows: int) -> dict[str, int]:
        """What `k.json` tells: the rows that were clustered, and the counts."""
        return {"rows": rows, "clusterings": self.clusterings, "distances": self.distances}
