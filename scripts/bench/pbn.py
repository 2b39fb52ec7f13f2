"""How fast PBN trains on a table beside a bare loop of the same model.

    OMP_WAIT_POLICY=PASSIVE python scripts/bench/pbn.py                       # 3,823 rows of 64 numbers, as Optdigits
    python scripts/bench/pbn.py --table FOLDER/tables/optdigits.dat --epochs 200

Both sides train the same layers with the same loss, optimizer and batch size, one after the other in turns. The bare
loop slices a tensor that was shuffled once and does nothing but steps; `ncd` shuffles, seeds every step, logs, checks
and saves. Times are those of the processor (all threads), which other programs disturb less, and those of the wall.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from math import floor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ncdcli.models.backbone import InputSpec
from ncdcli.models.build import build_backbone
from ncdcli.models.kinds import Mlp
from ncdcli.objectives.kinds import Optimizer, Pbn, PretrainConfig, Schedule
from ncdcli.objectives.pbn import Pbn as Objective
from ncdcli.pipeline.context import Resources
from ncdcli.training.batches import Vectors
from ncdcli.training.job import Job
from ncdcli.training.launch import launch
from ncdcli.training.loop import train
from ncdcli.training.monitor import LocalMonitor

LR, WEIGHT, DROPOUT, DIM, BATCH, KNOWN = 8.756e-4, 0.0637, 0.08648, 58, 512, 5


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, help="comma-separated numbers, the class last; default: random ones")
    parser.add_argument("--rows", type=int, default=3823, help="rows to train on")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    values, labels = read(options.table, options.rows)
    ncd_training(values, labels, 2)  # imports and first allocations are not timed
    sides: dict[str, Callable[..., None]] = {"bare loop": bare_training, "ncd": ncd_training}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for _ in range(options.repeats):
        for name, side in sides.items():
            times[name].append(measure(side, values, labels, options.epochs))
    shape = f"{values.shape[0]} rows of {values.shape[1]} numbers"
    print(f"PBN, {shape}, {options.epochs} epochs, {options.threads} thread(s), medians of {options.repeats}")
    bare = [statistics.median(column) for column in zip(*times["bare loop"], strict=True)]
    for name, pairs in times.items():
        processor, wall = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratios = f"{processor / bare[0]:5.2f} and {wall / bare[1]:5.2f} of the bare loop"
        print(f"{name:10} {processor:7.2f} s of the processor, {wall:7.2f} s   {ratios}")


def read(table: Path | None, rows: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """(n, d) scaled numbers, and (n,) classes below KNOWN, -1 for the others."""
    if table is None:
        rng = np.random.default_rng(0)
        values, classes = rng.normal(size=(rows, 64)), rng.integers(0, 10, rows)
    else:
        content = np.loadtxt(table, delimiter=",")[:rows]
        values, classes = content[:, :-1], content[:, -1].astype(np.int64)
        values = values[:, values.std(0) > 0]
        values = (values - values.mean(0)) / values.std(0)
    return values.astype(np.float32), np.where(classes < KNOWN, classes, -1)


def measure(side: Callable[..., None], *arguments: Any) -> tuple[float, float]:
    """Seconds of the processor, and of the wall."""
    processor, wall = time.process_time(), time.perf_counter()
    side(*arguments)
    return time.process_time() - processor, time.perf_counter() - wall


def bare_training(values: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], epochs: int) -> None:
    """What somebody would write for this model alone."""
    width = values.shape[1]
    hidden = [floor(0.75 * width), floor(0.5 * width)]
    encoder, decoder = layers([width, *hidden, DIM]), layers([DIM, *hidden[::-1], width])
    classifier = nn.Linear(DIM, KNOWN)
    parameters = [p for module in (encoder, decoder, classifier) for p in module.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=LR)
    order = torch.randperm(len(values))
    inputs, targets = torch.from_numpy(values)[order], torch.from_numpy(labels)[order]
    for _ in range(epochs):
        total = 0.0
        for start in range(0, len(inputs), BATCH):
            rows, classes = inputs[start : start + BATCH], targets[start : start + BATCH]
            latent = F.normalize(encoder(rows), dim=1)
            known = classes >= 0
            supervised = F.cross_entropy(classifier(latent[known]), classes[known])
            reconstruction = (decoder(latent) - rows).square().sum(1).mean()
            loss = WEIGHT * supervised + (1 - WEIGHT) * reconstruction
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()


def layers(widths: list[int]) -> nn.Sequential:
    """Linear, ReLU, batch norm, dropout; the last layer is linear."""
    modules: list[nn.Module] = []
    for before, after in pairwise(widths[:-1]):
        modules += [nn.Linear(before, after), nn.ReLU(), nn.BatchNorm1d(after), nn.Dropout(DROPOUT)]
    return nn.Sequential(*modules, nn.Linear(widths[-2], widths[-1]))


def ncd_training(values: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], epochs: int) -> None:
    """The same as the `pretrain` stage trains it, checkpoints included."""
    config = PretrainConfig(
        objective=Pbn(supervised_weight=WEIGHT),
        epochs=epochs,
        batch_size=BATCH,
        optimizer=Optimizer(lr=LR, weight_decay=0.01),
        schedule=Schedule(kind="constant"),
    )
    source = Vectors(values, "tables")
    backbone = build_backbone(Mlp(hidden=(0.75, 0.5), dim=DIM, dropout=DROPOUT), InputSpec("tables", values.shape[1:]))
    objective = Objective.build(config.objective, backbone, n_known=KNOWN)
    rows, stream = np.arange(len(values)), np.random.SeedSequence(0)
    with tempfile.TemporaryDirectory() as folder:
        job = Job(backbone, objective, source, rows, labels, None, config, stream, Path(folder))
        monitor = LocalMonitor(lambda advance=1, /, **values: None, lambda: False)
        launch(train, job, resources=Resources("cpu"), precision="fp32", monitor=monitor)


if __name__ == "__main__":
    main()
