"""PBN, projection-based novel class discovery (Troisemaine et al., DMKD 2024, arXiv 2311.05440)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ncdcli.models.backbone import Backbone
from ncdcli.objectives.base import Objective
from ncdcli.objectives.kinds import Pbn as Config


class Pbn(Objective):
    """w · cross-entropy of a linear classifier on labelled rows + (1 − w) · squared error of a mirrored decoder on all.

    The paper averages the squared errors over features (eq. 4); the released code sums them and averages over the
    batch only, so that the same w weighs reconstruction d times more. The published w belong to the sum. With
    `augment.noise` or `augment.mask` the decoder is to restore what was there before, which the paper does not do.
    """

    def __init__(self, config: Config, *, dim: int, n_known: int, decoder: nn.Module) -> None:
        super().__init__(config, dim=dim, n_known=n_known)
        self.weight = config.supervised_weight
        self.summed = config.recon == "sum"
        self.unit_length = config.latent_norm == "l2"
        self.decoder = decoder
        self.classifier = nn.Linear(dim, n_known)

    @classmethod
    def build(cls, config: Config, backbone: Backbone, *, n_known: int) -> Pbn:
        return cls(config, dim=backbone.dim, n_known=n_known, decoder=backbone.mirror())

    def forward(
        self,
        features: Sequence[Tensor],
        labels: Tensor,
        clean: Sequence[Tensor] = (),
        shown: Sequence[Tensor] = (),
    ) -> tuple[Tensor, dict[str, Tensor]]:
        latent = self._latent(_joined(features))
        targets = labels if len(features) == 1 else labels.repeat(len(features))
        logits = self.classifier(latent).float()
        # A batch without a labelled row has no cross-entropy, and its mean would not be a number.
        labelled = (targets >= 0).sum().clamp(min=1)
        supervised = F.cross_entropy(logits, targets, ignore_index=-1, reduction="sum") / labelled
        errors = F.mse_loss(self.decoder(latent).float(), _joined(clean).float(), reduction="sum")
        reconstruction = errors / (len(targets) if self.summed else clean[0].shape[1] * len(targets))
        loss = self.weight * supervised + (1 - self.weight) * reconstruction
        return loss, {"cross_entropy": supervised.detach(), "reconstruction": reconstruction.detach()}

    def classify(self, features: Tensor) -> Tensor:
        return self.classifier(self._latent(features))

    def _latent(self, features: Tensor) -> Tensor:
        return F.normalize(features, dim=1) if self.unit_length else features


def _joined(views: Sequence[Tensor]) -> Tensor:
    """All views in one tensor, without a copy where there is one only."""
    return views[0] if len(views) == 1 else torch.cat(list(views))
