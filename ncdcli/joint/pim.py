"""PIM: parametric information maximization for generalized category discovery (Chiaroni et al., ICCV 2023).

Features only (arXiv 2212.00334): a linear classifier over all classes is trained on the embeddings of a frozen
backbone, with cross-entropy on labelled rows, an even use of the classes over all rows, and sure predictions on the
pool. It starts from the centroids of semi-supervised k-means. Published: 1,000 full-batch steps of Adam.

How much sureness counts is left to the labels of known classes: the loss is minimised without its cross-entropy for
each candidate weight, and the one is taken whose clusters agree most with the labelled rows under the best matching.

We classify by cosines, where the released code has a plain linear layer: the length of a centroid says how tight a
cluster is, which is no reason to prefer it. The step of the optimizer is the recipe's; that of the search is Adam's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ncdcli.clustering.base import Problem
from ncdcli.joint.base import JointMethod, Task
from ncdcli.joint.heads import CosineClassifier
from ncdcli.joint.kinds import Pim as Config
from ncdcli.joint.losses import labelled_cross_entropy, lack_of_mean_entropy
from ncdcli.joint.start import cluster_centroids
from ncdcli.metrics.contingency import contingency
from ncdcli.metrics.matching import match_clusters, matched_counts

SEARCH_RATE, SEARCH_DECAY = 1e-3, 1e-2  # of Adam, as published


class Pim(JointMethod):
    """Cross-entropy − entropy of the mean prediction + λ · mean entropy of the pool's predictions."""

    sureness_weight: Tensor

    def __init__(self, config: Config, *, dim: int, task: Task) -> None:
        super().__init__(config, dim=dim, task=task)
        self.config = config
        self.head = CosineClassifier(dim, task.given_k, temperature=1 / config.scale)
        self.register_buffer("sureness_weight", torch.tensor(config.sureness_weight or config.candidates[0]))

    def start(self, problem: Problem, rng: np.random.Generator) -> None:
        centroids = cluster_centroids(problem, rng, restarts=self.config.restarts)
        self.head.set_directions(centroids)
        if self.config.sureness_weight is None:
            self.sureness_weight.fill_(self._best_weight(problem))
            self.head.set_directions(centroids)

    def forward(self, features: Sequence[Tensor], labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        logits = self.head(features[0])
        parts = {
            "cross_entropy": labelled_cross_entropy(logits, labels),
            "memax": lack_of_mean_entropy(logits),
            "unsureness": unsureness(logits, labels),
        }
        loss = parts["cross_entropy"] + parts["memax"] + self.sureness_weight * parts["unsureness"]
        return loss, {name: part.detach() for name, part in parts.items()}

    def logits(self, features: Tensor) -> Tensor:
        return self.head(features)

    def outcome(self) -> Mapping[str, Any]:
        return {**super().outcome(), "sureness_weight": round(float(self.sureness_weight), 6)}

    def _best_weight(self, problem: Problem) -> float:
        """The candidate whose clusters, found without labels, agree most with those of labelled rows."""
        rows, labels = torch.from_numpy(problem.embeddings), torch.from_numpy(problem.labels)
        directions = self.head.weight.detach().clone()
        scores = []
        for candidate in self.config.candidates:
            self.head.set_directions(directions)
            optimizer = torch.optim.Adam(self.head.parameters(), lr=SEARCH_RATE, weight_decay=SEARCH_DECAY)
            for _ in range(self.config.search_steps):
                logits = self.head(rows)
                loss = lack_of_mean_entropy(logits) + candidate * unsureness(logits, labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            scores.append(_agreement(self.head, rows, labels))
        return self.config.candidates[int(np.argmax(scores))]


def unsureness(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean entropy of the predictions of the rows without a label; zero, with a gradient of zero, for none."""
    log_p = F.log_softmax(logits.float(), dim=1)
    entropies = -(log_p.exp() * log_p).sum(1)
    pool = labels < 0
    return (entropies * pool).sum() / pool.sum().clamp(min=1)


@torch.no_grad()
def _agreement(head: CosineClassifier, rows: Tensor, labels: Tensor) -> int:
    """Labelled rows that are in the cluster of their class, where clusters are matched to classes at best."""
    labelled = labels >= 0
    found = head(rows[labelled]).argmax(1)
    counts = contingency(found.numpy(), labels[labelled].numpy()).counts
    return int(matched_counts(counts, match_clusters(counts)).sum())
