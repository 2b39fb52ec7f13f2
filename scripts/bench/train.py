"""How fast training is beside a bare loop of the same steps.

    OMP_WAIT_POLICY=PASSIVE python scripts/bench/train.py     # as `ncd` sets it for itself

Both sides train the same small CNN with the same loss and optimizer on the same images. The bare loop has its batches
ready in memory and does nothing but steps; `ncd` reads, augments, logs, checks and saves.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from ncdcli.models.backbone import Backbone, InputSpec
from ncdcli.models.build import build_backbone
from ncdcli.models.kinds import SmallCnn
from ncdcli.objectives.kinds import Augment, PretrainConfig, SupConInfoNCE
from ncdcli.objectives.supcon_infonce import SupConInfoNCE as Objective
from ncdcli.pipeline.context import Resources
from ncdcli.training.batches import ArrayImages
from ncdcli.training.launch import launch
from ncdcli.training.loop import Job, train
from ncdcli.training.monitor import LocalMonitor
from ncdcli.training.optim import make_optimizer

OBJECTIVE = SupConInfoNCE(head_hidden=256, head_bottleneck=64, head_out=1024)
PLAIN, VIEWS = Augment(), Augment(resize_crop=0.5, shift=0.1, rotate=10, flip=True, brightness=0.2, contrast=0.2)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1920)
    parser.add_argument("--side", type=int, default=28)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    shape = (options.images, options.side, options.side, 1)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    labels = np.where(np.arange(len(pixels)) % 2, np.arange(len(pixels)) % 5, -1)
    ncd_seconds(pixels[:256], labels[:256], PLAIN)  # imports and first allocations are not timed
    times: dict[str, list[float]] = {"bare loop": [], "ncd, plain views": [], "ncd, random views": []}
    for _ in range(options.repeats):
        times["bare loop"].append(bare_seconds(pixels, labels))
        times["ncd, plain views"].append(ncd_seconds(pixels, labels, PLAIN))
        times["ncd, random views"].append(ncd_seconds(pixels, labels, VIEWS))
    bare = statistics.median(times["bare loop"])
    print(f"{options.images} images of {options.side} pixels, two views each, {options.threads} threads")
    for name, values in times.items():
        middle = statistics.median(values)
        print(f"{name:20} {options.images / middle:8.0f} images/s   {bare / middle:5.2f} of the bare loop")


def make_parts(pixels: np.ndarray) -> tuple[Backbone, Objective, PretrainConfig]:
    """A fresh model, its loss, and the settings."""
    backbone = build_backbone(SmallCnn(), InputSpec("images", (1, *pixels.shape[1:3]), 1))
    return backbone, Objective(OBJECTIVE, dim=backbone.dim, n_known=5), PretrainConfig(objective=OBJECTIVE, epochs=1)


def bare_seconds(pixels: np.ndarray, labels: np.ndarray) -> float:
    """Seconds of one epoch of steps on ready batches."""
    backbone, objective, config = make_parts(pixels)
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


def ncd_seconds(pixels: np.ndarray, labels: np.ndarray, augment: Augment) -> float:
    """Seconds of one epoch as the `pretrain` stage trains it, checkpoint included."""
    backbone, objective, config = make_parts(pixels)
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
