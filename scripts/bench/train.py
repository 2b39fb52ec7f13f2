"""How fast training is beside a bare loop of the same steps.

    OMP_WAIT_POLICY=PASSIVE python scripts/bench/train.py     # as `ncd` sets it for itself
    python scripts/bench/train.py --method simgcd             # joint training; a method that needs no second backbone

Both sides train the same small CNN with the same loss and optimizer on the same images. The bare loop has its batches
ready in memory and does nothing but steps; `ncd` reads, augments, logs, checks and saves.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter

from ncdcli.joint.base import Task
from ncdcli.joint.kinds import KINDS as METHODS
from ncdcli.joint.kinds import JointConfig, JointTrainingConfig
from ncdcli.models.backbone import Backbone, InputSpec
from ncdcli.models.build import build_backbone
from ncdcli.models.kinds import SmallCnn
from ncdcli.objectives.base import Objective
from ncdcli.objectives.kinds import KINDS, Augment, PretrainConfig, SupConInfoNCE, TrainingConfig
from ncdcli.pipeline.context import Resources
from ncdcli.recipe.base import import_kind
from ncdcli.training.batches import ArrayImages
from ncdcli.training.job import Job
from ncdcli.training.launch import launch
from ncdcli.training.loop import train
from ncdcli.training.monitor import LocalMonitor
from ncdcli.training.optim import make_optimizer

OBJECTIVE = SupConInfoNCE(head_hidden=256, head_bottleneck=64, head_out=1024)
PLAIN, VIEWS = Augment(), Augment(resize_crop=0.5, shift=0.1, rotate=10, flip=True, brightness=0.2, contrast=0.2)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", choices=METHODS, help="a joint method, in place of GCD's pretraining")
    parser.add_argument("--images", type=int, default=1920)
    parser.add_argument("--side", type=int, default=28)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    shape = (options.images, options.side, options.side, 1)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    labels = np.where(np.arange(len(pixels)) % 2, np.arange(len(pixels)) % 5, -1)
    method = options.method
    ncd_seconds(pixels[:256], labels[:256], PLAIN, method)  # imports and first allocations are not timed
    times: dict[str, list[float]] = {"bare loop": [], "ncd, plain views": [], "ncd, random views": []}
    for _ in range(options.repeats):
        times["bare loop"].append(bare_seconds(pixels, labels, method))
        times["ncd, plain views"].append(ncd_seconds(pixels, labels, PLAIN, method))
        times["ncd, random views"].append(ncd_seconds(pixels, labels, VIEWS, method))
    bare = statistics.median(times["bare loop"])
    print(f"{options.images} images of {options.side} pixels, two views each, {options.threads} threads")
    for name, values in times.items():
        middle = statistics.median(values)
        print(f"{name:20} {options.images / middle:8.0f} images/s   {bare / middle:5.2f} of the bare loop")


def make_parts(pixels: np.ndarray, method: str | None) -> tuple[Backbone, Objective, TrainingConfig]:
    """A fresh model, its loss, and the settings."""
    backbone = build_backbone(SmallCnn(), InputSpec("images", (1, *pixels.shape[1:3]), 1))
    if method is None:
        objective = import_kind(KINDS, OBJECTIVE.kind).build(OBJECTIVE, backbone, n_known=5)
        return backbone, objective, PretrainConfig(objective=OBJECTIVE, epochs=1)
    section: Any = TypeAdapter(JointConfig).validate_python({"kind": method})
    made = import_kind(METHODS, method).make(section, backbone, task=Task(5, 10, section.settings[0]))
    return backbone, made, JointTrainingConfig(method=section, epochs=1)


def bare_seconds(pixels: np.ndarray, labels: np.ndarray, method: str | None) -> float:
    """Seconds of one epoch of steps on ready batches."""
    backbone, objective, config = make_parts(pixels, method)
    backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = make_optimizer(config.optimizer, [backbone, objective])
    views = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
    batches = [
        (torch.cat([part, part]).contiguous(memory_format=torch.channels_last), targets)
        for part, targets in zip(
            views.split(config.batch_size), torch.from_numpy(labels).split(config.batch_size), strict=True
        )
    ]
    started = time.perf_counter()
    for images, targets in batches:
        loss, _ = objective(backbone(images).chunk(2), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return time.perf_counter() - started


def ncd_seconds(pixels: np.ndarray, labels: np.ndarray, augment: Augment, method: str | None) -> float:
    """Seconds of one epoch as the `pretrain` or `joint_training` stage trains it, checkpoint included."""
    backbone, objective, config = make_parts(pixels, method)
    config = config.model_copy(update={"augment": augment})
    rows, stream = np.arange(len(pixels)), np.random.SeedSequence(0)
    with tempfile.TemporaryDirectory() as folder:
        job = Job(backbone, objective, ArrayImages(pixels), rows, labels, None, config, stream, Path(folder))
        monitor = LocalMonitor(lambda advance=1, /, **values: None, lambda: False)
        started = time.perf_counter()
        launch(train, job, resources=Resources("cpu"), precision="fp32", monitor=monitor)
        return time.perf_counter() - started


if __name__ == "__main__":
    main()
