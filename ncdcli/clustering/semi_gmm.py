"""Semi-supervised Gaussian mixture that finds the number of clusters by splits and merges (GPC, Zhao et al. 2023)."""

from __future__ import annotations

import numpy as np

from ncdcli.clustering.base import Clustering, Problem
from ncdcli.clustering.kinds import SemiGmm
from ncdcli.pipeline.context import Progress


def cluster(problem: Problem, config: SemiGmm, rng: np.random.Generator, progress: Progress) -> Clustering:
    """The mixture's clusters."""
    return find_k(problem, config, rng, progress)[0]


def find_k(
    problem: Problem, config: SemiGmm, rng: np.random.Generator, progress: Progress
) -> tuple[Clustering, list[int]]:
    """The clustering with the k that splits and merges end at, and the k of every round; `problem.k` is not read."""
    raise NotImplementedError
