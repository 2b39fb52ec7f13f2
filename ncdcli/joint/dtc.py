"""DTC: learning to discover novel visual categories via deep transfer clustering (Han, Vedaldi & Zisserman, ICCV 2019).

Deep embedded clustering of the pool, from a network that was trained on the known classes (arXiv 1908.09884). Features
of the pool are brought to as many dimensions as there are novel classes by PCA, and k-means gives the centres. From
then on network, projection and centres are trained so that soft assignments (Student's t) approach sharper ones, which
are renewed every few epochs. Four variants: nothing else (`baseline`); two views agree (`pi`); assignments agree with
their moving average over epochs (`te`); the sharper ones are made of that average (`tep`).

Where we differ: the released code draws the projection anew and lets a warm-up bring it to the targets of the start; we
set it to the PCA. DTC knows no known classes when it is done; here a `Gate` beside it does, and changes nothing of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ncdcli.clustering.base import Problem
from ncdcli.clustering.restarts import fit
from ncdcli.joint.base import JointMethod, Task
from ncdcli.joint.gate import Gate
from ncdcli.joint.kinds import Dtc as Config
from ncdcli.joint.ramps import sigmoid_ramp
from ncdcli.objectives.base import EpochFacts

AVERAGED = 0.6  # share of the past in the moving average over epochs, as published


class Dtc(JointMethod):
    """KL(targets ‖ assignments) + w(t) · squared difference to those of another view, or to their average."""

    kept = ("projection", "centres", "gate")
    uses_positions = True
    refreshes = True
    outputs: Tensor
    average: Tensor
    targets: Tensor

    def __init__(self, config: Config, *, dim: int, task: Task) -> None:
        super().__init__(config, dim=dim, task=task)
        self.config = config
        self.views = 2 if config.variant == "pi" else 1
        self.projection = nn.Linear(dim, task.n_novel)
        self.centres = nn.Parameter(torch.zeros(task.n_novel, task.n_novel))
        self.gate = Gate(dim, task.n_known)
        self.begin_epoch(0, 1)

    def start(self, problem: Problem, rng: np.random.Generator) -> None:
        """Make room for what is remembered of each sample."""
        for name in ("outputs", "average", "targets"):
            self.register_buffer(name, torch.zeros(len(problem.labels), self.task.n_novel))

    def begin_epoch(self, number: int, epochs: int) -> None:
        config = self.config
        since = number - config.warmup_epochs
        ramp = sigmoid_ramp(epoch=since, epochs=config.rampup_epochs)
        self.consistency = config.consistency_weight * ramp if since >= 0 else 0.0
        self.epoch = number

    @torch.no_grad()
    def refresh(self, facts: EpochFacts) -> None:
        """Begin with PCA and k-means; later renew the average and, every few epochs, the targets."""
        pool = facts.labels < 0
        if facts.number == 0:
            self._begin(facts.features().clone(), facts.labels, facts.rng)
        self.average.lerp_(self.outputs, 1 - AVERAGED)
        since = facts.number - self.config.warmup_epochs
        if facts.number == 0 or (since >= 0 and since % self.config.refresh_epochs == 0):
            source = self._past() if self.config.variant == "tep" else self.outputs
            self.targets[pool] = sharpened(source[pool])

    def forward(  # type: ignore[override]
        self, features: Sequence[Tensor], labels: Tensor, *, positions: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        pool = labels < 0
        projected = [self.projection(view).float() for view in features]
        found = F.softmax(student(projected[0][pool], self.centres), dim=1)
        rows = positions[pool]
        self.outputs[rows] = found.detach()
        targets = self.targets[rows]
        n = max(len(rows), 1)
        divergence = (torch.xlogy(targets, targets) - targets * found.clamp(min=1e-12).log()).sum() / n
        agreement = self._disagreement(found, projected, pool, rows)
        gate = self.gate.loss(features[0], labels)
        loss = divergence + self.consistency * agreement + gate
        return loss, {"divergence": divergence.detach(), "disagreement": agreement.detach(), "gate": gate.detach()}

    def logits(self, features: Tensor) -> Tensor:
        return self.gate(features, student(self.projection(features).float(), self.centres))

    def _begin(self, features: Tensor, labels: Tensor, rng: np.random.Generator) -> None:
        """Set projection and centres by PCA and k-means of the pool, and every answer to what these give."""
        pool = labels < 0
        weight, bias = principal_projection(features[pool], self.task.n_novel)
        self.projection.weight.copy_(weight)
        self.projection.bias.copy_(bias)
        projected = self.projection(features)
        rows = projected[pool].cpu().numpy()
        partitions = fit(rows, self.task.n_novel, restarts=self.config.restarts, iterations=300, rng=rng)
        best = min(partitions, key=lambda partition: partition.objective)
        self.centres.copy_(torch.from_numpy(best.centres).to(self.centres))
        self.outputs.copy_(F.softmax(student(projected, self.centres), dim=1))

    def _past(self) -> Tensor:
        """(n, n_novel) moving average of the answers over epochs, without the zeros that it began with."""
        return self.average / (1 - AVERAGED ** (self.epoch + 1))

    def _disagreement(self, found: Tensor, projected: Sequence[Tensor], pool: Tensor, rows: Tensor) -> Tensor:
        """Mean squared difference of assignments to those of the second view, or to their average over epochs."""
        if self.config.variant == "pi":
            other = F.softmax(student(projected[1][pool], self.centres), dim=1)
        elif self.config.variant == "te":
            other = self._past()[rows]
        else:
            return found.sum() * 0.0
        return (found - other).square().sum() / max(found.numel(), 1)


def student(rows: Tensor, centres: Tensor) -> Tensor:
    """(b, k) logits whose softmax is the assignment by Student's t with one degree of freedom: −log(1 + distance²)."""
    with torch.autocast(rows.device.type, enabled=False):
        squared = (rows[:, None] - centres[None]).square().sum(2) if len(rows) else rows @ centres.T
        return -torch.log1p(squared)


def sharpened(assignments: Tensor) -> Tensor:
    """(n, k) targets: squares of the assignments over the size of their cluster, scaled to a sum of 1 a row (eq. 2)."""
    squares = assignments.square() / assignments.sum(0).clamp(min=1e-12)
    return squares / squares.sum(1, keepdim=True)


def principal_projection(rows: Tensor, dimensions: int) -> tuple[Tensor, Tensor]:
    """(dimensions, d) weight and bias of the projection to principal components; those that are missing are zero.

    Components are in the order of their variance, and their sign is that of their largest value: both the same
    whatever the library.
    """
    values = rows.double()
    mean = values.mean(0)
    centred = values - mean
    _, vectors = torch.linalg.eigh(centred.T @ centred)
    count = min(dimensions, rows.shape[1])
    chosen = vectors.flip(1)[:, :count].T
    signs = chosen.gather(1, chosen.abs().argmax(1, keepdim=True)).sign()
    weight = values.new_zeros(dimensions, rows.shape[1])
    weight[:count] = chosen * signs
    return weight.float(), -(weight @ mean).float()
