"""Training on views of two sizes: resumed, and on two processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from toytraining import Watcher

from ncdcli.errors import Interrupted
from ncdcli.joint.base import Task
from ncdcli.joint.kinds import KINDS, CrNcd, JointTrainingConfig, Uno
from ncdcli.models.build import build_backbone
from ncdcli.models.kinds import SmallCnn
from ncdcli.objectives.kinds import Augment, Optimizer
from ncdcli.pipeline.context import Resources
from ncdcli.recipe.base import import_kind
from ncdcli.training.batches import ArrayImages
from ncdcli.training.job import Job
from ncdcli.training.launch import launch
from ncdcli.training.loop import train
from ncdcli.training.monitor import LocalMonitor
from ncdcli.training.streams import Key, torch_seeded

AUGMENT = Augment(shift=0.1, noise=0.05, small_crops=2, small_size=5)
SGD = Optimizer(kind="sgd", lr=0.02)  # AdamW makes steps of the rounding of gradients that are zero: before batch norms
SMALL: dict[str, Any] = {"hidden": 8, "projection": 4, "heads": 2}


def make_job(output: Path, method: Any, *, epochs: int = 2) -> Job:
    """A job on 45 noise images of 8 × 8 pixels, a third of which are labelled."""
    output.mkdir(exist_ok=True)
    source = ArrayImages(np.random.default_rng(0).integers(0, 256, (45, 8, 8, 1), dtype=np.uint8))
    labels, stream = np.where(np.arange(45) % 3, -1, np.arange(45) % 2), np.random.SeedSequence(5)
    config = JointTrainingConfig(method=method, epochs=epochs, batch_size=16, augment=AUGMENT, optimizer=SGD)
    with torch_seeded(stream, Key.WEIGHTS):
        backbone = build_backbone(SmallCnn(widths=(4, 8), dim=5), source.spec)
        made = import_kind(KINDS, method.kind).make(method, backbone, task=Task(2, 4, "ncd"))
    return Job(backbone, made, source, np.arange(45), labels, None, config, stream, output, "joint_training")


def run(job: Job, *, processes: int = 1, watcher: Watcher | None = None) -> dict[str, torch.Tensor]:
    watcher = watcher or Watcher()
    monitor = LocalMonitor(watcher.tick, watcher.stop_requested)
    launch(train, job, resources=Resources("cpu", processes=processes), precision="fp32", monitor=monitor)
    return load_file(job.output / "model.safetensors")


@pytest.mark.parametrize("method", [Uno(**SMALL, overcluster_factor=2), CrNcd(**SMALL)], ids=["uno", "crncd"])
def test_an_interrupted_training_ends_with_the_same_weights(tmp_path: Path, method: Any) -> None:
    whole = run(make_job(tmp_path / "whole", method))
    with pytest.raises(Interrupted):
        run(make_job(tmp_path / "parts", method), watcher=Watcher(stop_after=4))
    parts = run(make_job(tmp_path / "parts", method))
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


@pytest.mark.usefixtures("quick_processes")
def test_two_processes_learn_the_same(tmp_path: Path) -> None:
    alone = run(make_job(tmp_path / "one", CrNcd(**SMALL)))
    both = run(make_job(tmp_path / "two", CrNcd(**SMALL)), processes=2)
    for name, value in alone.items():
        assert torch.allclose(value.float(), both[name].float(), rtol=1e-3, atol=2e-5), name
