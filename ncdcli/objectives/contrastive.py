"""Contrastive losses between two views, as functions of unit-length projections."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def info_nce(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Mean over the 2b projections of `-log exp(z·z'/t) / Σ_{j≠i} exp(z·z_j/t)`, z' being the other view.

    `first` and `second` are (b, d) of unit length, row by row two views of one sample. The sum runs over the other
    2b − 1 projections of the batch, the positive among them (SimCLR's NT-Xent, arXiv 2002.05709, eq. 1; the
    unsupervised half of GCD's loss, arXiv 2201.02609, eq. 1).
    """
    with torch.autocast(first.device.type, enabled=False):
        projections = torch.cat([first, second]).float()
        similarity = (projections @ projections.T / temperature).fill_diagonal_(float("-inf"))
        positives = torch.arange(len(projections), device=first.device).roll(len(first))
        return F.cross_entropy(similarity, positives)


def supervised_contrastive(first: Tensor, second: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """SupCon: mean over projections of the mean over their positives of `-log exp(z·p/t) / Σ_{j≠i} exp(z·z_j/t)`.

    `first` and `second` are (b, d) of unit length, `labels` (b,) has no -1. Positives are the other view and both
    views of every other sample of the class, so a class with one sample still has one (Khosla et al. 2020,
    arXiv 2004.11362, eq. 2 with the mean outside the logarithm). Zero, with a gradient of zero, for an empty batch.
    """
    with torch.autocast(first.device.type, enabled=False):
        projections = torch.cat([first, second]).float()
        if len(projections) == 0:
            return projections.sum()
        targets = labels.repeat(2)
        others = ~torch.eye(len(projections), dtype=torch.bool, device=first.device)
        similarity = projections @ projections.T / temperature
        log_total = similarity.masked_fill(~others, float("-inf")).logsumexp(1, keepdim=True)
        positives = (targets[:, None] == targets[None, :]) & others
        log_probability = ((similarity - log_total) * positives).sum(1) / positives.sum(1)
        return -log_probability.mean()
