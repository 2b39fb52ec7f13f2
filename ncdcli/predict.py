"""New samples in the clusters of a finished run: embed, then take the nearest centroid or the likeliest class."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ncdcli.data.columns import write_columns
from ncdcli.data.sources import TableInputs
from ncdcli.errors import MissingError
from ncdcli.naming import FILE, clusters_of, names_if_fitting
from ncdcli.pipeline.context import Progress, Resources

if TYPE_CHECKING:
    from ncdcli.run.folder import RunFolder


@dataclass(frozen=True)
class Predictions:
    """Where each new sample belongs."""

    keys: tuple[str, ...]  # n
    clusters: NDArray[np.int64]  # (n,) number of the nearest centroid, or of the likeliest class
    matches: tuple[str, ...]  # n: the known class that the cluster stands for, or "novel"
    margins: NDArray[np.floating]  # (n,) 0: two clusters are equally near or likely, 1: only one is
    names: tuple[str, ...] | None = None  # n: what the user calls the cluster; None where no cluster has been named

    def __len__(self) -> int:
        return len(self.keys)

    def counts(self) -> dict[int, int]:
        """Number of samples by cluster, clusters without samples left out."""
        return dict(sorted(Counter(self.clusters.tolist()).items()))

    def write(self, path: Path) -> None:
        """Write (key, cluster, match, margin, and name where clusters are named) as CSV, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        columns: dict[str, Sequence[object]] = {
            "key": self.keys,
            "cluster": self.clusters.tolist(),
            "match": self.matches,
            "margin": [f"{margin:.6f}" for margin in self.margins.tolist()],
        }
        if self.names is not None:
            columns["name"] = self.names
        write_columns(unfinished, columns)
        os.replace(unfinished, path)


def cluster_matches(predictions: Predictions) -> dict[int, str]:
    """The match of every cluster that has samples."""
    return dict(zip(predictions.clusters.tolist(), predictions.matches, strict=True))


def cluster_names(predictions: Predictions) -> dict[int, str]:
    """The name of every cluster that has samples, or its match where clusters have no names."""
    return dict(zip(predictions.clusters.tolist(), predictions.names or predictions.matches, strict=True))


def predict_samples(run: RunFolder, path: Path, *, resources: Resources, progress: Progress) -> Predictions:
    """Clusters of the samples at `path`, a folder or file of the kind that the run's source reads.

    The assignment is the nearest centroid among all clusters, or the likeliest class where the run's clusters are the
    answers of a classifier: a new sample may be of a known class also where the run's pool holds novel classes only.
    MissingError if the run lacks a stage or its stages do not fit together.
    """
    from ncdcli.clustering.assign import Answers, Centroids, Logits
    from ncdcli.data.resolve import open_source
    from ncdcli.models.embedder import load_embedder, table_encoder
    from ncdcli.training.deterministic import deterministic

    check_chain(run)
    if not path.exists():
        raise MissingError(f"no file or folder `{path}`", hint="`--input` names a folder of images, a table or an .npy")
    keys, inputs = open_source(run.recipe().data).new_inputs(path)
    cluster_folder = run.stage_dir("cluster")
    clustering = json.loads((cluster_folder / "clustering.json").read_text("utf-8"))
    known = json.loads((run.stage_dir("split") / "classes.json").read_text("utf-8"))["known"]
    embedding = json.loads((run.stage_dir("embed") / "embeddings.json").read_text("utf-8"))

    model = run.stage_dir(_embedding_stage(run)) / "model.json"
    embedder = load_embedder(model, resources, precision=embedding["precision"])
    with deterministic(resources.deterministic):
        arrays = embedder.arrays(inputs, progress, normalize=embedding["normalize"])
    if isinstance(inputs, TableInputs):
        for note in table_encoder(embedder.card).notes(inputs):
            progress.note(note)
    by_head = clustering["kind"] == "head"
    answers: Answers = (
        Logits(arrays["logits"])
        if by_head
        else Centroids(arrays["embeddings"], np.load(cluster_folder / "centroids.npy"))
    )
    clusters, margins = answers.best(slice(None))
    names = [known[match] if match >= 0 else "novel" for match in clustering["matched"]]
    matches = tuple(names[cluster] for cluster in clusters.tolist())
    given = names_if_fitting(run.path / FILE, clusters_of(run.path))
    called = None if given is None else tuple(given.names[cluster] for cluster in clusters.tolist())
    return Predictions(tuple(keys), clusters, matches, margins, called)


def _embedding_stage(run: RunFolder) -> str:
    """The stage whose model makes the embeddings that the run's clusters are made of."""
    return "pretrain" if run.recipe().joint_training is None else "joint_training"


def check_chain(run: RunFolder) -> None:
    """MissingError unless the run's model, embeddings and centroids exist and were made from each other.

    Manifests alone are read, so that a run can predict where its training data are not.
    """
    needs = [("embed", "pretrain/model.json"), ("cluster", "embed/embeddings.npy")]
    stages = ["pretrain", "embed", "cluster"]
    if _embedding_stage(run) == "joint_training":
        needs += [("joint_training", "pretrain/model.json"), ("cluster", "joint_training/embeddings.npy")]
        stages.insert(2, "joint_training")
    for stage in stages:
        if run.manifest(stage) is None:
            raise MissingError(
                f"`{run.path}` cannot predict yet: stage `{stage}` is not done", hint=f"ncd run {run.path}"
            )
    for stage, file in needs:
        earlier, name = file.split("/")
        made, used = run.manifest(earlier), run.manifest(stage)
        assert made is not None
        assert used is not None
        if made.outputs[name].sha256 != used.inputs.get(file):
            raise MissingError(
                f"`{run.path}`: stage `{stage}` was made from an earlier `{earlier}`", hint=f"ncd run {run.path}"
            )
