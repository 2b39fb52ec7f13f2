"""SimCLR (Chen et al., ICML 2020, arXiv 2002.05709): two views of every sample, no labels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ncdcli.objectives.base import Objective
from ncdcli.objectives.contrastive import info_nce
from ncdcli.objectives.heads import MlpHead
from ncdcli.objectives.kinds import SimCLR as Config


class SimCLR(Objective):
    """NT-Xent on the unit-length output of a two-layer head."""

    def __init__(self, config: Config, *, dim: int, n_known: int) -> None:
        super().__init__(config, dim=dim, n_known=n_known)
        self.temperature = config.temperature
        self.head = MlpHead(dim, hidden=config.head_hidden, out=config.head_out)

    def forward(self, features: Sequence[Tensor], labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        first, second = F.normalize(self.head(torch.cat(list(features))).float(), dim=1).chunk(2)
        return info_nce(first, second, self.temperature), {}
