"""Accuracy on held-out samples of known classes: what an epoch may be chosen by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ncdcli.data.samples import Samples
from ncdcli.models.backbone import Backbone
from ncdcli.models.inference import forward_batches
from ncdcli.objectives.base import Objective
from ncdcli.training.batches import Source


@dataclass(frozen=True)
class HeldOut:
    """Labelled rows, and the validation rows on which accuracy is measured. Both carry known classes only."""

    source: Source
    labelled: NDArray[np.int64]
    labelled_classes: NDArray[np.int64]
    validation: NDArray[np.int64]
    validation_classes: NDArray[np.int64]
    n_known: int

    @classmethod
    def of(cls, source: Source, samples: Samples) -> HeldOut:
        """The labelled and the held-out samples of a run."""
        labelled, validation = samples.rows("labelled"), samples.rows("validation")
        labels = samples.labels
        return cls(source, labelled, labels[labelled], validation, labels[validation], len(samples.known))

    def accuracy(self, backbone: Backbone, objective: Objective, device: torch.device) -> float:
        """Fraction of validation rows put in their class: by the objective's classifier, else by the nearest mean.

        Nearest means the greatest cosine with the mean of the unit-length embeddings of a class' labelled samples.
        """
        backbone.eval()
        objective.eval()
        features = self._features(backbone, self.validation, device)
        with torch.inference_mode():
            scores = objective.classify(features)
            if scores is None:
                scores = F.normalize(features, dim=1) @ self._means(backbone, device).T
        truth = torch.from_numpy(self.validation_classes).to(device)
        return float((scores.argmax(1) == truth).float().mean())

    def _means(self, backbone: Backbone, device: torch.device) -> Tensor:
        """(n_known, d) unit-length means; those of classes without a labelled sample are zero."""
        unit = F.normalize(self._features(backbone, self.labelled, device), dim=1)
        sums = torch.zeros(self.n_known, unit.shape[1], device=device)
        sums.index_add_(0, torch.from_numpy(self.labelled_classes).to(device), unit)
        return F.normalize(sums, dim=1)

    def _features(self, backbone: Backbone, rows: NDArray[np.int64], device: torch.device) -> Tensor:
        return torch.cat([features for _, features in forward_batches(backbone, self.source, rows, device=device)])
