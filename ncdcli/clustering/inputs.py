"""What the stages after `embed` read: samples, embeddings, logits, and which rows are clustered."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.base import Problem
from ncdcli.clustering.rows import require_finite
from ncdcli.data.samples import Samples
from ncdcli.errors import DataError
from ncdcli.words import counted


def read_inputs(inputs: Mapping[str, Path]) -> tuple[Samples, NDArray[Any]]:
    """Samples, and their (n, d) embeddings, memory-mapped and checked to be finite (DataError with row numbers).

    Those of `joint_training` where they are among the inputs, else those of `embed`.
    """
    samples = Samples.read(inputs["split/samples.csv"], inputs["split/classes.json"])
    path = inputs.get("joint_training/embeddings.npy") or inputs["embed/embeddings.npy"]
    embeddings = np.load(path, mmap_mode="r")
    if len(embeddings) != len(samples.keys):
        raise DataError(
            f"{counted(len(embeddings), 'embedding')} for {counted(len(samples.keys), 'sample')}",
            hint="run `ncd embed RUN --force` to make them again",
        )
    require_finite(embeddings)
    return samples, embeddings


def read_logits(inputs: Mapping[str, Path]) -> NDArray[Any] | None:
    """(n, k) what the classifier of `joint_training` says of each row, memory-mapped; None where there is none."""
    path = inputs.get("joint_training/logits.npy")
    return None if path is None else np.load(path, mmap_mode="r")


def clustering_problem(
    samples: Samples, embeddings: NDArray[Any], k: int | None, *, logits: NDArray[Any] | None = None
) -> Problem:
    """The problem of clustering the `clustered_rows`, in their order."""
    rows = clustered_rows(samples)
    domains = samples.domain_ids
    return Problem(
        embeddings=embeddings[rows],
        labels=samples.training_labels[rows],
        n_known=len(samples.known),
        k=k,
        novel_only=samples.setting == "ncd",
        domains=None if domains is None else domains[rows],
        logits=None if logits is None else logits[rows],
    )


def clustered_rows(samples: Samples) -> NDArray[np.int64]:
    """Ascending numbers of the rows that are counted and clustered.

    GCD: all but test rows; validation rows are part of the pool. NCD: labelled and unlabelled rows; validation rows
    belong to known classes there, and the pool may only be put in novel clusters.
    """
    if samples.setting == "ncd":
        return samples.rows("labelled", "unlabelled")
    return samples.rows("labelled", "validation", "unlabelled")
