"""Losses on predictions that joint methods share, as functions of logits or probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import torch
from torch import Tensor
from torch.nn import functional as F


def swapped_cross_entropy(logits: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
    """Mean over samples and ordered pairs of two views of the cross-entropy of one with the other's target.

    `logits` holds a (b, k) tensor for each of at least two views, `targets` probabilities for these or for the first of
    them: the other views then predict all of these.
    """
    terms = [
        -(target * F.log_softmax(other, dim=1)).sum(1).mean()
        for number, target in enumerate(targets)
        for position, other in enumerate(logits)
        if position != number
    ]
    return torch.stack(terms).mean()


def self_distillation(logits: Sequence[Tensor], *, sharpening: float) -> Tensor:
    """Cross-entropy of each view's prediction with the other view's, sharpened and without gradient.

    The prediction is the softmax of the logits, the target that of `sharpening` times the logits (SimGCD, Wen et al.,
    ICCV 2023, arXiv 2211.11727, eq. 3, where the sharpening is the ratio of the temperatures).
    """
    targets = [F.softmax(sharpening * view.detach(), dim=1) for view in logits]
    return swapped_cross_entropy(logits, targets)


def lack_of_mean_entropy(logits: Tensor) -> Tensor:
    """`log k − H(mean prediction)`, which is 0 where all (b, k) predictions together use each class equally."""
    mean = F.softmax(logits, dim=1).mean(0)
    return log(logits.shape[1]) + torch.xlogy(mean, mean).sum()


def labelled_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean cross-entropy of the rows with a label (>= 0); zero, with a gradient of zero, where there is none."""
    labelled = (labels >= 0).sum().clamp(min=1)
    return F.cross_entropy(logits, labels, ignore_index=-1, reduction="sum") / labelled
