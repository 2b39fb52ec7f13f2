"""A small joint training: four blobs of vectors, the last two without labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from ncdcli.clustering.base import Problem
from ncdcli.joint.base import Task
from ncdcli.joint.kinds import KINDS, JointTrainingConfig
from ncdcli.models.build import build_backbone
from ncdcli.models.kinds import Mlp
from ncdcli.objectives.kinds import Augment, Optimizer
from ncdcli.recipe.base import import_kind
from ncdcli.training.batches import Vectors
from ncdcli.training.job import Job
from ncdcli.training.streams import Key, torch_seeded


def blobs(setting: str = "gcd", *, each: int = 40, dim: int = 10, k: int = 4, spread: float = 3.0) -> tuple[Any, ...]:
    """(vectors, classes, labels): classes 0 and 1 are known, and half of their rows labelled (NCD: all)."""
    rng = np.random.default_rng(3)
    classes = np.arange(k * each) % k
    vectors = (rng.normal(0, spread, (k, dim))[classes] + rng.normal(0, 1, (k * each, dim))).astype(np.float32)
    labelled = (classes < 2) & ((np.arange(k * each) // k % 2 == 0) | (setting == "ncd"))
    return vectors, classes, np.where(labelled, classes, -1)


def make_joint_job(
    output: Path,
    method: Any,
    *,
    setting: str = "gcd",
    epochs: int = 20,
    k: int | None = 4,
    backbone: Any = None,
    **config: Any,
) -> Job:
    """A job on the blobs. Fields of the section `joint_training` may be given."""
    vectors, _, labels = blobs(setting)
    fields = {"augment": Augment(noise=0.3), "optimizer": Optimizer(lr=5e-3), "batch_size": 32} | config
    section = JointTrainingConfig(method=method, epochs=epochs, **fields)
    source, stream, rows = Vectors(vectors, "tables"), np.random.SeedSequence(5), np.arange(len(labels))
    with torch_seeded(stream, Key.WEIGHTS):
        net = build_backbone(backbone or Mlp(hidden=(32,), dim=16), source.spec)
        made = import_kind(KINDS, method.kind).make(method, net, task=Task(2, k, setting))
        with torch.no_grad():
            embeddings = net.eval()(torch.from_numpy(vectors)).numpy()
        made.start(Problem(embeddings, labels, 2, k, setting == "ncd"), np.random.default_rng(0))
    return Job(net, made, source, rows, labels, None, section, stream, output, "joint_training")


def answers(job: Job) -> Any:
    """(n, k) logits of all rows after training."""
    job.backbone.eval()
    job.objective.eval()
    with torch.no_grad():
        values = torch.from_numpy(job.source.values)  # type: ignore[attr-defined]
        return job.objective.logits(job.backbone(values)).numpy()  # type: ignore[operator]
