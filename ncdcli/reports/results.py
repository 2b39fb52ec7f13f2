"""What a report is made from: the files that the stages of a run have written, read once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.inputs import read_inputs
from ncdcli.data.columns import read_columns
from ncdcli.data.samples import Samples
from ncdcli.metrics.truth import Truth, read_truth
from ncdcli.naming import Cluster, Names, default_names, make_clusters, names_if_fitting
from ncdcli.reports.facts import Row, both_series, read_lines, read_rows


@dataclass(frozen=True)
class Results:
    """The results of one run."""

    samples: Samples
    embeddings: NDArray[Any]  # (n, d), memory-mapped
    clusters: NDArray[np.int64]  # (n,) as the run gave them; names and merges are in `names`
    margins: NDArray[np.float32]  # (n,)
    centroids: NDArray[np.float32]  # (k, d)
    matched: NDArray[np.int64]  # (k,) id of the known class, -1: novel
    truth: Truth
    clustering: Mapping[str, Any]
    counting: Mapping[str, Any]  # k.json
    candidates: Sequence[Row]  # scores.csv
    metrics: Mapping[str, Any]
    matching: Mapping[str, Any]  # empty where nothing is scored
    per_class: Sequence[Row]
    confusion: NDArray[np.int64] | None  # (k, classes) of the scored rows of the headline's split
    training: Mapping[str, Sequence[tuple[float, float]]]  # name -> (epoch, value); see `both_series`
    names: Names
    named: bool  # the user has named clusters, and the names are about this clustering
    names_left_out: bool  # there is a `clusters.csv`, and it is about another clustering

    @property
    def k(self) -> int:
        return len(self.centroids)

    @property
    def n_known(self) -> int:
        return len(self.samples.known)

    @property
    def has_truth(self) -> bool:
        """Whether the true class of any pool or test sample is known."""
        return bool((self.truth.classes[self.samples.rows("unlabelled", "test")] >= 0).any())

    @cached_property
    def groups(self) -> NDArray[np.int64]:
        """(n,) clusters after the user's merges."""
        return np.asarray(self.names.into, np.int64)[self.clusters]

    @cached_property
    def pool(self) -> NDArray[np.int64]:
        """Rows in which something is discovered: unlabelled ones; in a GCD run held-out ones lie among them."""
        return self.samples.rows("unlabelled")

    def cluster_name(self, cluster: int) -> str:
        """What the cluster is called."""
        return self.names.names[cluster]

    def is_novel(self, cluster: int) -> bool:
        """Whether the cluster, or the one it is merged into, stands for no known class."""
        return bool(self.matched[self.names.into[cluster]] < 0)


def read_results(inputs: Mapping[str, Path]) -> Results:
    """The results behind the input files of the stage `report`. DataError where they do not fit together."""
    samples, embeddings = read_inputs(inputs)
    clustering = _json(inputs, "cluster/clustering.json")
    columns = read_columns(inputs["cluster/assignments.csv"], texts=["margin"], numbers=["cluster"])
    clusters = make_clusters(clustering, samples.known)
    names, named = _names(inputs.get("clusters.csv"), clusters)
    return Results(
        samples=samples,
        embeddings=embeddings,
        clusters=columns["cluster"],
        margins=columns["margin"].astype(np.float32),
        centroids=np.load(inputs["cluster/centroids.npy"]),
        matched=np.asarray(clustering["matched"], np.int64),
        truth=read_truth(samples, inputs.get("split/truth.csv")),
        clustering=clustering,
        counting=_json(inputs, "estimate_k/k.json"),
        candidates=read_rows(inputs["estimate_k/scores.csv"]),
        metrics=_json(inputs, "evaluate/metrics.json"),
        matching=_json(inputs, "evaluate/matching.json"),
        per_class=read_rows(inputs.get("evaluate/per_class.csv")),
        confusion=np.load(inputs["evaluate/confusion.npy"]) if "evaluate/confusion.npy" in inputs else None,
        training=both_series(
            read_lines(inputs.get("pretrain/metrics.jsonl")), read_lines(inputs.get("joint_training/metrics.jsonl"))
        ),
        names=names,
        named=named,
        names_left_out="clusters.csv" in inputs and not named,
    )


def _names(path: Path | None, clusters: Sequence[Cluster]) -> tuple[Names, bool]:
    """Names of the clusters, and whether they are the user's."""
    names = names_if_fitting(path, clusters)
    return (default_names(clusters), False) if names is None else (names, True)


def _json(inputs: Mapping[str, Path], name: str) -> dict[str, Any]:
    return json.loads(inputs[name].read_text("utf-8")) if name in inputs else {}
