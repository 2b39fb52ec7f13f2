"""What every pretraining objective is: a module from the features of the views of a batch to a loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ncdcli.models.backbone import Backbone
from ncdcli.objectives.kinds import ObjectiveSection, Optimizer
from ncdcli.training.optim import make_optimizer


@dataclass(frozen=True)
class EpochFacts:
    """What `Objective.refresh` may look at when an epoch begins. It is the same in every process."""

    number: int  # counted from 0
    epochs: int
    labels: Tensor  # (n,) known classes of the training rows, -1: none; on the device
    features: Callable[[], Tensor]  # gives (n, dim) features of the training rows, without disturbance or gradient
    rng: np.random.Generator


class Objective(nn.Module):
    """A loss on top of a backbone, with the head that it needs; the head is thrown away after training.

    Constructed as `Kind(config, dim=…, n_known=…)`. `forward` is given more where a kind asks for it: `positions` (b,)
    of the samples among the training rows with `uses_positions`, `second`, the features of `second_backbone`, where
    there is one, and `phase` where it makes several optimizers. All processes compute the same loss of the whole
    batch: a kind that draws numbers in `forward` must not draw from torch's generator, which differs between them.
    Features come in float32. In fp16 so does all that `forward` computes, by whoever calls it: nothing overflows.
    """

    uses_positions: bool = False
    refreshes: bool = False  # `refresh` is called when an epoch begins
    turns: bool = False  # images are turned: the second view by 90°, the third by 180°, the fourth by 270°
    makes_views: bool = False  # the source gives one view of each sample, and `make_views` the second one
    tells_novel: bool = False  # `classify` gives scores of all classes, novel ones too
    group_turns: Sequence[int] = ()  # the `groups` of a batch go through the backbone in these turns, and not together

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

    def embedding(self, features: Tensor) -> Tensor:
        """(b, d) what is written as embeddings, for (b, dim) features in evaluation mode."""
        return features

    def make_optimizers(self, config: Optimizer, backbone: Backbone) -> list[torch.optim.Optimizer]:
        """What takes the steps on a batch: one step each, in turn, each with a loss of its own (`phase`).

        The schedule sets the `lr` of every group of parameters, times the group's `lr_factor` where it has one.
        """
        return [make_optimizer(config, [backbone, self])]

    def begin_epoch(self, number: int, epochs: int) -> None:
        """Set what depends on the epoch alone, counted from 0: ramps. Called again where an epoch is resumed."""

    def refresh(self, facts: EpochFacts) -> None:
        """Renew what is computed from all training rows once an epoch, and keep it in buffers.

        Not called where an epoch is resumed: the buffers are then those of the checkpoint.
        """

    def make_views(self, rows: Tensor, labels: Tensor, rng: np.random.Generator) -> Tensor:
        """(b, n_inputs) second views of a whole batch, with `makes_views`: called once a batch, before its steps.

        `rows` (b, n_inputs) are the prepared inputs. It is the same in every process; what it keeps lies in buffers.
        """
        raise NotImplementedError

    def groups(self, labels: Tensor) -> tuple[Tensor, ...]:
        """With `group_turns`, one (views · b,) tensor: the group that each row is in, from 0."""
        return ()

    def after_step(self, backbone: Backbone) -> None:
        """What follows each optimizer step that is taken: unit lengths, moving averages.

        In fp16 a step whose gradients overflow is left out. Whoever overrides this waits for the device to know it.
        """

    def second_backbone(self) -> Backbone | None:
        """Another backbone, not trained, that is shown the same views: a frozen copy, or a moving average."""
        return None

    def kept_state(self) -> Mapping[str, Tensor]:
        """The part of the state that `model.safetensors` holds beside the backbone's: nothing, or a classifier."""
        return {}

    def outcome(self) -> Mapping[str, Any]:
        """What training has found beside weights, for `model.json`."""
        return {}
