"""What every pretraining objective is: a module from the features of the views of a batch to a loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from ncdcli.models.backbone import Backbone
from ncdcli.objectives.kinds import ObjectiveSection


class Objective(nn.Module):
    """A loss on top of a backbone, with the head that it needs; the head is thrown away after training.

    Constructed as `Kind(config, dim=…, n_known=…)`.
    """

    def __init__(self, config: ObjectiveSection, *, dim: int, n_known: int) -> None:
        super().__init__()
        self.views = config.views
        self.uses_pool = config.uses_pool
        self.reconstructs = config.reconstructs

    @classmethod
    def build(cls, config: Any, backbone: Backbone, *, n_known: int) -> Objective:
        """The objective for a backbone; a kind that needs more of it than its `dim` takes that here."""
        return cls(config, dim=backbone.dim, n_known=n_known)

    def forward(self, features: Sequence[Tensor], labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, a scalar, and its named parts for the log.

        `features` holds one (b, dim) tensor per view, `labels` (b,) the known class of each sample, -1: none. A kind
        with `reconstructs` also takes `clean` and `shown`: the inputs, one (b, n_inputs) tensor per view, before and
        after `augment.noise` and `augment.mask` were applied; the backbone saw what is shown.
        """
        raise NotImplementedError

    def classify(self, features: Tensor) -> Tensor | None:
        """(b, n_known) scores of the known classes for (b, dim) features; None where there is no classifier."""
        return None
