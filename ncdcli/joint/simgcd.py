"""SimGCD: parametric classification for generalized category discovery (Wen, Zhao & Qi, ICCV 2023, arXiv 2211.11727).

A cosine classifier over known and novel classes stands on the backbone. Each view of a sample teaches the other one by
its sharpened prediction (the network itself is the teacher), the mean prediction is held near uniform, labelled samples
add cross-entropy, and GCD's two contrastive losses go on beside it, behind a projector. The answer is the argmax.

Where the paper and the released code differ we follow the code: InfoNCE has temperature 1, and the temperature of the
teacher warms up from 0.07 to 0.04. Starting the classifier from k-means centroids (`start: clusters`) is ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from ncdcli.clustering.base import Problem
from ncdcli.joint.base import JointMethod, Task
from ncdcli.joint.contrast import contrast, detached, make_projector
from ncdcli.joint.contrast_kinds import ContrastSection
from ncdcli.joint.heads import CosineClassifier
from ncdcli.joint.kinds import SimGCD as Config
from ncdcli.joint.losses import labelled_cross_entropy, lack_of_mean_entropy, self_distillation
from ncdcli.joint.ramps import linear_ramp
from ncdcli.joint.start import cluster_centroids


class SelfTaught(JointMethod):
    """(1 − w) · (self-distillation + ε · me-max + InfoNCE) + w · (cross-entropy + SupCon), section 3.2 and eq. 6."""

    def __init__(self, config: ContrastSection, *, dim: int, task: Task) -> None:
        super().__init__(config, dim=dim, task=task)
        self.config = config
        self.head = CosineClassifier(dim, task.given_k, temperature=config.temperature)
        self.projector = make_projector(config, dim)

    def start(self, problem: Problem, rng: np.random.Generator) -> None:
        if self.config.start == "clusters":
            self.head.set_directions(cluster_centroids(problem, rng))

    def forward(self, features: Sequence[Tensor], labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        both, weight = torch.cat(list(features)), self.config.supervised_weight
        logits = self.head(both)
        parts = {
            "distillation": self.distillation(logits.chunk(2)),
            "memax": lack_of_mean_entropy(logits),
            "cross_entropy": labelled_cross_entropy(logits, labels.repeat(2)),
            **contrast(self.projector, both, labels, self.config),
        }
        unsupervised = parts["distillation"] + self.config.memax_weight * parts["memax"] + parts["infonce"]
        loss = (1 - weight) * unsupervised + weight * (parts["cross_entropy"] + parts["supcon"])
        return loss, detached(parts)

    def distillation(self, logits: Sequence[Tensor]) -> Tensor:
        """How far each view's prediction is from what the other one teaches, given (b, k) logits of both."""
        raise NotImplementedError

    def logits(self, features: Tensor) -> Tensor:
        return self.head(features)


class SimGCD(SelfTaught):
    """The teacher is the other view's prediction, sharpened, and ever more so."""

    config: Config

    def __init__(self, config: Config, *, dim: int, task: Task) -> None:
        super().__init__(config, dim=dim, task=task)
        self.begin_epoch(0, 1)

    def begin_epoch(self, number: int, epochs: int) -> None:
        config = self.config
        first, last = config.teacher_first_temperature, config.teacher_temperature
        teacher = linear_ramp(first, last, epoch=number, epochs=config.teacher_warmup_epochs)
        self.sharpening = config.temperature / teacher

    def distillation(self, logits: Sequence[Tensor]) -> Tensor:
        return self_distillation(logits, sharpening=self.sharpening)
