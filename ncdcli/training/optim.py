"""Optimizers and the learning rate of an epoch."""

from __future__ import annotations

from collections.abc import Iterable
from math import cos, pi

import torch
from torch import nn

from ncdcli.objectives.kinds import Optimizer, Schedule

_FUSED = ("cpu", "cuda")  # devices on which AdamW has a fused step in every version of torch that is supported


def make_optimizer(config: Optimizer, modules: Iterable[nn.Module]) -> torch.optim.Optimizer:
    """SGD or AdamW over the parameters that require gradients.

    With `decay_norms_and_biases: false`, parameters of one dimension (biases, norm layers) are left out of the decay.
    """
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    exempt = [] if config.decay_norms_and_biases else [p for p in parameters if p.ndim <= 1]
    exempt_ids = set(map(id, exempt))
    groups = [
        {"params": [p for p in parameters if id(p) not in exempt_ids], "weight_decay": config.weight_decay},
        {"params": exempt, "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if config.kind == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum)
    # One pass over each parameter instead of nine: a quarter of a small network's step.
    fused = all(parameter.device.type in _FUSED for parameter in parameters)
    return torch.optim.AdamW(groups, lr=config.lr, fused=fused)


def learning_rate(config: Schedule, lr: float, epoch: int, epochs: int) -> float:
    """The learning rate of an epoch, counted from 0.

    Warm-up climbs linearly and reaches `lr` in its last epoch. The cosine then falls from `lr` towards
    `final_fraction · lr`, which it would reach one epoch after the last (SGDR, arXiv 1608.03983, eq. 5).
    """
    if epoch < config.warmup_epochs:
        return lr * (epoch + 1) / config.warmup_epochs
    if config.kind == "constant":
        return lr
    passed = (epoch - config.warmup_epochs) / max(1, epochs - config.warmup_epochs)
    return lr * (config.final_fraction + (1 - config.final_fraction) * (1 + cos(pi * passed)) / 2)
