"""How much a clustering depends on its random seed."""

from __future__ import annotations

from collections.abc import Mapping
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
# What one re-clustering may cost, in products of rows, clusters and dimensions: about two seconds of k-means with ten
# restarts. A distance costs some 200 products more than its dimensions, so that small ones are not cheap.
MOST_PRODUCTS = 5e8
PRODUCTS_BESIDE = 200
FEWEST_PER_CLUSTER = 20  # sampled rows, below which their agreement says more of the sample than of the clustering


def affordable_rows(rows: int, *, clusters: int, dim: int) -> int:
    """How many of `rows` are clustered again: all, or as many as `MOST_ROWS` and `MOST_PRODUCTS` allow.

    0 where that would be fewer than 20 rows a cluster: then nothing is. With 64 dimensions, 20,000 rows are taken up to
    94 clusters, and none beyond 307; with 768, up to 25 and none beyond 160.
    """
    most = min(MOST_ROWS, int(MOST_PRODUCTS / (clusters * (dim + PRODUCTS_BESIDE))))
    return rows if rows <= most else most if most >= FEWEST_PER_CLUSTER * clusters else 0


def stability(
    problem: Problem,
    clusters: NDArray[np.int64],
    *,
    clustering: Mapping[str, Any],
    rows: int,
    seeds: int,
    context: StageContext,
) -> dict[str, Any]:
    """Agreement of re-clusterings with other seeds, on unlabelled rows: mean ARI between pairs of them, and with
    `clusters`, those of the run.

    `clustering` is the content of `clustering.json`, whose method and options are used. About `rows` rows are clustered
    again, every label in its share, and the ARI is over the unlabelled ones among these.
    """
    config: Any = TypeAdapter(ClusterConfig).validate_python(clustering["config"])
    cluster = import_kind(KINDS, clustering["kind"])
    sample = stratified_rows(problem.labels, rows, context.rng(0))
    part = problem.at(sample)
    pool = part.labels < 0
    partitions = []
    quiet = SilentProgress(context.progress.note)  # a re-clustering is one step of the bar here
    with context.progress.track("stability", seeds) as tick:
        for seed in range(seeds):
            answer = cluster(part, config, context.rng(1, seed), quiet)
            partitions.append(answer.assignments[pool])
            tick()
    pairs = [_ari(a, b) for a, b in combinations(partitions, 2)]
    to_run = [_ari(clusters[sample][pool], partition) for partition in partitions]
    return {
        "ari": float(np.mean(pairs)) if pairs else None,
        "ari_to_run": float(np.mean(to_run)),
        "seeds": seeds,
        "rows": int(pool.sum()),
    }


def _ari(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    value = adjusted_rand(contingency(a, b).counts)
    return 1.0 if value is None else value
