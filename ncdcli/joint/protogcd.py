"""ProtoGCD: unified and unbiased prototype learning (Ma, Zhu, Zhang & Liu, TPAMI 2025, arXiv 2504.03755).

SimGCD's model and losses, with another teacher and one more term. Of the predictions of a batch, the surest are turned
into hard pseudo-labels and the others stay soft; the share of hard ones grows from none to all. The term drives the
classifier's prototypes apart.

Sure is a prediction whose greatest probability is many times its second one, which no temperature changes the order of.
We rank the predictions of both views of a batch together; the paper does not say whether views are ranked apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ncdcli.joint.base import Task
from ncdcli.joint.kinds import ProtoGCD as Config
from ncdcli.joint.losses import swapped_cross_entropy
from ncdcli.joint.simgcd import SelfTaught


class ProtoGCD(SelfTaught):
    """(1 − w) · (pseudo-labels + ε · me-max + InfoNCE + λ · separation) + w · (cross-entropy + SupCon)."""

    config: Config

    def __init__(self, config: Config, *, dim: int, task: Task) -> None:
        super().__init__(config, dim=dim, task=task)
        self.begin_epoch(0, 1)

    def begin_epoch(self, number: int, epochs: int) -> None:
        ramp = self.config.hard_ramp_epochs
        self.hard_share = min(number / ramp, 1.0) if ramp else 1.0

    def forward(self, features: Sequence[Tensor], labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        loss, parts = super().forward(features, labels)
        nearness = nearness_of_prototypes(self.head.weight, temperature=self.config.temperature)
        share = (1 - self.config.supervised_weight) * self.config.separation_weight
        return loss + share * nearness, {**parts, "nearness": nearness.detach()}

    def distillation(self, logits: Sequence[Tensor]) -> Tensor:
        sharpening = self.config.temperature / self.config.teacher_temperature
        targets = adaptive_targets(torch.cat(list(logits)), sharpening=sharpening, hard_share=self.hard_share)
        return swapped_cross_entropy(logits, targets.chunk(len(logits)))


@torch.no_grad()
def adaptive_targets(logits: Tensor, *, sharpening: float, hard_share: float) -> Tensor:
    """(b, k) pseudo-labels: one-hot for the share of rows (rounded down) that is surest, soft for the others.

    Soft is the softmax of `sharpening` times the logits. Section 3 of the paper, "dual-level adaptive
    pseudo-labeling".
    """
    targets = F.softmax(sharpening * logits.float(), dim=1)
    if logits.shape[1] > 1:
        first, second = logits.float().topk(2, dim=1).values.unbind(1)
        order = (first - second).argsort(descending=True, stable=True)
    else:
        order = torch.arange(len(logits), device=logits.device)
    surest = order[: int(hard_share * len(logits))]
    targets[surest] = F.one_hot(logits[surest].argmax(1), logits.shape[1]).to(targets)
    return targets


def nearness_of_prototypes(weight: Tensor, *, temperature: float) -> Tensor:
    """Mean over prototypes of the log of the mean over the others of exp(cosine / temperature); 0 for a single one."""
    directions = F.normalize(weight.float(), dim=1)
    others = len(directions) - 1
    if others == 0:
        return weight.sum() * 0.0
    cosines = (directions @ directions.T / temperature).fill_diagonal_(float("-inf"))
    return (cosines.logsumexp(1) - torch.log(cosines.new_tensor(float(others)))).mean()
