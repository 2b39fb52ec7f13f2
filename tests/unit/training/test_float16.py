"""fp16: a scaled loss, steps that are left out, and what is clipped, resumed and told."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from toyjoint import make_joint_job
from toytraining import Watcher, make_job

from ncdcli.errors import Interrupted, NcdError
from ncdcli.joint.kinds import TabularNcd
from ncdcli.models.kinds import Identity, Mlp
from ncdcli.objectives.cross_entropy import CrossEntropy as Objective
from ncdcli.objectives.kinds import Augment, CrossEntropy, NormalizedSoftmax, Optimizer, PretrainConfig
from ncdcli.pipeline.context import Resources
from ncdcli.training.checkpoint import read_checkpoint
from ncdcli.training.job import Job
from ncdcli.training.launch import launch
from ncdcli.training.loop import train
from ncdcli.training.monitor import LocalMonitor

FIRST = 2.0**16  # the scale at the start
FP16 = {"precision": "fp16"}
OPTIMIZERS = [Optimizer(lr=1e-2), Optimizer(kind="sgd", lr=1e-2)]
STEADY = Mlp(hidden=(16,), dim=8)  # without dropout


class Followed(Objective):
    """Counts the steps that are followed."""

    followed = 0

    def after_step(self, backbone: Any) -> None:
        self.followed += 1


def run(job: Job, tick: Callable[..., None] | None = None) -> dict[str, Any]:
    monitor = LocalMonitor(tick or Watcher().tick, lambda: False)
    return launch(train, job, resources=Resources("cpu"), precision=job.config.precision, monitor=monitor)


def overflow(module: nn.Module, *, at: set[int] | None = None) -> None:
    """Make a gradient of the first parameter infinite in these backward passes, counted from 1, or in all."""
    passes = [0]

    def hook(gradient: Tensor) -> Tensor:
        passes[0] += 1
        return gradient * inf if at is None or passes[0] in at else gradient

    next(module.parameters()).register_hook(hook)


@pytest.mark.parametrize("clip", [None, 0.5])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=["adamw", "sgd"])
def test_a_step_with_an_infinite_gradient_is_left_out_and_the_scale_halved(
    tmp_path: Path, optimizer: Any, clip: float | None
) -> None:
    """Nothing follows such a step, and momenta do not see it."""
    seen: list[list[Tensor]] = []
    config = PretrainConfig(epochs=1, batch_size=10, optimizer=optimizer, gradient_clip=clip, precision="fp16")
    job = make_job(tmp_path, config, backbone=STEADY)
    job.objective.__class__ = Followed
    overflow(job.backbone, at={2})

    def tick(advance: int = 1, /, **_: float) -> None:
        if advance:
            seen.append([parameter.detach().clone() for parameter in job.backbone.parameters()])

    told = run(job, tick)
    first, second, third = seen[-3:]
    assert all(map(torch.equal, first, second))
    assert not any(map(torch.equal, second, third))
    assert job.objective.followed == 2  # type: ignore[attr-defined]
    assert told["loss_scale"] == FIRST / 2
    kept = read_checkpoint(tmp_path)
    assert kept is not None
    assert kept["scaler"] == {
        "scale": FIRST / 2, "growth_factor": 2.0, "backoff_factor": 0.5, "growth_interval": 2000, "_growth_tracker": 1
    }  # fmt: skip
    if optimizer.kind == "adamw":
        assert {float(state["step"]) for state in kept["optimizers"][0]["state"].values()} == {2.0}


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=["adamw", "sgd"])
def test_clipping_sees_gradients_without_the_scale(tmp_path: Path, optimizer: Any) -> None:
    """A backbone that multiplies nothing leaves all to the objective, in float32: every bit is that of fp32."""
    ends = []
    for precision in ("fp32", "fp16"):
        fields: Any = {"precision": precision, "optimizer": optimizer, "gradient_clip": 0.05}
        output = tmp_path / precision
        output.mkdir()
        job = make_job(output, PretrainConfig(epochs=3, batch_size=10, **fields), backbone=Identity())
        run(job)
        ends.append((job.objective.state_dict(), (output / "metrics.jsonl").read_bytes()))
    (one, log), (other, other_log) = ends
    assert log == other_log
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("stop_after", [1, 4, 7])
def test_an_interrupted_training_goes_on_with_its_scale(fit: Any, tmp_path: Path, stop_after: int) -> None:
    """Its first steps overflow, the last one of these in the second epoch: the scale at the stop is not the first."""
    config = PretrainConfig(objective=NormalizedSoftmax(scale=60.0), epochs=4, batch_size=8, **FP16)
    told = fit("whole", config)
    assert 0 < told["loss_scale"] < FIRST
    with pytest.raises(Interrupted):
        fit("parts", config, watcher=Watcher(stop_after=stop_after))
    assert fit("parts", config) == told
    for name in ("model.safetensors", "metrics.jsonl"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()
    whole, parts = (read_checkpoint(tmp_path / name) for name in ("whole", "parts"))
    assert whole is not None
    assert parts is not None
    assert whole["scaler"] == parts["scaler"]


@pytest.mark.parametrize("clip", [None, 0.5])
def test_of_two_optimizers_the_one_whose_gradients_are_finite_steps(tmp_path: Path, clip: float | None) -> None:
    fields: Any = {"augment": Augment(), "epochs": 1, "batch_size": 160, "gradient_clip": clip, **FP16}
    job = make_joint_job(tmp_path, TabularNcd(), setting="ncd", backbone=STEADY, **fields)
    head: Any = job.objective.head
    before = {name: value.clone() for name, value in head.state_dict().items()}
    overflow(head.novel, at={2})  # zero in the first pass, which is of the other head
    told = run(job)
    moved = {name for name, value in head.state_dict().items() if not torch.equal(before[name], value)}
    assert moved == {"known.weight", "known.bias"}
    assert told["loss_scale"] == FIRST / 2


def test_gradients_that_no_scale_makes_finite_end_the_training(tmp_path: Path) -> None:
    job = make_job(tmp_path, PretrainConfig(epochs=20, batch_size=10, **FP16))
    overflow(job.backbone)
    with pytest.raises(NcdError, match="beyond float16") as caught:
        run(job)
    assert "pretrain.precision: fp32" in caught.value.hint


def test_numbers_beyond_float16_are_told_with_a_way_out(tmp_path: Path) -> None:
    job = make_job(tmp_path, PretrainConfig(epochs=1, batch_size=10, **FP16))
    with torch.no_grad():
        next(job.backbone.parameters()).fill_(6e4)
    with pytest.raises(NcdError, match="no longer a number") as caught:
        run(job)
    assert "`pretrain.precision: fp32`" in caught.value.hint


def test_other_precisions_scale_nothing(tmp_path: Path) -> None:
    job = make_job(tmp_path, PretrainConfig(epochs=1, objective=CrossEntropy()))
    assert "loss_scale" not in run(job)
    kept = read_checkpoint(tmp_path)
    assert kept is not None
    assert "scaler" not in kept


def test_inputs_keep_what_float16_has_no_room_for(tmp_path: Path) -> None:
    """Columns of a table that is used as it is may be as large as they like."""
    from ncdcli.training.batches import Vectors

    values = np.random.default_rng(0).normal(size=(90, 12)).astype(np.float32) * 1e6
    config = PretrainConfig(epochs=1, objective=CrossEntropy(latent_norm="l2"), **FP16)
    told = run(make_job(tmp_path, config, backbone=Identity(), source=Vectors(values, "tables")))
    assert np.isfinite(told["metrics"]["loss"])
