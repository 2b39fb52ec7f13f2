"""GPC's estimate of the number of classes: what splits and merges of a Gaussian mixture come to."""

from __future__ import annotations

import numpy as np

from ncdcli.clustering.base import Problem
from ncdcli.clustering.kinds import SemiGmm
from ncdcli.clustering.rows import as_rows
from ncdcli.clustering.semi_gmm import find_k
from ncdcli.counting.base import Cost, CountEstimate, CountProblem
from ncdcli.counting.candidates import best_candidate, middle_of, nearness, stratified_rows
from ncdcli.counting.kinds import SplitMerge
from ncdcli.counting.labelled import labelled_range
from ncdcli.pipeline.context import Progress, SilentProgress


def estimate(problem: CountProblem, config: SplitMerge, rng: np.random.Generator, progress: Progress) -> CountEstimate:
    """The median number of clusters at which splits and merges of a semi-supervised Gaussian mixture end.

    GPC (Zhao et al., ICCV 2023): see `ncdcli.clustering.semi_gmm`. The search is run `restarts` times, each with a
    random stream of its own; an answer outside low … high counts as the nearer bound. The score of a candidate is minus
    its mean distance to the answers, the interval holds the middle 90 % of them, and `rounds` in the statistics are
    the numbers of clusters after each round of every run.

    Raises DataError with too few rows, RecipeError for bounds that make no sense.
    """
    key = int(rng.integers(2**63))
    chosen = stratified_rows(problem.labels, config.max_samples, np.random.default_rng([key, 0]))
    low, high = labelled_range(problem, config, most=len(chosen))
    part = Problem(
        as_rows(problem.embeddings[chosen]), problem.labels[chosen], problem.n_known, None, problem.novel_only
    )
    section = SemiGmm(start=config.start, rounds=config.rounds, explore=config.explore)
    cost = Cost()
    found, rounds = [], []
    with progress.track("estimate k", config.restarts) as tick:
        for restart in range(config.restarts):
            stream = np.random.default_rng([key, 1, restart])
            clustering, history = find_k(part, section, stream, SilentProgress(progress.note))
            found.append(clustering.k)
            rounds.append([int(k) for k in history])
            cost.clusterings += 1
            cost.distances += len(chosen) * sum(rounds[-1])
            tick(1, k=clustering.k)
    bounded = [min(max(k, low), high) for k in found]
    if bounded != found:
        progress.note(f"splits and merges ended outside the range {low} to {high}: at {sorted(found)} clusters")
    scores = nearness(bounded, low, high)
    k = best_candidate(scores)
    statistics = {"range": [low, high], "found": found, "rounds": rounds, "cost": cost.facts(len(chosen))}
    return CountEstimate(k, "split_merge", scores, middle_of(bounded, k), statistics)
