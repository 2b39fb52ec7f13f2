"""What every pretraining objective is: a module from the features of the views of a batch to a loss."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from ncdcli.objectives.kinds import ObjectiveSection


class Objective(nn.Module):
    """A loss on top of a backbone, with the head that it needs; the head is thrown away after training.

    Constructed as `Kind(config, dim=…, n_known=…)`.
    """

    def __init__(self, config: ObjectiveSection, *, dim: int, n_known: int) -> None:
        super().__init__()
        self.views = config.views
        self.uses_pool = config.uses_pool

    def forward(self, features: Sequence[Tensor], labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, a scalar, and its named parts for the log.

        `features` holds one (b, dim) tensor per view, `labels` (b,) the known class of each sample, -1: none.
        """
        raise NotImplementedError

    def classify(self, features: Tensor) -> Tensor | None:
        """(b, n_known) scores of the known classes for (b, dim) features; None where there is no classifier."""
        return None
