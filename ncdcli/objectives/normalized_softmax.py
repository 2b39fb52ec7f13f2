"""Cross-entropy over scaled cosines: an embedding on the unit sphere."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ncdcli.objectives.base import Objective
from ncdcli.objectives.kinds import NormalizedSoftmax as Config


class NormalizedSoftmax(Objective):
    """Logits are `scale · cos(feature, class weight)` (NormFace, Wang et al. 2017, arXiv 1704.06369, eq. 6).

    Without the scale, cosines in [-1, 1] bound the loss from below; its size sets how tight classes become.
    """

    def __init__(self, config: Config, *, dim: int, n_known: int) -> None:
        super().__init__(config, dim=dim, n_known=n_known)
        self.scale = config.scale
        self.weight = nn.Parameter(torch.randn(n_known, dim))

    def forward(self, features: Sequence[Tensor], labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        logits = self.classify(torch.cat(list(features)))
        targets = labels.repeat(len(features))
        return F.cross_entropy(logits, targets), {"accuracy": (logits.argmax(1) == targets).float().mean()}

    def classify(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            return self.scale * F.linear(F.normalize(features.float(), dim=1), F.normalize(self.weight, dim=1))
