"""What every pretraining objective is: a module from the features of the views of a batch to a loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn


class Objective(nn.Module):
    """A loss on top of a backbone, with the head that it needs; the head is thrown away after training.

    Constructed as `Kind(config, dim=…, n_known=…)`.
    """

    views: int = 1  # random views of each sample in a batch: 1 or 2
    uses_pool: bool = False  # also trains on samples without a label; otherwise labelled rows only

    def __init__(self, config: Any, *, dim: int, n_known: int) -> None:
        super().__init__()

    def forward(self, features: Sequence[Tensor], labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, a scalar, and its named parts for the log.

        `features` holds one (b, dim) tensor per view, `labels` (b,) the known class of each sample, -1: none.
        """
        raise NotImplementedError

    def classify(self, features: Tensor) -> Tensor | None:
        """(b, n_known) scores of the known classes for (b, dim) features; None where there is no classifier."""
        return None
