"""GCD's pretraining loss (Vaze et al., CVPR 2022, arXiv 2201.02609)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ncdcli.objectives.base import Objective
from ncdcli.objectives.contrastive import info_nce, supervised_contrastive
from ncdcli.objectives.heads import DinoHead, MlpHead
from ncdcli.objectives.kinds import SupConInfoNCE as Config


class SupConInfoNCE(Objective):
    """(1 − w) · InfoNCE over the whole batch + w · SupCon over its labelled samples, on the output of a head.

    GCD's head is that of DINO. As the released code has it, both losses act on the unit-length output of the last
    layer (65,536 wide), and the unsupervised temperature is 1.0, where the paper writes 0.07.
    """

    def __init__(self, config: Config, *, dim: int, n_known: int) -> None:
        super().__init__(config, dim=dim, n_known=n_known)
        self.weight = config.supervised_weight
        self.unsupervised_temperature = config.unsupervised_temperature
        self.supervised_temperature = config.supervised_temperature
        self.head = _head(config, dim)

    def forward(self, features: Sequence[Tensor], labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        projections = F.normalize(self.head(torch.cat(list(features))).float(), dim=1)
        first, second = projections.chunk(2)
        unsupervised = info_nce(first, second, self.unsupervised_temperature)
        labelled = labels >= 0
        supervised = supervised_contrastive(
            first[labelled], second[labelled], labels[labelled], self.supervised_temperature
        )
        loss = (1 - self.weight) * unsupervised + self.weight * supervised
        return loss, {"infonce": unsupervised.detach(), "supcon": supervised.detach()}


def _head(config: Config, dim: int) -> nn.Module:
    hidden, out, layers = config.head_hidden, config.head_out, config.head_layers
    if config.head == "mlp":
        return MlpHead(dim, hidden=hidden, out=out, layers=layers, activation=nn.GELU)
    return DinoHead(dim, hidden=hidden, bottleneck=config.head_bottleneck, out=out, layers=layers)
