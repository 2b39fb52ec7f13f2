"""How much faster an epoch is where what frozen blocks make of views is kept, and after how many epochs that pays.

    python scripts/bench/frozen_blocks.py                       # ViT-S/16 at 224 pixels, the last block trained
    python scripts/bench/frozen_blocks.py --blocks 2 --views 8
    python scripts/bench/frozen_blocks.py --method simgcd       # joint training, in place of GCD's pretraining

Both sides train the same network (random weights: they take as long as others) on the same images with the same loss,
as the `pretrain` or `joint_training` stage does: the first one reads images, augments them and runs all blocks, the
second one reads what was kept. Seconds are those of `timing.jsonl`, the median of the epochs.
"""

from __future__ import annotations

import argparse
import json
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
from ncdcli.models.backbone import InputSpec
from ncdcli.models.build import build_backbone
from ncdcli.models.kinds import Timm
from ncdcli.objectives.kinds import KINDS, Augment, PretrainConfig, SupConInfoNCE
from ncdcli.pipeline.context import Resources, SilentProgress, StageContext
from ncdcli.recipe.base import import_kind
from ncdcli.training.batches import ArrayImages
from ncdcli.training.caching import with_cached_views
from ncdcli.training.devices import pick_device, pick_precision
from ncdcli.training.job import Job
from ncdcli.training.launch import launch
from ncdcli.training.loop import train
from ncdcli.training.monitor import LocalMonitor

SIDE = 224
AUGMENT = Augment(resize_crop=0.75, flip=True)  # as in the recipes with DINO


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="vit_small_patch16_224", help="of timm")
    parser.add_argument("--blocks", type=int, default=1, help="last blocks that are trained")
    parser.add_argument("--views", type=int, default=2, help="that are kept of each image")
    parser.add_argument("--method", choices=METHODS, help="a joint method, in place of GCD's pretraining")
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=3, help="that are timed, on each side")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=["auto", "fp32", "bf16", "fp16"], default="auto")
    options = parser.parse_args()
    pixels = np.random.default_rng(0).integers(0, 256, (options.images, SIDE, SIDE, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        fresh = epoch_seconds(make_job(options, pixels, Path(folder), cached=False), options)
    with tempfile.TemporaryDirectory() as folder:
        job = make_job(options, pixels, Path(folder), cached=True)
        started = time.perf_counter()
        job = with_cached_views(context(options, Path(folder)), job, precision(options))
        building = time.perf_counter() - started
        source: Any = job.source
        kept = epoch_seconds(job, options)
        tell(options, fresh, kept, building, source.store)


def tell(options: argparse.Namespace, fresh: list[float], kept: list[float], building: float, store: Any) -> None:
    """Print what was measured."""
    one, other = statistics.median(fresh), statistics.median(kept)
    print(f"{options.model}, last {options.blocks} trained by {options.method or 'supcon_infonce'}", end=", ")
    print(f"{options.images} images of {SIDE} pixels", end=", ")
    print(f"{precision(options)} on {options.device}, {torch.get_num_threads()} threads")
    print(f"epoch with fresh views   {one:8.2f} s   (all: {', '.join(f'{value:.2f}' for value in fresh)})")
    print(f"epoch with kept views    {other:8.2f} s   (all: {', '.join(f'{value:.2f}' for value in kept)})")
    print(f"faster                   {one / other:8.1f} ×")
    print(f"keeping {store.views} views          {building:8.2f} s   = {building / one:.2f} epochs with fresh views")
    print(f"bytes of a view          {store.view_bytes:8,}     {store.size_bytes / 1e6:.0f} MB in all, {store.dtype}")
    print(f"pays after               {building / (one - other):8.1f} epochs")


def make_job(options: argparse.Namespace, pixels: np.ndarray, folder: Path, *, cached: bool) -> Job:
    """A fresh model, its loss and its settings."""
    config = Timm(name=options.model, weights="none", train_last_blocks=options.blocks, crop_fraction=1.0)
    torch.manual_seed(0)
    backbone = build_backbone(config, InputSpec("images", pixels.shape[1:][::-1], 3))
    labels = np.where(np.arange(len(pixels)) % 2, np.arange(len(pixels)) % 5, -1)
    common: dict[str, Any] = {
        "epochs": options.epochs, "batch_size": options.batch, "augment": AUGMENT, "precision": options.precision,
        "cached_views": options.views if cached else None,
    }  # fmt: skip
    rows, stream = np.arange(len(pixels)), np.random.SeedSequence(0)
    if options.method is None:
        learnt = SupConInfoNCE()
        objective = import_kind(KINDS, learnt.kind).build(learnt, backbone, n_known=5)
        pretraining = PretrainConfig(objective=learnt, **common)
        return Job(backbone, objective, ArrayImages(pixels), rows, labels, None, pretraining, stream, folder)
    section: Any = TypeAdapter(JointConfig).validate_python({"kind": options.method})
    method = import_kind(METHODS, options.method).make(section, backbone, task=Task(5, 10, section.settings[0]))
    training = JointTrainingConfig(method=section, **common)
    return Job(backbone, method, ArrayImages(pixels), rows, labels, None, training, stream, folder)


def context(options: argparse.Namespace, folder: Path) -> StageContext:
    """What a stage is given."""
    return StageContext({}, folder, np.random.SeedSequence(0), Resources(options.device), SilentProgress())


def precision(options: argparse.Namespace) -> str:
    """fp32, bf16 or fp16."""
    return pick_precision(options.precision, pick_device(options.device))


def epoch_seconds(job: Job, options: argparse.Namespace) -> list[float]:
    """Seconds of each epoch, checkpoints left out."""
    monitor = LocalMonitor(lambda advance=1, /, **values: None, lambda: False)
    launch(train, job, resources=Resources(options.device), precision=precision(options), monitor=monitor)
    lines = (job.output / "timing.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["seconds"] for line in lines]


if __name__ == "__main__":
    main()
