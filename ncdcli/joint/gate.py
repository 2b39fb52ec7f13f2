"""What lets a method for novel classes alone answer for known ones as well."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Gate(nn.Module):
    """Says which known class a sample is of, or that it is novel: a linear classifier on (b, dim) features.

    No gradient goes from here to the features: a method learns as it would without. In the NCD setting all that it
    needs is given, for the pool is novel.
    """

    def __init__(self, dim: int, n_known: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, n_known + 1)

    def loss(self, features: Tensor, labels: Tensor) -> Tensor:
        """Mean cross-entropy, where -1 among the (b,) labels stands for novel."""
        novel = self.linear.out_features - 1
        return F.cross_entropy(self.linear(features.detach()), torch.where(labels < 0, novel, labels))

    def forward(self, features: Tensor, novel: Tensor) -> Tensor:
        """(b, n_known + n_novel) log-probabilities, given (b, n_novel) logits among the novel classes.

        Among the novel classes they are in the proportions of the logits' softmax.
        """
        gate = F.log_softmax(self.linear(features).float(), dim=1)
        return torch.cat([gate[:, :-1], gate[:, -1:] + F.log_softmax(novel.float(), dim=1)], dim=1)
