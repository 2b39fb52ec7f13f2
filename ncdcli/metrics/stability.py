"""How much a clustering depends on its random seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from ncdcli.clustering.base import Problem
from ncdcli.clustering.kinds import KINDS, ClusterConfig
from ncdcli.counting.candidates import stratified_rows
from ncdcli.metrics.contingency import contingency
from ncdcli.metrics.scores import adjusted_rand
from ncdcli.pipeline.context import SilentProgress, StageContext
from ncdcli.recipe.base import import_kind

MOST_ROWS = 20_000


def stability(
    problem: Problem, clusters: NDArray[np.int64], *, clustering: Mapping[str, Any], seeds: int, context: StageContext
) -> dict[str, Any]:
    """Agreement of re-clusterings with other seeds, on unlabelled rows: mean ARI between pairs of them, and with
    `clusters`, those of the run.

    `clustering` is the content of `clustering.json`, whose method and options are used. At most 20,000 rows are
    clustered again, every label in its share, and the ARI is over the unlabelled ones among these.
    """
    config: Any = TypeAdapter(ClusterConfig).validate_python(clustering["config"])
    cluster = import_kind(KINDS, clustering["kind"])
    rows = stratified_rows(problem.labels, MOST_ROWS, context.rng(0))
    part = replace(problem, embeddings=problem.embeddings[rows], labels=problem.labels[rows])
    pool = part.labels < 0
    partitions = []
    quiet = SilentProgress(context.progress.note)  # a re-clustering is one step of the bar here
    with context.progress.track("stability", seeds) as tick:
        for seed in range(seeds):
            answer = cluster(part, config, context.rng(1, seed), quiet)
            partitions.append(answer.assignments[pool])
            tick()
    pairs = [_ari(a, b) for a, b in combinations(partitions, 2)]
    to_run = [_ari(clusters[rows][pool], partition) for partition in partitions]
    return {
        "ari": float(np.mean(pairs)) if pairs else None,
        "ari_to_run": float(np.mean(to_run)),
        "seeds": seeds,
        "rows": int(pool.sum()),
    }


def _ari(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    value = adjusted_rand(contingency(a, b).counts)
    return 1.0 if value is None else value
