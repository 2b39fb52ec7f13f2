"""SelEx: self-expertise in fine-grained generalized category discovery (Rastegar et al., ECCV 2024, arXiv 2408.14371).

Before an epoch all training rows are clustered at several levels, from k clusters down to a few (`hierarchy`), sizes
balanced. Supervised self-expertise is SupCon on labelled rows, and at each level on all rows with their clusters for
labels, on ever fewer of the head's outputs. Unsupervised self-expertise is InfoNCE whose target is not the other view
alone: part of it is spread over rows that lie farther away than clusters reach, so that near rows are the negatives.
All compare negative Euclidean distances of unit-length outputs. The answer is semi-supervised k-means of the features.

Where we differ from the released code: distances between rows are those of unit-length features, as the centres are
(there the rows have the length that the backbone gives them, beside which any cluster is small); targets are scaled by
row, so that each is a distribution, and a row without far ones has the other view for its target; and k-means starts
from centroids that no known class claims.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ncdcli.clustering.base import Problem
from ncdcli.clustering.kinds import SemiKMeans
from ncdcli.clustering.rows import unit_rows
from ncdcli.joint.base import JointMethod, Task
from ncdcli.joint.contrast import both_weighted, detached, make_dino_head
from ncdcli.joint.hierarchy import level_sizes, make_hierarchy, reaches
from ncdcli.joint.kinds import Selex as Config
from ncdcli.objectives.base import EpochFacts


class Selex(JointMethod):
    """(1 − w) · InfoNCE with spread targets + w / 2 · (SupCon + Σ SupCon of level i / 2^i), section 3."""

    kept = ()
    uses_positions = True
    refreshes = True
    clusters: Tensor  # (levels, n) cluster of each training row
    reach: Tensor  # (levels, n) how far from a row the next cluster begins

    def __init__(self, config: Config, *, dim: int, task: Task) -> None:
        super().__init__(config, dim=dim, task=task)
        self.config = config
        self.levels = len(level_sizes(task.n_known, task.n_novel))
        self.head = make_dino_head(config, dim)
        self.kmeans = SemiKMeans(
            init="matched",
            restarts=config.restarts,
            restarts_rule="lowest_objective",
            iterations=config.iterations,
            balance=config.balance,
        )

    def start(self, problem: Problem, rng: np.random.Generator) -> None:
        """Make room for the clusters of each row."""
        self.register_buffer("clusters", torch.zeros(self.levels, len(problem.labels), dtype=torch.int64))
        self.register_buffer("reach", torch.zeros(self.levels, len(problem.labels)))

    def refresh(self, facts: EpochFacts) -> None:
        """Make the hierarchy, unless it is not yet time again."""
        if facts.number % self.config.refresh_epochs:
            return
        rows = unit_rows(facts.features().float().cpu().numpy())
        task = self.task
        problem = Problem(rows, facts.labels.cpu().numpy(), task.n_known, task.given_k, task.setting == "ncd")
        for number, level in enumerate(make_hierarchy(problem, self.kmeans, facts.rng)):
            self.clusters[number] = torch.from_numpy(level.clusters)
            self.reach[number] = torch.from_numpy(reaches(level))

    def forward(  # type: ignore[override]
        self, features: Sequence[Tensor], labels: Tensor, *, positions: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        config, both, twice = self.config, torch.cat(list(features)), positions.repeat(2)
        outputs = F.normalize(self.head(both).float(), dim=1)
        with torch.no_grad():
            far = farness(F.normalize(both.float(), dim=1), self.reach[:, twice])
            targets = spread_targets(far, smoothing=config.smoothing)
        labelled = (labels >= 0).repeat(2)
        supervised = contrast_of_classes(outputs[labelled], labels.repeat(2)[labelled], config.supervised_temperature)
        levels = outputs.new_zeros(())
        for number, clusters in enumerate(self.clusters[:, twice], start=1):
            part = outputs[:, : max(outputs.shape[1] // 2**number, 1)]
            levels = levels + contrast_of_classes(part, clusters, config.supervised_temperature) / 2**number
        parts = {
            "infonce": spread_info_nce(outputs, targets, config.unsupervised_temperature),
            "supcon": (supervised + levels) / 2,
        }
        return both_weighted(parts, config.supervised_weight), detached(parts)


def farness(rows: Tensor, reach: Tensor) -> Tensor:
    """(b, b) Σ over levels i = 0 … of [row j is farther from row i than j's cluster reaches] / 2^i.

    `rows` (b, d) have unit length; `reach` (levels, b) is that of the cluster of each row at each level.
    """
    distances = torch.cdist(rows, rows).fill_diagonal_(0)
    beyond = (distances[None] > reach[:, None, :]).float()
    weights = 0.5 ** torch.arange(len(reach), device=rows.device)
    return torch.einsum("l,lij->ij", weights, beyond)


def spread_targets(far: Tensor, *, smoothing: float) -> Tensor:
    """(2b, 2b) what each row is to find: its other view, and to the part `smoothing` the others as far as they are far.

    Rows sum to one, their own places are zero. A row from which none is far has its other view for all of its target.
    """
    other = torch.eye(len(far), device=far.device).roll(len(far) // 2, 0)
    totals = far.sum(1, keepdim=True)
    spread = torch.where(totals > 0, far / totals.clamp(min=1e-12), other)
    return (1 - smoothing) * other + smoothing * spread


def spread_info_nce(outputs: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """Mean cross-entropy of the targets with softmax(−distance / temperature) over all other rows."""
    with torch.autocast(outputs.device.type, enabled=False):
        return -(targets * _log_likeness(outputs, temperature)).sum(1).mean()


def contrast_of_classes(outputs: Tensor, classes: Tensor, temperature: float) -> Tensor:
    """SupCon by negative Euclidean distances: mean over rows of the mean over the others of a class of −log softmax.

    `outputs` (m, d) hold all first views, then all second ones, so that every row has another of its class (m,). Zero,
    with a gradient of zero, without rows.
    """
    if len(outputs) == 0:
        return outputs.sum()
    with torch.autocast(outputs.device.type, enabled=False):
        same = (classes[:, None] == classes).float().fill_diagonal_(0)
        return -((same * _log_likeness(outputs, temperature)).sum(1) / same.sum(1)).mean()


def _log_likeness(outputs: Tensor, temperature: float) -> Tensor:
    """(m, m) log softmax of −distance / temperature over the other rows; zero on the diagonal."""
    distances = torch.cdist(outputs.float(), outputs.float())
    own = torch.eye(len(outputs), dtype=torch.bool, device=outputs.device)
    logits = (-distances / temperature).masked_fill(own, float("-inf"))
    return F.log_softmax(logits, dim=1).masked_fill(own, 0.0)
