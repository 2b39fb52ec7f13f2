"""RotNet: which way up an image is (Gidaris, Singh & Komodakis, ICLR 2018, arXiv 1803.07728)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ncdcli.objectives.base import Objective
from ncdcli.objectives.kinds import Rotation as Config


class Rotation(Objective):
    """Cross-entropy of a linear classifier of the four quarter turns, in all of which every image is shown."""

    turns = True

    def __init__(self, config: Config, *, dim: int, n_known: int) -> None:
        super().__init__(config, dim=dim, n_known=n_known)
        self.classifier = nn.Linear(dim, self.views)

    def forward(self, features: Sequence[Tensor], labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        logits = self.classifier(torch.cat(list(features))).float()
        turns = torch.arange(len(features), device=logits.device).repeat_interleave(len(labels))
        return F.cross_entropy(logits, turns), {"accuracy": (logits.argmax(1) == turns).float().mean()}
