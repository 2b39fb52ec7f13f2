"""UNO: a unified objective for novel class discovery (Fini et al., ICCV 2021, arXiv 2108.08536).

One cross-entropy over known and novel classes. The target of a labelled sample is its class; that of a pool sample is
an assignment to novel classes that fills them equally in the batch (Sinkhorn-Knopp), and each view predicts the target
of the other one. Several novel heads, and as many that over-cluster, are trained side by side.

With `augment.small_crops` (the released code's `--multicrop`), views that show less of the image predict the targets of
both full ones, and make none.

Differences from the released code: prototypes are scaled to unit length when they are used in place of after each step;
and the known ones start from the class means of the pretrained embeddings, where the code goes on with the classifier
of its supervised pretraining, which our `pretrain` does not keep.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ncdcli.clustering.base import Problem
from ncdcli.joint.base import JointMethod, Task
from ncdcli.joint.kinds import Uno as Config
from ncdcli.joint.losses import swapped_cross_entropy
from ncdcli.joint.novel_heads import OpenHeads, PrototypeHead, class_directions
from ncdcli.joint.sinkhorn import sinkhorn
from ncdcli.objectives.base import EpochFacts


class Uno(JointMethod):
    """Half of the swapped cross-entropy of the novel heads and half of that of the over-clustering ones (eq. 1)."""

    refreshes = True

    def __init__(self, config: Config, *, dim: int, task: Task) -> None:
        super().__init__(config, dim=dim, task=task)
        self.config = config
        sizes: Any = {"hidden": config.hidden, "out": config.projection, "temperature": config.temperature}
        self.head = OpenHeads(dim, n_known=task.n_known, n_novel=task.n_novel, heads=config.heads, **sizes)
        wide = round(task.n_novel * config.overcluster_factor)
        count = config.heads if config.overcluster_factor else 0
        self.wide = nn.ModuleList(PrototypeHead(dim, wide, **sizes) for _ in range(count))

    def start(self, problem: Problem, rng: np.random.Generator) -> None:
        embeddings, labels = torch.from_numpy(np.asarray(problem.embeddings)), torch.from_numpy(problem.labels)
        self.head.known.set_directions(class_directions(embeddings, labels, problem.n_known))

    def refresh(self, facts: EpochFacts) -> None:
        self.head.losses.zero_()

    def forward(self, features: Sequence[Tensor], labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        _, parts = self.unified(features, labels)
        loss = torch.stack(list(parts.values())).mean()
        return loss, {name: part.detach() for name, part in parts.items()}

    def unified(self, features: Sequence[Tensor], labels: Tensor) -> tuple[list[list[Tensor]], dict[str, Tensor]]:
        """(b, k) scores of each view by each novel head, `scores[head][view]`, and the losses that UNO averages."""
        scores = self.scores(features)
        clusters = self.swapped(scores, labels)
        self.head.losses += clusters.detach()
        parts = {"clusters": clusters.mean()}
        if len(self.wide):
            parts["overclusters"] = self.swapped(self.scores(features, self.wide), labels).mean()
        return scores, parts

    def scores(self, features: Sequence[Tensor], heads: nn.ModuleList | None = None) -> list[list[Tensor]]:
        """(b, n_known + …) scores of each view by each of the `heads`, whose batch norms see one size at a time."""
        sizes = [views for views in (features[: self.views], features[self.views :]) if len(views)]
        joined = [self.head.all_scores(torch.cat(list(views)), heads) for views in sizes]
        return [
            [view for size, views in zip(of_head, sizes, strict=True) for view in size.chunk(len(views))]
            for of_head in zip(*joined, strict=True)
        ]

    def swapped(self, scores: Sequence[Sequence[Tensor]], labels: Tensor) -> Tensor:
        """(heads,) swapped cross-entropy of each head's scores of views, of which the full ones make targets."""
        losses = []
        for views in scores:
            targets = [self.targets(view, labels) for view in views[: self.views]]
            losses.append(swapped_cross_entropy(views, targets))
        return torch.stack(losses)

    @torch.no_grad()
    def targets(self, scores: Tensor, labels: Tensor) -> Tensor:
        """(b, n_known + …) the class of labelled rows, an even assignment to novel classes of the others."""
        n_known, labelled = self.task.n_known, labels >= 0
        targets = torch.zeros_like(scores)
        targets[labelled, :n_known] = F.one_hot(labels[labelled], n_known).to(targets)
        cosines = scores[~labelled, n_known:] * self.config.temperature
        even = sinkhorn(cosines, epsilon=self.config.epsilon, iterations=self.config.iterations)
        targets[~labelled, n_known:] = even.to(targets)
        return targets

    def logits(self, features: Tensor) -> Tensor:
        return self.head(features)
