"""CMS: contrastive mean-shift learning for generalized category discovery (Choi, Kang & Cho, CVPR 2024).

Before an epoch all training rows are embedded (arXiv 2404.09451, section 3.3). In it, the embedding of each view takes
a step of mean shift, towards the mean of its nearest rows, and InfoNCE compares where views arrive; SupCon compares
embeddings of labelled rows as they are. Embeddings are outputs of the head, which is kept. The answer is Ward's
clustering of embeddings that take more such steps (`cluster: {kind: ward}`), which can find k, too.

As in the released code, InfoNCE's denominator holds negatives only, and no gradient goes through the length to which a
shifted embedding is scaled. A row is never its own neighbour, as in the paper's equation; the code leaves the nearest
of nine out instead, which need not be the row itself. The epoch is the last: the code takes the one whose clusters
agree best with known classes of the test split.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ncdcli.clustering.base import Problem
from ncdcli.joint.base import JointMethod, Task
from ncdcli.joint.contrast import both_weighted, detached, labelled_contrast, make_dino_head
from ncdcli.joint.kinds import Cms as Config
from ncdcli.objectives.base import EpochFacts

ROWS = 8192  # of the memory that are renewed at once


class Cms(JointMethod):
    """(1 − w) · InfoNCE between shifted views + w · SupCon, section 3.3."""

    kept = ("head",)
    uses_positions = True
    refreshes = True
    memory: Tensor  # (n, out) unit-length embeddings of all training rows, as the epoch found them

    def __init__(self, config: Config, *, dim: int, task: Task) -> None:
        super().__init__(config, dim=dim, task=task)
        self.config = config
        self.embedding_dim = config.projector_out
        self.head = make_dino_head(config, dim)

    def start(self, problem: Problem, rng: np.random.Generator) -> None:
        """Make room for the embedding of each row."""
        self.register_buffer("memory", torch.zeros(len(problem.labels), self.embedding_dim))

    @torch.no_grad()
    def refresh(self, facts: EpochFacts) -> None:
        """Embed all rows."""
        for start, part in enumerate(facts.features().split(ROWS)):
            self.memory[start * ROWS : start * ROWS + len(part)] = self.embedding(part)

    def forward(  # type: ignore[override]
        self, features: Sequence[Tensor], labels: Tensor, *, positions: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        config = self.config
        embeddings = self.embedding(torch.cat(list(features)))
        shifted = mean_shift(
            embeddings, positions.repeat(2), self.memory, alpha=config.alpha, neighbours=config.neighbours
        )
        first, second = embeddings.chunk(2)
        parts = {
            "infonce": contrast_to_negatives(*shifted.chunk(2), temperature=config.unsupervised_temperature),
            "supcon": labelled_contrast(first, second, labels, config.supervised_temperature),
        }
        return both_weighted(parts, config.supervised_weight), detached(parts)

    def embedding(self, features: Tensor) -> Tensor:
        return F.normalize(self.head(features).float(), dim=1)


def mean_shift(embeddings: Tensor, positions: Tensor, memory: Tensor, *, alpha: float, neighbours: int) -> Tensor:
    """(b, d) unit-length (1 − `alpha`) z + `alpha` · mean of the `neighbours` nearest rows of the (n, d) memory.

    The row at a sample's own position (b,) is not among them. Nearness is the cosine; both inputs have unit length.
    """
    with torch.autocast(embeddings.device.type, enabled=False):
        with torch.no_grad():
            cosines = embeddings @ memory.T
            cosines.scatter_(1, positions[:, None], float("-inf"))
            nearest = cosines.topk(min(neighbours, memory.shape[0] - 1), dim=1).indices
            means = memory[nearest].mean(1)
        moved = (1 - alpha) * embeddings + alpha * means
        return moved / moved.detach().norm(dim=1, keepdim=True).clamp(min=1e-12)


def contrast_to_negatives(first: Tensor, second: Tensor, *, temperature: float) -> Tensor:
    """Mean over the 2b rows of `-log exp(z·z'/t) / Σ exp(z·z_j/t)`, z' being the other view, z_j those of others.

    The denominator holds neither of the two views of the sample itself (decoupled contrastive learning, Yeh et al.,
    arXiv 2110.06848). `first` and `second` are (b, d), b at least 2.
    """
    with torch.autocast(first.device.type, enabled=False):
        rows, b = torch.cat([first, second]), len(first)
        similarity = rows @ rows.T / temperature
        sample = torch.arange(b, device=rows.device).repeat(2)
        negatives = similarity.masked_fill(sample[:, None] == sample, float("-inf")).logsumexp(1)
        positives = (first * second).sum(1).repeat(2) / temperature
        return (negatives - positives).mean()
