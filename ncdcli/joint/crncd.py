"""crNCD, class-relation knowledge distillation (Gu et al., ICCV 2023, arXiv 2307.09158): UNO, taught by what it was.

Beside UNO's loss, what a frozen copy of the pretrained model says of a pool sample, as a distribution over the known
classes, is kept: the present model's scores of the known classes must go on saying it. The term counts more for samples
that the present model takes for known ones, for these are related to known classes.

Differences from the released code: the frozen classifier is the class means of the pretrained embeddings, with which
the present one starts as well, where the code goes on with that of its supervised pretraining (`pretrain` keeps none).
As in the code there are no over-clustering heads, unless they are asked for, and small crops have no relations.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ncdcli.clustering.base import Problem
from ncdcli.joint.base import Task
from ncdcli.joint.heads import CosineClassifier
from ncdcli.joint.kinds import CrNcd as Config
from ncdcli.joint.moving import frozen_copy
from ncdcli.joint.uno import Uno
from ncdcli.models.backbone import Backbone


class CrNcd(Uno):
    """UNO + α · gated distillation of class relations (section 3.3, eq. 4 to 7)."""

    def __init__(self, config: Config, *, dim: int, task: Task, before: Backbone) -> None:
        super().__init__(config, dim=dim, task=task)
        self.relation = config
        self.before = before
        self.known_before = frozen_copy(CosineClassifier(dim, task.n_known, temperature=config.temperature))

    @classmethod
    def make(cls, config: Config, backbone: Backbone, *, task: Task) -> CrNcd:
        return cls(config, dim=backbone.dim, task=task, before=frozen_copy(backbone))

    def start(self, problem: Problem, rng: np.random.Generator) -> None:
        super().start(problem, rng)
        self.known_before.set_directions(self.head.known.weight)

    def second_backbone(self) -> Backbone | None:
        return self.before

    def train(self, mode: bool = True) -> CrNcd:
        super().train(mode)
        self.before.eval()  # dropout included, which has no parameter that could be frozen
        return self

    def forward(
        self, features: Sequence[Tensor], labels: Tensor, *, second: Sequence[Tensor] = ()
    ) -> tuple[Tensor, dict[str, Tensor]]:
        scores, parts = self.unified(features, labels)
        loss, pool = torch.stack(list(parts.values())).mean(), labels < 0
        terms = [
            self.relations([views[number][pool] for views in scores], before[pool])
            for number, before in enumerate(second)
        ]
        parts["relations"] = torch.stack(terms).mean()
        loss = loss + self.relation.relation_weight * parts["relations"]
        return loss, {name: part.detach() for name, part in parts.items()}

    def relations(self, scores: Sequence[Tensor], before: Tensor) -> Tensor:
        """Mean of T² · gate · cross-entropy of the known classes' scores with the frozen ones; 0 for no sample.

        `scores` holds the (b, k) of each novel head, `before` the (b, dim) frozen features of the same view. The gate
        is the probability that a sample is of any known class, over its mean in the batch, without gradient. Both are
        over temperature T times the classifier's own; with several heads, the gate is their mean.
        """
        if len(before) == 0:
            return scores[0].sum()
        softness, n_known = self.relation.relation_temperature, self.task.n_known
        target = F.softmax(self.known_before(before) / softness, dim=1)
        entropy = -(target * F.log_softmax(scores[0][:, :n_known] / softness, dim=1)).sum(1)
        with torch.no_grad():
            gates = [F.softmax(head / softness, dim=1)[:, :n_known].sum(1) for head in scores]
            gate = torch.stack(gates).mean(0)
        return softness**2 * (gate / gate.mean() * entropy).mean()
