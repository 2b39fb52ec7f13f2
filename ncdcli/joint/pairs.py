"""Learning to cluster from pairs: what KCL and MCL share.

Hsu, Lv & Kira, "Learning to cluster in order to transfer across domains and tasks" (ICLR 2018, arXiv 1711.10125). A
similarity prediction network learns from the known classes whether two samples are of one class; what it says of the
pairs of a batch then teaches a softmax classifier of the novel classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ncdcli.clustering.base import Problem
from ncdcli.joint.base import JointMethod, Task
from ncdcli.joint.gate import Gate
from ncdcli.joint.kinds import PairSection
from ncdcli.joint.moving import frozen_copy
from ncdcli.models.backbone import Backbone
from ncdcli.objectives.base import EpochFacts

RATE = 1e-3  # of Adam, for the similarity network, as published


class PairNetwork(nn.Module):
    """Whether two samples are of one class: (b, d) and (c, d) features -> (b · c, 2) logits, the second for yes.

    A linear layer to 4 d, batch norm, ReLU, a linear layer to 2. The first layer sees the two unit-length features side
    by side, as published, or the absolute values of their difference.
    """

    def __init__(self, dim: int, *, compares: str) -> None:
        super().__init__()
        self.compares = compares
        self.first = nn.Linear(dim, 4 * dim)
        self.second = nn.Linear(dim, 4 * dim, bias=False) if compares == "concatenation" else None
        self.norm, self.answer = nn.BatchNorm1d(4 * dim), nn.Linear(4 * dim, 2)

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        one, other = F.normalize(one, dim=1), F.normalize(other, dim=1)
        if self.second is not None:  # applied to each sample and not to each pair, which is the same
            pairs = self.first(one)[:, None] + self.second(other)[None]
        else:
            pairs = self.first((one[:, None] - other[None]).abs())
        return self.answer(F.relu(self.norm(pairs.flatten(0, 1))))


class PairMethod(JointMethod):
    """A loss on the pairs of pool rows in a batch, given which of them a frozen network holds for similar.

    The similarity network is the backbone as training finds it, frozen, and a `PairNetwork` that is trained on its
    features of the labelled samples when the first epoch begins. In the released code backbone and pairs are trained
    together, on pairs alone; here the backbone is what `pretrain` made of it, by any objective, so that other methods
    can start from it too. As published, the batch norm of the network sees the batch at hand. `asks_about: samples` is
    ours: the network, which learns from labelled samples undisturbed, is asked about the pool's undisturbed, by the
    embeddings that `embed` wrote, and no second backbone has to see the views.

    Features side by side let the network learn known classes by heart where these are few: trained on three digits, it
    finds none of the similar pairs of two others, and 98 % of them by the difference of features. Hence our default.
    """

    kept = ("head", "gate")
    refreshes = True
    embeddings: Tensor | None

    def __init__(self, config: PairSection, *, dim: int, task: Task, backbone: Backbone) -> None:
        super().__init__(config, dim=dim, task=task)
        self.config = config
        self.head, self.gate = nn.Linear(dim, task.n_novel), Gate(dim, task.n_known)
        self.pairs = PairNetwork(dim, compares=config.compares).requires_grad_(False)
        self.uses_positions = config.asks_about == "samples"
        self.teacher = None if self.uses_positions else frozen_copy(backbone)
        self.register_buffer("embeddings", None)

    @classmethod
    def make(cls, config: Any, backbone: Backbone, *, task: Task) -> PairMethod:
        return cls(config, dim=backbone.dim, task=task, backbone=backbone)

    def pair_loss(self, one: Tensor, other: Tensor, similar: Tensor) -> Tensor:
        """(p,) losses, given (p, n_novel) log-probabilities of both samples, and which of the pairs are similar."""
        raise NotImplementedError

    def start(self, problem: Problem, rng: np.random.Generator) -> None:
        """Keep the embeddings, where these are what the network is asked about."""
        if self.uses_positions:
            self.embeddings = torch.from_numpy(problem.embeddings)

    def second_backbone(self) -> Backbone | None:
        return self.teacher

    def refresh(self, facts: EpochFacts) -> None:
        """Train the pair network, once."""
        if facts.number == 0:
            labelled = facts.labels >= 0
            features = facts.features() if self.embeddings is None else self.embeddings
            rows = features[labelled].clone()  # ones that may be trained on
            train_pairs(self.pairs, rows, facts.labels[labelled], self.config, facts.rng)

    def forward(
        self,
        features: Sequence[Tensor],
        labels: Tensor,
        *,
        second: Sequence[Tensor] = (),
        positions: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        pool = labels < 0
        gate = self.gate.loss(features[0], labels)
        asked = second[0] if self.embeddings is None else self.embeddings[positions]
        similar = self.similar(asked[pool])
        log_p = F.log_softmax(self.head(features[0][pool]).float(), dim=1)
        n = len(log_p)
        if n < 2:
            return gate + log_p.sum() * 0.0, {"gate": gate.detach()}
        losses = self.pair_loss(log_p.repeat_interleave(n, 0), log_p.repeat(n, 1), similar)
        loss, share = losses.mean(), similar.float().mean()
        return loss + gate, {"pairs": loss.detach(), "gate": gate.detach(), "similar": share}

    @torch.no_grad()
    def similar(self, features: Tensor) -> Tensor:
        """(b · b,) whether the network holds each ordered pair for one class; a sample is similar to itself, too."""
        if len(features) < 2:
            return torch.zeros(len(features) ** 2, dtype=torch.bool, device=features.device)
        return self.pairs(features, features).argmax(1) == 1

    def logits(self, features: Tensor) -> Tensor:
        return self.gate(features, self.head(features))


@torch.enable_grad()
def train_pairs(
    network: PairNetwork, features: Tensor, labels: Tensor, config: PairSection, rng: np.random.Generator
) -> None:
    """Train the network on all ordered pairs of each batch of labelled rows, by cross-entropy.

    As published: Adam, batches of 100, the learning rate a tenth after 3 / 5 and again after 4 / 5 of the epochs.
    """
    network.requires_grad_(True).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    epochs, size = config.pair_epochs, config.pair_batch_size
    for epoch in range(epochs):
        for group in optimizer.param_groups:
            group["lr"] = RATE * 0.1 ** ((5 * epoch >= 3 * epochs) + (5 * epoch >= 4 * epochs))
        for drawn in pair_batches(labels.cpu().numpy(), size, config.pair_classes, rng):
            batch = torch.from_numpy(drawn).to(labels.device)
            rows, classes = features[batch], labels[batch]
            same = (classes[:, None] == classes[None]).flatten().long()
            loss = F.cross_entropy(network(rows, rows), same)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    network.requires_grad_(False)
    network.zero_grad(set_to_none=True)


def pair_batches(
    labels: NDArray[np.int64], size: int, classes: int | None, rng: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Rows of an epoch's batches, of two at least: each row once, or as many batches of so many classes each.

    In the latter, as in the released code, classes are drawn without and their rows with replacement, equally many of
    each.
    """
    if classes is None or classes >= len(np.unique(labels)):
        order = rng.permutation(len(labels))
        yield from (batch for batch in np.split(order, range(size, len(order), size)) if len(batch) > 1)
        return
    rows = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    each = max(1, size // classes)
    for _ in range(max(1, len(labels) // size)):
        chosen = rng.choice(len(rows), size=classes, replace=False)
        yield np.concatenate([rng.choice(rows[number], size=each) for number in chosen])
