"""Every objective and joint method in fp16: the backbone multiplies in float16, the loss is computed in float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from toyjoint import make_joint_job
from toytraining import Watcher, make_job

from ncdcli.joint import kinds as joint_kinds
from ncdcli.models.kinds import Mlp, SmallCnn
from ncdcli.objectives import kinds
from ncdcli.objectives.kinds import Augment, PretrainConfig
from ncdcli.pipeline.context import Resources
from ncdcli.training.batches import ArrayImages
from ncdcli.training.gather import InFull
from ncdcli.training.job import Job
from ncdcli.training.launch import launch
from ncdcli.training.loop import train
from ncdcli.training.monitor import LocalMonitor

ROUNDING = 2.0**-11  # half the distance of neighbouring float16 numbers, / the number
PROJECTOR = {"projector_hidden": 16, "projector_out": 8, "projector_layers": 2}
SMALL: dict[str, dict[str, Any]] = {  # heads and searches of a size for tests
    "supcon_infonce": {"head_hidden": 32, "head_bottleneck": 8, "head_out": 64},
    "simclr": {"head_hidden": 16, "head_out": 8},
    "simgcd": PROJECTOR,
    "protogcd": PROJECTOR,
    "gpc": {**PROJECTOR, "warmup_epochs": 0},
    "cms": {**PROJECTOR, "projector_bottleneck": 8},
    "selex": {**PROJECTOR, "projector_bottleneck": 8},
    "uno": {"hidden": 32, "projection": 16},
    "crncd": {"hidden": 32, "projection": 16},
    "pim": {"search_steps": 5, "restarts": 2},
    "mcl": {"pair_epochs": 3},
    "kcl": {"pair_epochs": 3},
}
ALL = [f"pretrain-{kind}" for kind in kinds.KINDS] + [f"joint-{kind}" for kind in joint_kinds.KINDS]


class Dtypes(TorchDispatchMode):
    """Notes the formats of all numbers that are computed."""

    def __init__(self) -> None:
        super().__init__()
        self.found = set[torch.dtype]()

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), named: Any = None) -> Any:
        result = function(*arguments, **(named or {}))
        self.found |= {leaf.dtype for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)}
        return result


def make(name: str, output: Path, *, precision: str, **fields: Any) -> Job:
    """A training of a kind on a network of two products and no dropout; views are disturbed by small noise."""
    part, kind = name.split("-")
    section, fields = {"kind": kind, **SMALL.get(kind, {})}, {"precision": precision, **fields}
    output.mkdir()
    if part == "joint":
        method = TypeAdapter(joint_kinds.JointConfig).validate_python(section)
        fields["augment"] = Augment() if method.interpolates else Augment(noise=0.3)
        setting = "gcd" if "gcd" in method.settings else "ncd"
        return make_joint_job(output, method, setting=setting, backbone=Mlp(hidden=(32,), dim=16), **fields)
    fields["augment"] = {"mask": 0.3} if kind == "vime" else {} if kind == "rotation" else {"noise": 0.1}
    config = PretrainConfig.model_validate({"objective": section, **fields})
    if kind != "rotation":
        return make_job(output, config, backbone=Mlp(hidden=(16,), dim=8))
    pixels = np.random.default_rng(0).integers(0, 256, (90, 8, 8, 1), dtype=np.uint8)
    return make_job(output, config, backbone=SmallCnn(widths=(4,), dim=5), source=ArrayImages(pixels))


def run(job: Job) -> dict[str, Any]:
    monitor = LocalMonitor(Watcher().tick, lambda: False)
    return launch(train, job, resources=Resources("cpu"), precision=job.config.precision, monitor=monitor)


@pytest.mark.parametrize("name", ALL)
def test_the_first_loss_is_that_of_fp32_but_for_two_roundings(tmp_path: Path, name: str) -> None:
    """All rows are one batch, so that the metrics are those of the weights at the start.

    Losses here are means and sums of about 1 of terms that change by about as much as features do; features have gone
    through two products, each of which is rounded once. bf16 would round eight times as much.
    """
    ends = {
        precision: run(make(name, tmp_path / precision, precision=precision, epochs=1, batch_size=256))["metrics"]
        for precision in ("fp32", "fp16")
    }
    for part, expected in ends["fp32"].items():
        if part != "held_out_known_accuracy":  # after the step
            assert ends["fp16"][part] == pytest.approx(expected, rel=2 * ROUNDING, abs=2 * ROUNDING), part


@pytest.mark.parametrize("name", ALL)
def test_a_training_goes_on_with_finite_losses_in_float32(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which operations autocast computes in float32 differs between a CPU and a GPU: no loss may depend on that."""
    losses, products = Dtypes(), set[torch.dtype]()
    forward = InFull.forward

    def watched(self: InFull, *arguments: Any, **named: Any) -> Any:
        with losses:
            return forward(self, *arguments, **named)

    monkeypatch.setattr(InFull, "forward", watched)
    epochs = 2 if name.startswith("joint") else 4  # where there are fewer batches: the first ones only lower the scale
    job = make(name, tmp_path / "run", precision="fp16", epochs=epochs, batch_size=20)
    for module in job.backbone.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            module.register_forward_hook(lambda _, __, made: products.add(made.dtype) if made.requires_grad else None)
    before = {key: value.clone() for key, value in job.objective.state_dict().items()}
    told = run(job)
    assert products == {torch.float16}
    assert torch.float32 in losses.found
    assert not losses.found & {torch.float16, torch.bfloat16}
    assert all(np.isfinite(value) for value in told["metrics"].values())
    assert told["loss_scale"] >= 2.0**4
    after = {**job.objective.state_dict()}
    assert all(bool(torch.isfinite(value.float()).all()) for value in after.values())
    assert any(key not in before or not torch.equal(before[key], value) for key, value in after.items())
