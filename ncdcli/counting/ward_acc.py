"""CMS's estimate of the number of classes: where to cut Ward's tree so that it agrees best with labelled samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ncdcli.clustering.ward_tree import cut_tree, ward_tree
from ncdcli.counting.base import Cost, CountEstimate, CountProblem
from ncdcli.counting.candidates import stratified_rows
from ncdcli.counting.kinds import WardAcc
from ncdcli.counting.labelled import Candidates, Sample, choose, labelled_range, matching_verdict, require_labels
from ncdcli.counting.search import search_all, search_patiently
from ncdcli.pipeline.context import Progress


def estimate(problem: CountProblem, config: WardAcc, rng: np.random.Generator, progress: Progress) -> CountEstimate:
    """The k in low … high at which Ward's tree of all rows has the greatest Hungarian accuracy on the labelled rows.

    CMS (Choi et al., CVPR 2024), section 3.4: one tree, cut into every k from the known classes upward. We differ in
    what is scored: the labelled rows of training, which the tree does not know either, where the released code takes
    the test split; and, unless `patience` (50 there) says so, no k is left out, since a cut costs nothing. The
    interval, and what decides among its candidates, are those of `max_acc`: one standard deviation of the best
    accuracy over bootstrap samples of the labelled rows, then the mean silhouette of unlabelled rows (NCD: of all).

    Built of a stratified sample of `max_samples` rows: the tree takes 4 to 8 bytes for every pair of rows.

    Raises DataError without labelled rows or with too few rows, RecipeError for bounds that make no sense.
    """
    require_labels(problem, "ward_acc")
    key = int(rng.integers(2**63))
    chosen = stratified_rows(problem.labels, config.max_samples, np.random.default_rng([key, 0]))
    limits = labelled_range(problem, config, most=len(chosen))
    sample, cost = Sample.of(problem, chosen, key), Cost()
    if problem.novel_only:  # the pool alone would not tell where a novel class is merged with a known one
        sample = sample.with_pool(np.full(len(chosen), True))
    tree = ward_tree(sample.rows)
    cost.clusterings, cost.distances = 1, len(chosen) * (len(chosen) - 1) // 2
    answer = choose(
        Candidates(lambda k: matching_verdict(sample, cut_tree(tree, k), k), sample),
        limits,
        kind="ward_acc",
        score_name="accuracy",
        search=search_all if config.patience is None else search_patiently(config.patience),
        ties=config.ties,
        pool=len(sample.pool) > 0,
        progress=progress,
    )
    cost.distances += len(sample.pool) ** 2 if answer.other_scores else 0
    return replace(answer, statistics={**answer.statistics, "cost": cost.facts(len(chosen))})
