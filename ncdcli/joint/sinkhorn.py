"""Targets that use every cluster equally: Sinkhorn-Knopp."""

from __future__ import annotations

import torch
from torch import Tensor


@torch.no_grad()
def sinkhorn(scores: Tensor, *, epsilon: float = 0.05, iterations: int = 3) -> Tensor:
    """(b, k) assignments, each row summing to 1, whose columns are about equally full.

    Rows and columns of `exp(scores / epsilon)` are scaled in turn (Cuturi 2013; as in SwAV, Caron et al. 2020,
    arXiv 2006.09882, section 3.1). Computed in logarithms and float32, so that no score overflows. An empty batch has
    an empty answer.
    """
    if len(scores) == 0:
        return scores.float()
    logarithms = scores.float() / epsilon
    for _ in range(iterations):
        logarithms = logarithms - logarithms.logsumexp(0, keepdim=True)  # columns
        logarithms = logarithms - logarithms.logsumexp(1, keepdim=True)  # rows
    return logarithms.exp()
