"""A small training: three classes of vectors or images, the third without labels."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ncdcli.errors import NcdError
from ncdcli.models.build import build_backbone
from ncdcli.models.kinds import Mlp
from ncdcli.objectives.kinds import KINDS, PretrainConfig
from ncdcli.recipe.base import import_kind
from ncdcli.training.batches import Vectors
from ncdcli.training.heldout import HeldOut
from ncdcli.training.job import Job
from ncdcli.training.loop import train
from ncdcli.training.streams import Key, torch_seeded


@dataclass
class Watcher:
    """A progress bar that counts, and a stop button that is pressed after so many batches."""

    stop_after: int | None = None
    ticks: int = 0
    values: list[dict[str, float]] = field(default_factory=list)

    def tick(self, advance: int = 1, /, **values: float) -> None:
        self.ticks += advance
        if values:
            self.values.append(values)

    def stop_requested(self) -> bool:
        return self.stop_after is not None and self.ticks >= self.stop_after


def blobs(per_class: int = 30, dim: int = 12, seed: int = 0) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    rng = np.random.default_rng(seed)
    classes = np.arange(3 * per_class) % 3
    return (rng.normal(0, 3, (3, dim))[classes] + rng.normal(0, 1, (len(classes), dim))).astype(np.float32), classes


def make_job(output: Path, config: PretrainConfig, *, backbone: Any = None, source: Any = None) -> Job:
    """Classes 0 and 1 are known; half of their rows are labelled, the other half held out. Class 2 is novel."""
    vectors, classes = blobs()
    source = source or Vectors(vectors, "tables")
    stream = np.random.SeedSequence(5)
    with torch_seeded(stream, Key.WEIGHTS):
        backbone = build_backbone(backbone or Mlp(hidden=(16,), dim=8, dropout=0.2), source.spec)
        objective = import_kind(KINDS, config.objective.kind).build(config.objective, backbone, n_known=2)
    known = np.flatnonzero(classes < 2)
    pairs = known.reshape(-1, 2)  # one of each class
    labelled, held_out = pairs[::2].ravel(), pairs[1::2].ravel()
    rows = np.arange(len(classes)) if objective.uses_pool else labelled
    labels = np.where(np.isin(rows, labelled), classes[rows], -1)
    chooser = HeldOut(source, labelled, classes[labelled], held_out, classes[held_out], 2)
    return Job(backbone, objective, source, rows, labels, chooser, config, stream, output)


def train_each(fabric: Any, jobs: list[Job], monitor: Any) -> list[Any]:
    """Work of several trainings, one after the other: starting processes takes longer than any of them."""
    return [train(fabric, job, monitor) for job in jobs]


def fail_in_second(fabric: Any, job: Any, monitor: Any) -> None:
    """Work of which the second process fails, while the first one waits for it."""
    if fabric.global_rank == 1:
        raise NcdError("the second process cannot go on", hint="none")
    fabric.barrier()


def settings_of_torch() -> dict[str, Any]:
    """What decides whether torch computes alike in every repetition."""
    return {
        "algorithms": torch.are_deterministic_algorithms_enabled(),
        "warn_only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "cudnn": torch.backends.cudnn.deterministic,
        "benchmark": torch.backends.cudnn.benchmark,
        "workspace": os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
    }


def write_settings(fabric: Any, path: Path, monitor: Any) -> None:
    """Work that writes them to a file for each process."""
    path.with_name(f"{path.name}-{fabric.global_rank}").write_text(json.dumps(settings_of_torch()))
