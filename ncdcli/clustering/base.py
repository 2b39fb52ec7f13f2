"""What every clustering method is given and gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Problem:
    """Embeddings to cluster and the labels that may be used.

    In every method, clusters `0 … n_known − 1` of the answer are the known classes in their order, and clusters
    `n_known … k − 1` are novel. `novel_only` (the NCD setting) says that unlabelled rows belong to novel classes, so
    they may only be put in novel clusters.
    """

    embeddings: NDArray[np.float32]  # (n, d), finite
    labels: NDArray[np.int64]  # (n,) known class id 0 … n_known − 1 on labelled rows, -1 elsewhere
    n_known: int
    k: int | None  # known and novel classes together, > n_known in the NCD setting; None: the method finds it
    novel_only: bool = False
    domains: NDArray[np.int64] | None = None  # (n,) 0 … of where each row comes from; None: the data do not say
    logits: NDArray[np.float32] | None = None  # (n, k) of a classifier that was trained with the embeddings, if any

    @property
    def given_k(self) -> int:
        """k, for a method that needs it (recipes without one are refused for these)."""
        if self.k is None:
            raise ValueError("this method needs k")
        return self.k

    def at(self, rows: NDArray[np.int64]) -> Problem:
        """The problem of some rows."""
        domains = None if self.domains is None else self.domains[rows]
        logits = None if self.logits is None else self.logits[rows]
        return replace(self, embeddings=self.embeddings[rows], labels=self.labels[rows], domains=domains, logits=logits)


@dataclass(frozen=True)
class Clustering:
    """The answer of a clustering method."""

    assignments: NDArray[np.int64]  # (n,) cluster 0 … k − 1 of every row; k may be other than the problem's
    centroids: NDArray[np.float32]  # (k, d); a new sample belongs to the nearest one
    matched: NDArray[np.int64]  # (k,) id of the known class that a cluster stands for, -1: novel
    objective: float  # what the method minimises
    statistics: Mapping[str, Any] = field(
        default_factory=dict
    )  # restarts, iterations, repairs: goes to clustering.json

    @property
    def k(self) -> int:
        """Number of clusters."""
        return len(self.centroids)
