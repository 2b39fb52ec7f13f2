"""The number of classes as the recipe gives it, or as the clustering method will find it."""

from __future__ import annotations

import numpy as np

from ncdcli.clustering.checks import check_k
from ncdcli.counting.base import CountEstimate, CountProblem
from ncdcli.counting.kinds import Fixed, LeftToClustering
from ncdcli.pipeline.context import Progress


def estimate(problem: CountProblem, config: Fixed, rng: np.random.Generator, progress: Progress) -> CountEstimate:
    """`config.k`, with an interval of itself alone, and no curve and no cost: nothing is tried and nothing computed.

    Raises RecipeError where it leaves no room for the known classes (and, in the NCD setting, a novel one).
    """
    check_k(config.k, n_known=problem.n_known, novel_only=problem.novel_only, name="estimate_k.k")
    return CountEstimate(config.k, "fixed", {}, (config.k, config.k), {"range": [config.k, config.k]})


def leave_to_clustering(
    problem: CountProblem, config: LeftToClustering, rng: np.random.Generator, progress: Progress
) -> CountEstimate:
    """No number."""
    return CountEstimate(None, "none", {}, None)
