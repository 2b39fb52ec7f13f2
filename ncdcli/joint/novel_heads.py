"""One classifier of known classes and several of the novel ones, of which the best is used: UNO's heads."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ncdcli.joint.heads import CosineClassifier


class PrototypeHead(nn.Module):
    """A network with batch norm before unit-length prototypes: (b, dim) -> (b, k) cosines divided by a temperature."""

    def __init__(self, dim: int, k: int, *, hidden: int, out: int, temperature: float) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(dim, hidden), nn.BatchNorm1d(hidden), nn.ReLU(inplace=True), nn.Linear(hidden, out)
        )
        self.classifier = CosineClassifier(out, k, temperature=temperature)

    def forward(self, features: Tensor) -> Tensor:
        return self.classifier(self.mlp(features))


class OpenHeads(nn.Module):
    """Scores of known and novel classes side by side: those of the novel head whose loss was least in the last epoch.

    The best head needs no label: it is that of the lowest running training loss, as in UNO's released code. Several
    heads give several (b, k) scores in training, `all_scores`, and the best one's otherwise.
    """

    losses: Tensor

    def __init__(
        self, dim: int, *, n_known: int, n_novel: int, heads: int, hidden: int, out: int, temperature: float
    ) -> None:
        super().__init__()
        self.known = CosineClassifier(dim, n_known, temperature=temperature)
        self.novel = nn.ModuleList(
            PrototypeHead(dim, n_novel, hidden=hidden, out=out, temperature=temperature) for _ in range(heads)
        )
        self.register_buffer("losses", torch.zeros(heads))

    def all_scores(self, features: Tensor, heads: nn.ModuleList | None = None) -> list[Tensor]:
        """(b, n_known + …) scores for each of the `heads` (default: those of novel classes)."""
        known = self.known(features)
        return [torch.cat([known, head(features)], dim=1) for head in (heads or self.novel)]

    def forward(self, features: Tensor) -> Tensor:
        best = self.novel[int(self.losses.argmin())]
        return torch.cat([self.known(features), best(features)], dim=1)


def class_directions(embeddings: Tensor, labels: Tensor, n_known: int) -> Tensor:
    """(n_known, d) unit-length means of the unit-length embeddings of each class' labelled rows (labels >= 0)."""
    labelled = labels >= 0
    sums = torch.zeros(n_known, embeddings.shape[1])
    sums.index_add_(0, labels[labelled], F.normalize(embeddings[labelled].float(), dim=1))
    return F.normalize(sums, dim=1)
