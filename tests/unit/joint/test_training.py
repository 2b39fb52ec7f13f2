"""The trainer's part in joint methods: hooks, checkpoints, second backbones, optimizers in turn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from toyjoint import make_joint_job
from toytraining import Watcher

from ncdcli.errors import Interrupted
from ncdcli.joint import kinds
from ncdcli.joint.base import JointMethod, Task
from ncdcli.joint.kinds import JointSection, SimGCD
from ncdcli.joint.losses import labelled_cross_entropy
from ncdcli.joint.moving import follow, frozen_copy
from ncdcli.models.backbone import Backbone
from ncdcli.objectives.base import EpochFacts
from ncdcli.objectives.kinds import Optimizer
from ncdcli.training.optim import make_optimizer

SMALL = SimGCD(projector_hidden=16, projector_out=8, projector_layers=2)


class Toy(JointSection):
    """A linear classifier that uses everything a method can ask for."""

    kind: Literal["toy"] = "toy"
    alternate: ClassVar[bool] = False


class ToyMethod(JointMethod):
    """Learns labels in one step and the mean features of the epoch's start in another."""

    uses_positions = True
    refreshes = True

    def __init__(self, config: Toy, *, dim: int, task: Task, backbone: Backbone) -> None:
        super().__init__(config, dim=dim, task=task)
        self.head, self.scrap = nn.Linear(dim, task.given_k), nn.Linear(dim, dim)
        self.teacher = frozen_copy(backbone)
        self.register_buffer("memory", torch.zeros(160, dim))
        self.seen: list[Any] = []

    @classmethod
    def make(cls, config: Any, backbone: Backbone, *, task: Task) -> ToyMethod:
        return cls(config, dim=backbone.dim, task=task, backbone=backbone)

    def make_optimizers(self, config: Optimizer, backbone: Backbone) -> list[torch.optim.Optimizer]:
        second = make_optimizer(config, [backbone, self.scrap])
        second.param_groups[0]["lr_factor"] = 0.5
        return [make_optimizer(config, [backbone, self.head]), second]

    def begin_epoch(self, number: int, epochs: int) -> None:
        self.seen.append(("begin", number, epochs))

    def refresh(self, facts: EpochFacts) -> None:
        self.seen.append(("refresh", facts.number))
        assert facts.labels.shape == (160,)
        self.memory.copy_(facts.features())  # type: ignore[operator]

    def second_backbone(self) -> Backbone | None:
        return self.teacher

    def after_step(self, backbone: Backbone) -> None:
        follow(self.teacher, backbone, momentum=0.9)

    def forward(
        self, features: Sequence[Tensor], labels: Tensor, *, positions: Tensor, second: Sequence[Tensor], phase: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        assert len(features) == len(second) == 2
        assert not second[0].requires_grad
        if phase == 0:
            return labelled_cross_entropy(self.head(features[0]), labels), {}
        goal = self.memory[positions] + second[0]  # type: ignore[index]
        return (self.scrap(features[1]) - goal).square().mean(), {}

    def logits(self, features: Tensor) -> Tensor:
        return self.head(features)


@pytest.fixture(autouse=True)
def with_toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(kinds.KINDS, "toy", f"{__name__}:ToyMethod")
    monkeypatch.setattr("toyjoint.JointTrainingConfig", _config)
    monkeypatch.setattr("toyjoint.import_kind", lambda _, kind: ToyMethod if kind == "toy" else _simgcd())


def _simgcd() -> Any:
    from ncdcli.joint.simgcd import SimGCD as Method

    return Method


def _config(method: Any, **fields: Any) -> Any:
    return kinds.JointTrainingConfig.model_construct(method=method, **_defaults() | fields)


def _defaults() -> dict[str, Any]:
    made = kinds.JointTrainingConfig(method=SMALL)
    return {name: getattr(made, name) for name in kinds.JointTrainingConfig.model_fields if name != "method"}


def weights(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "model.safetensors")


@pytest.mark.parametrize("method", [Toy(), SMALL], ids=["toy", "simgcd"])
@pytest.mark.parametrize("stop_after", [1, 5, 7])
def test_an_interrupted_training_ends_with_the_same_weights(
    train_jointly: Any, tmp_path: Path, method: Any, stop_after: int
) -> None:
    """Within the first epoch, at its end and within the second one; an epoch has five batches."""
    train_jointly("whole", method, epochs=3)
    with pytest.raises(Interrupted):
        train_jointly("parts", method, epochs=3, watcher=Watcher(stop_after=stop_after))
    watcher = Watcher()
    train_jointly("parts", method, epochs=3, watcher=watcher)
    assert watcher.ticks == 15
    one, other = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert (tmp_path / "whole/metrics.jsonl").read_bytes() == (tmp_path / "parts/metrics.jsonl").read_bytes()


def test_hooks_are_called_once_an_epoch_and_a_refresh_is_not_repeated(train_jointly: Any) -> None:
    job = train_jointly("whole", Toy(), epochs=2)
    assert job.objective.seen == [("begin", 0, 2), ("refresh", 0), ("begin", 1, 2), ("refresh", 1)]
    with pytest.raises(Interrupted):
        train_jointly("parts", Toy(), epochs=2, watcher=Watcher(stop_after=7))
    job = train_jointly("parts", Toy(), epochs=2)
    assert job.objective.seen == [("begin", 1, 2)]


def test_the_head_is_kept_and_the_rest_thrown_away(train_jointly: Any, tmp_path: Path) -> None:
    job = train_jointly("run", Toy(), epochs=1)
    state = weights(tmp_path / "run")
    assert {name for name in state if name.startswith("joint.")} == {"joint.head.weight", "joint.head.bias"}
    fresh = make_joint_job(tmp_path / "run", Toy()).objective
    fresh.load_kept(state)  # type: ignore[operator]
    assert torch.equal(fresh.head.weight, job.objective.head.weight)  # type: ignore[union-attr]


def test_each_optimizer_moves_its_own_part(train_jointly: Any, tmp_path: Path) -> None:
    before = make_joint_job(tmp_path, Toy()).objective.state_dict()
    after = train_jointly("run", Toy(), epochs=1, optimizer=Optimizer(lr=1e-3, weight_decay=0)).objective
    for name in ("head.weight", "scrap.weight"):
        assert not torch.equal(before[name], after.state_dict()[name])


def test_a_refresh_sees_features_as_an_inference_gives_them(train_jointly: Any, tmp_path: Path) -> None:
    job = train_jointly("run", Toy(), epochs=1)
    fresh = make_joint_job(tmp_path, Toy())
    with torch.no_grad():
        expected = fresh.backbone.eval()(torch.from_numpy(job.source.values))
    np.testing.assert_allclose(job.objective.memory.numpy(), expected.numpy(), rtol=1e-5, atol=1e-6)
