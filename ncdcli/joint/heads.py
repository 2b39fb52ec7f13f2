"""Classifiers and projections between a backbone and the losses of joint methods."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ncdcli.objectives.heads import MlpHead


class CosineClassifier(nn.Module):
    """Cosines of features with one learnt direction for each class, divided by a temperature: (b, dim) -> (b, k).

    The rows of `weight` have any length; only their directions count, as in a weight-normalised linear layer whose
    gain is one and which has no bias.
    """

    def __init__(self, dim: int, k: int, *, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature
        self.weight = nn.Parameter(torch.empty(k, dim).uniform_(-1, 1) / dim**0.5)

    def forward(self, features: Tensor) -> Tensor:
        with torch.autocast(features.device.type, enabled=False):
            directions = F.normalize(self.weight.float(), dim=1)
            return F.linear(F.normalize(features.float(), dim=1), directions) / self.temperature

    @torch.no_grad()
    def set_directions(self, centres: Tensor) -> None:
        """Point each class to one of the (k, dim) centres."""
        self.weight.copy_(F.normalize(centres.to(self.weight), dim=1))


class Projector(nn.Module):
    """The GELU network of DINO's head and unit length after it: (b, dim) -> (b, out)."""

    def __init__(self, dim: int, *, hidden: int, out: int, layers: int) -> None:
        super().__init__()
        self.mlp = MlpHead(dim, hidden=hidden, out=out, layers=layers, activation=nn.GELU)
        for module in self.mlp:
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, features: Tensor) -> Tensor:
        return F.normalize(self.mlp(features).float(), dim=1)
