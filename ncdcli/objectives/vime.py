"""VIME's self-supervised half (Yoon et al., NeurIPS 2020): which features were exchanged, and what stood there."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ncdcli.models.backbone import Backbone
from ncdcli.objectives.base import Objective
from ncdcli.objectives.kinds import Vime as Config


class Vime(Objective):
    """Two linear layers on the embedding: mean squared error of the values, binary cross-entropy of the mask.

    `augment.mask` is the paper's p_m, and draws a feature's other value from its training rows. A feature that drew the
    value it had counts as not masked, as nobody could tell. VIME weighs values twice as much as the mask, and so does
    the released code of TabularNCD (Troisemaine et al., ICKG 2022), whose text weighs the mask twice as much.
    """

    def __init__(self, config: Config, *, dim: int, n_known: int, n_inputs: int) -> None:
        super().__init__(config, dim=dim, n_known=n_known)
        self.value_weight, self.mask_weight = config.value_weight, config.mask_weight
        self.values = nn.Linear(dim, n_inputs)
        self.mask = nn.Linear(dim, n_inputs)

    @classmethod
    def build(cls, config: Config, backbone: Backbone, *, n_known: int) -> Vime:
        assert backbone.n_inputs is not None  # recipes with other backbones are refused
        return cls(config, dim=backbone.dim, n_known=n_known, n_inputs=backbone.n_inputs)

    def forward(
        self,
        features: Sequence[Tensor],
        labels: Tensor,
        clean: Sequence[Tensor] = (),
        shown: Sequence[Tensor] = (),
    ) -> tuple[Tensor, dict[str, Tensor]]:
        embeddings, before, after = (torch.cat(list(views)) for views in (features, clean, shown))
        values = F.mse_loss(self.values(embeddings).float(), before.float())
        masked = (before != after).float()
        mask = F.binary_cross_entropy_with_logits(self.mask(embeddings).float(), masked)
        loss = self.value_weight * values + self.mask_weight * mask
        return loss, {"values": values.detach(), "mask": mask.detach()}
