"""Accuracy on the pool under its true classes, novel ones included: what `selection: oracle` chooses an epoch by.

Nothing else in a training may look at these. A stage is given the truth by `ncdcli.pipeline.spec.stages_of`, and only
where the recipe asks for the oracle by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ncdcli.clustering.restarts import best_of, fit
from ncdcli.data.samples import Samples
from ncdcli.errors import DataError
from ncdcli.metrics.contingency import contingency
from ncdcli.metrics.scores import gcd_v2
from ncdcli.metrics.truth import read_truth
from ncdcli.models.backbone import Backbone
from ncdcli.models.inference import forward_batches
from ncdcli.objectives.base import Objective
from ncdcli.training.batches import Source
from ncdcli.training.streams import Key, generator

RESTARTS, ITERATIONS = 3, 100  # of k-means


@dataclass(frozen=True)
class Oracle:
    """Rows of the pool and their true classes."""

    source: Source
    rows: NDArray[np.int64]
    classes: NDArray[np.int64]  # known ones 0 … n_known − 1
    n_known: int
    novel_only: bool  # the NCD setting: answers are novel classes
    stream: np.random.SeedSequence

    @classmethod
    def of(cls, source: Source, samples: Samples, truth_csv: Path | None, stream: np.random.SeedSequence) -> Oracle:
        """The pool of a run, as far as its classes are known. DataError where none is."""
        truth, rows = read_truth(samples, truth_csv), samples.rows("unlabelled")
        rows = rows[truth.classes[rows] >= 0]
        if not len(rows):
            raise DataError(
                "`selection: oracle` chooses by the true classes of the pool, and nobody knows any of them",
                hint="use `selection: last`, or `known-val` with `data.validation_fraction: 0.1`",
            )
        return cls(source, rows, truth.classes[rows], len(samples.known), samples.setting == "ncd", stream)

    def accuracy(self, backbone: Backbone, objective: Objective, device: torch.device) -> float:
        """Share of these rows that are right under the best matching of clusters to classes (`gcd_v2`, all classes).

        In the NCD setting, whose pool holds novel classes only, this is `ncd_task_aware`. The clusters are the answers
        of a classifier of known and novel classes; where there is none, k-means of unit-length embeddings, which is
        told the number of classes. What the stage `cluster` makes of the same embeddings may be other clusters.
        """
        backbone.eval()
        objective.eval()
        parts = forward_batches(backbone, self.source, self.rows, device=device)
        features = torch.cat([features for _, features in parts])
        with torch.inference_mode():
            scores = objective.classify(features) if objective.tells_novel else None
            clusters = self._divided(objective.embedding(features)) if scores is None else self._answers(scores)
        right = gcd_v2(contingency(clusters, self.classes), n_known=self.n_known)["all"]
        assert right is not None
        return right

    def _answers(self, scores: Tensor) -> NDArray[Any]:
        return (scores[:, self.n_known :] if self.novel_only else scores).argmax(1).cpu().numpy()

    def _divided(self, embeddings: Tensor) -> NDArray[Any]:
        rows = F.normalize(embeddings.float(), dim=1).cpu().numpy()
        k, rng = len(np.unique(self.classes)), generator(self.stream, Key.ORACLE)
        partitions = fit(rows, k, restarts=RESTARTS, iterations=ITERATIONS, rng=rng, seeding="greedy")
        return partitions[best_of(partitions)].labels
