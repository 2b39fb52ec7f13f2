"""Softmax cross-entropy on labelled samples."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ncdcli.objectives.base import Objective
from ncdcli.objectives.kinds import CrossEntropy as Config


class CrossEntropy(Objective):
    """A linear classifier of the known classes, averaged over views."""

    def __init__(self, config: Config, *, dim: int, n_known: int) -> None:
        super().__init__(config, dim=dim, n_known=n_known)
        self.label_smoothing = config.label_smoothing
        self.unit_length = config.latent_norm == "l2"
        self.classifier = nn.Linear(dim, n_known)

    def forward(self, features: Sequence[Tensor], labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        logits = self.classify(torch.cat(list(features))).float()
        targets = labels.repeat(len(features))
        loss = F.cross_entropy(logits, targets, label_smoothing=self.label_smoothing)
        return loss, {"accuracy": (logits.argmax(1) == targets).float().mean()}

    def classify(self, features: Tensor) -> Tensor:
        return self.classifier(F.normalize(features, dim=1) if self.unit_length else features)
