"""What classifiers start from: centroids of the embeddings that were there before."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ncdcli.clustering.base import Problem
from ncdcli.clustering.kinds import SemiKMeans
from ncdcli.clustering.semi_kmeans import cluster
from ncdcli.pipeline.context import SilentProgress


def cluster_centroids(problem: Problem, rng: np.random.Generator, *, restarts: int = 10) -> Tensor:
    """(k, d) centroids of semi-supervised k-means: known classes first, in their order."""
    answer = cluster(problem, SemiKMeans(restarts=restarts), rng, SilentProgress())
    return torch.from_numpy(answer.centroids)
