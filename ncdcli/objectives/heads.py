"""Projection heads between a backbone and a contrastive loss."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DinoHead(nn.Module):
    """The head of DINO (Caron et al. 2021): a GELU network, unit length, then a weight-normalised linear layer.

    The rows of the last layer have unit length throughout (a weight norm whose gain is fixed at one), and it has no
    bias, so that every output is a cosine. (b, dim) -> (b, out), not normalised.
    """

    def __init__(self, dim: int, *, hidden: int, bottleneck: int, out: int, layers: int) -> None:
        super().__init__()
        widths = [dim, *[hidden] * (layers - 1), bottleneck]
        modules: list[nn.Module] = []
        for before, after in pairwise(widths):
            modules += [nn.Linear(before, after), nn.GELU()]
        self.mlp = nn.Sequential(*modules[:-1])
        for module in self.mlp:
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
        self.prototypes = nn.Parameter(torch.empty(out, bottleneck).uniform_(-1, 1) / bottleneck**0.5)

    def forward(self, features: Tensor) -> Tensor:
        bottleneck = F.normalize(self.mlp(features), dim=1)
        return F.linear(bottleneck, F.normalize(self.prototypes, dim=1))


class MlpHead(nn.Sequential):
    """SimCLR's head: linear layers with ReLU (or another activation) between them. (b, dim) -> (b, out)."""

    def __init__(
        self, dim: int, *, hidden: int, out: int, layers: int = 2, activation: type[nn.Module] = nn.ReLU
    ) -> None:
        modules: list[nn.Module] = []
        for before, after in pairwise([dim, *[hidden] * (layers - 1), out]):
            modules += [nn.Linear(before, after), activation()]
        super().__init__(*modules[:-1])
