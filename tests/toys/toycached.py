"""Trainings on kept views beside the same on fresh ones, and one that is killed while views are made."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from toytraining import Watcher

from ncdcli.clustering.base import Problem
from ncdcli.joint.base import Task
from ncdcli.joint.kinds import KINDS as METHODS
from ncdcli.joint.kinds import JointSection, JointTrainingConfig
from ncdcli.models.build import build_backbone
from ncdcli.models.inference import forward_batches
from ncdcli.models.kinds import SmallCnn, Timm
from ncdcli.objectives.kinds import KINDS, Augment, CrossEntropy, Optimizer, PretrainConfig
from ncdcli.pipeline.context import Resources, SilentProgress, StageContext
from ncdcli.recipe.base import import_kind
from ncdcli.stages.joint_training import freeze_anew
from ncdcli.training import caching
from ncdcli.training.batches import ArrayImages
from ncdcli.training.heldout import HeldOut
from ncdcli.training.job import Job
from ncdcli.training.launch import launch
from ncdcli.training.loop import train
from ncdcli.training.monitor import LocalMonitor
from ncdcli.training.streams import Key, torch_seeded

SIDE, N = 16, 45
CNN = SmallCnn(widths=(4, 8, 8), dim=6)
VIT = Timm(name="vit_tiny_patch16_224", weights="none", image_size=SIDE, crop_fraction=1.0)
SGD = Optimizer(kind="sgd", lr=0.05)  # steps as long as gradients: rounding is not made larger
VIEWS = Augment(shift=0.1, rotate=20, noise=0.05)


def make_job(
    output: Path, learnt: Any = None, *, backbone: Any = CNN, blocks: Any = 1, epochs: int = 1, **fields: Any
) -> Job:
    """45 noise images; classes 0 and 1 are known, a third of the images labelled, six of them held out."""
    output.mkdir(exist_ok=True)
    rng, rows, stream = np.random.default_rng(0), np.arange(N), np.random.SeedSequence(5)
    learnt, labels = learnt or CrossEntropy(), np.where(rows % 3 == 0, rows % 2, -1)
    source = ArrayImages(rng.integers(0, 256, (N, SIDE, SIDE, 3), dtype=np.uint8))
    given: dict[str, Any] = {"epochs": epochs, "batch_size": 16, "optimizer": SGD, "augment": Augment()} | fields
    joint = isinstance(learnt, JointSection)
    config: Any = JointTrainingConfig(method=learnt, **given) if joint else PretrainConfig(objective=learnt, **given)
    with torch_seeded(stream, Key.WEIGHTS):
        model = build_backbone(backbone, source.spec)
        freeze_anew(model, blocks, name=backbone.kind)
        made: Any = import_kind(METHODS if joint else KINDS, learnt.kind)
        if joint:
            made = made.make(learnt, model, task=Task(2, 4, learnt.settings[0]))
            parts = [part for _, part in forward_batches(model.eval(), source, rows, device=torch.device("cpu"))]
            problem = Problem(torch.cat(parts).numpy(), labels, 2, 4, learnt.settings[0] == "ncd")
            made.start(problem, np.random.default_rng(0))
        else:
            made = made.build(learnt, model, n_known=2)
    labelled = rows[rows % 3 == 0]
    held_out = HeldOut(source, labelled, labelled % 2, rows[1:18:3], rows[1:18:3] % 2, 2)
    rows = rows if made.uses_pool else labelled
    labels = labels if made.uses_pool else labels[labelled]
    return Job(model, made, source, rows, labels, held_out, config, stream, output)


def cached(job: Job, *, watcher: Watcher | None = None, precision: str = "fp32", processes: int = 1) -> Job:
    """The job on kept views."""
    watcher = watcher or Watcher()
    progress: Any = SilentProgress()
    progress.track = lambda *_: _Track(watcher)
    context = StageContext(
        {}, job.output, job.stream, Resources("cpu", processes=processes), progress,
        stop_requested=watcher.stop_requested,
    )  # fmt: skip
    return caching.with_cached_views(context, job, precision)


def run(job: Job, *, watcher: Watcher | None = None, processes: int = 1) -> dict[str, Tensor]:
    """The weights after training."""
    watcher = watcher or Watcher()
    monitor = LocalMonitor(watcher.tick, watcher.stop_requested)
    launch(train, job, resources=Resources("cpu", processes=processes), precision="fp32", monitor=monitor)
    return load_file(job.output / "model.safetensors")


def kept(folder: Path) -> dict[str, bytes]:
    """The bytes of the files of views."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("checkpoint-*.bin"))}


class _Track:
    def __init__(self, watcher: Watcher) -> None:
        self.watcher = watcher

    def __enter__(self) -> Any:
        return self.watcher.tick

    def __exit__(self, *_: object) -> None:
        pass


def killed_while_making_views(output: Path, after: int, save_seconds: float) -> None:
    """Die by SIGKILL after so many batches were written, of which no record may tell. In a process of its own."""
    torch.set_num_threads(1)
    caching.VIEWS, caching.SAVE_SECONDS = 6, save_seconds
    write, written = caching.Caching._write, [0]

    def write_and_die(*given: Any) -> None:
        write(*given)
        written[0] += 1
        if written[0] == after:
            given[1].flush()
            os.kill(os.getpid(), signal.SIGKILL)

    caching.Caching._write = write_and_die  # type: ignore[method-assign]
    cached(make_job(output, cached_views=3, augment=VIEWS))
