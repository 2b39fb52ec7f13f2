"""What every joint method is: an objective that keeps a classifier over known and novel classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from ncdcli.clustering.base import Problem
from ncdcli.joint.kinds import JointSection
from ncdcli.models.backbone import JOINT, Backbone
from ncdcli.objectives.base import Objective


@dataclass(frozen=True)
class Task:
    """What a method has to find."""

    n_known: int
    k: int | None  # known and novel classes together; None: the method finds it
    setting: str = "gcd"  # gcd | ncd: whether the pool may hold known classes
    one_hot: tuple[tuple[int, int], ...] = ()  # (first, end) of the inputs of a table that stand for one of its columns

    @property
    def given_k(self) -> int:
        """k, for a method that needs it (recipes without one are refused for these)."""
        if self.k is None:
            raise ValueError("this method needs k")
        return self.k

    @property
    def n_novel(self) -> int:
        """Number of novel classes."""
        return self.given_k - self.n_known


class JointMethod(Objective):
    """A loss on features of the views of a batch, as every objective, with a classifier that stays.

    Constructed as `Kind(config, dim=…, task=…)`; a kind that needs more of the backbone takes that in `make`. Training
    rows are labelled and pool ones; in the NCD setting held-out known rows are not among them. Order of calls: `start`
    once, then in each epoch `begin_epoch`, `refresh` and the batches (see `Objective`). All state that a resumed
    training needs lies in parameters and buffers.

    A kind that classifies implements `logits`, known classes first, in their order; what `logits` and `embedding` use
    lies in the modules and buffers that `kept` names, which go into `model.safetensors`.
    """

    kept: tuple[str, ...] = ("head",)
    tells_novel = True

    def __init__(self, config: JointSection, *, dim: int, task: Task) -> None:
        super().__init__(config, dim=dim, n_known=task.n_known)
        self.task = task
        self.classifies = config.classifies
        self.embedding_dim = dim

    @classmethod
    def make(cls, config: Any, backbone: Backbone, *, task: Task) -> JointMethod:
        """The method for a backbone, whose weights are those that training starts from."""
        return cls(config, dim=backbone.dim, task=task)

    def start(self, problem: Problem, rng: np.random.Generator) -> None:
        """Prepare for training, given the embeddings of the training rows as `embed` wrote them.

        Called once, before the first epoch of a training that does not resume, on the CPU.
        """

    def logits(self, features: Tensor) -> Tensor:
        """(b, k) scores whose softmax says how likely each class is, for (b, dim) features in evaluation mode."""
        raise NotImplementedError

    def embedding(self, features: Tensor) -> Tensor:
        """(b, embedding_dim) what is written as embeddings: the features, unless a kind keeps its projection."""
        return features

    def classify(self, features: Tensor) -> Tensor | None:
        """Scores of all classes: a held-out known sample that is taken for novel is an error. None: no classifier."""
        return self.logits(features) if self.classifies else None

    @property
    def k(self) -> int | None:
        """Number of classes of the classifier: as given, or as found so far."""
        return self.task.k

    def kept_state(self) -> Mapping[str, Tensor]:
        """The state of what `kept` names, under names that no backbone has."""
        state = self.state_dict()
        return {f"{JOINT}{name}": value for name, value in state.items() if name.split(".")[0] in self.kept}

    def load_kept(self, state: Mapping[str, Tensor]) -> None:
        """Take up the state that `kept_state` gave. KeyError where a part of it is missing."""
        kept = {name.removeprefix(JOINT): state[name] for name in self.kept_state()}
        self.load_state_dict(kept, strict=False)

    def outcome(self) -> Mapping[str, Any]:
        return {"k": self.k}
