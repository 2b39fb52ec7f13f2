"""The `cluster` stage: a cluster for every sample."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.assign import Answers, Centroids, Logits
from ncdcli.clustering.base import Clustering
from ncdcli.clustering.inputs import clustered_rows, clustering_problem, read_inputs, read_logits
from ncdcli.clustering.kinds import KINDS
from ncdcli.data.columns import write_columns
from ncdcli.data.samples import Samples
from ncdcli.jsonfile import write_json
from ncdcli.pipeline.context import StageContext
from ncdcli.recipe.base import fields_that_matter, import_kind

NOVEL = "novel"  # what `match` says of a cluster that stands for no known class


@dataclass(frozen=True)
class Assignments:
    """A cluster for every row of a run."""

    clusters: NDArray[np.int64]  # (n,)
    margins: NDArray[np.float32]  # (n,) see `ncdcli.clustering.assign.margins`
    task_aware: NDArray[np.int64] | None  # (n,) NCD only
    task_agnostic: NDArray[np.int64] | None  # (n,) NCD only


def run(context: StageContext, config: Any) -> None:
    """Write `assignments.csv`, `centroids.npy` (k, d) and `clustering.json`.

    Clusters `0 … n_known − 1` are the known classes in their order. Labelled rows keep the cluster that the method
    gave them; rows that were not clustered (test rows; validation rows in the NCD setting) go to the nearest centroid,
    or where a classifier was the method, to the likeliest class.
    """
    samples, embeddings = read_inputs(context.inputs)
    logits = read_logits(context.inputs) if config.cluster.needs_logits else None
    k = json.loads(context.inputs["estimate_k/k.json"].read_text("utf-8"))["k"]
    rows = clustered_rows(samples)
    problem = clustering_problem(samples, embeddings, k, logits=logits)
    method = import_kind(KINDS, config.cluster.kind)
    clustering = method(problem, config.cluster, context.rng(), context.progress)
    answers = Centroids(embeddings, clustering.centroids) if logits is None else Logits(logits)
    assignments = assign_all(clustering, samples, answers, rows)
    _write_assignments(context, samples, clustering, assignments)
    np.save(context.output / "centroids.npy", clustering.centroids)
    content = {
        "kind": config.cluster.kind,
        "config": fields_that_matter(config.cluster),
        "k": clustering.k,
        "given_k": k,
        "n_known": problem.n_known,
        "matched": clustering.matched.tolist(),
        "objective": float(clustering.objective),
        "statistics": dict(clustering.statistics),
        "sizes": np.bincount(assignments.clusters, minlength=clustering.k).tolist(),
    }
    write_json(context.output / "clustering.json", content)


def assign_all(clustering: Clustering, samples: Samples, answers: Answers, rows: NDArray[np.int64]) -> Assignments:
    """Clusters of all rows, from those of the clustered `rows`, and for the others from what `answers` them.

    In the NCD setting `task_agnostic` is the best of all clusters; `task_aware` the best novel one for pool and test
    rows (to be read for rows of novel classes only), the best known one for validation rows, and the own class for
    labelled rows.
    """
    anything, margin = answers.best(slice(None))
    clusters = anything.copy()
    clusters[rows] = clustering.assignments
    if samples.setting != "ncd":
        margin[rows] = answers.margins(rows, clusters=clustering.assignments)
        return Assignments(clusters, margin, None, None)
    known, novel = np.split(np.arange(clustering.k), [len(samples.known)])
    labelled, pool = samples.rows("labelled"), samples.rows("unlabelled")
    margin[labelled] = answers.margins(labelled, clusters=clusters[labelled])
    margin[pool] = answers.margins(pool, clusters=clusters[pool], allowed=novel)
    aware = clusters.copy()
    validation, test = samples.rows("validation"), samples.rows("test")
    aware[validation], _ = answers.best(validation, allowed=known)
    aware[test], _ = answers.best(test, allowed=novel)
    return Assignments(clusters, margin, aware, np.where(samples.roles == "labelled", clusters, anything))


def _write_assignments(
    context: StageContext, samples: Samples, clustering: Clustering, assignments: Assignments
) -> None:
    names = [samples.known[known] if known >= 0 else NOVEL for known in clustering.matched]
    clusters = assignments.clusters.tolist()
    columns: dict[str, Any] = {
        "row": range(len(clusters)),
        "key": samples.keys,
        "role": samples.roles.tolist(),
        "cluster": clusters,
        "match": [names[cluster] for cluster in clusters],
        "margin": assignments.margins,  # shortest text that gives the same float32
    }
    if assignments.task_aware is not None and assignments.task_agnostic is not None:
        columns |= {"task_aware": assignments.task_aware.tolist(), "task_agnostic": assignments.task_agnostic.tolist()}
    write_columns(context.output / "assignments.csv", columns)
