"""Joint methods on small problems."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "toys"))

from toyjoint import make_joint_job
from toytraining import Watcher

from ncdcli.pipeline.context import Resources
from ncdcli.training.launch import launch
from ncdcli.training.loop import train
from ncdcli.training.monitor import LocalMonitor

torch.set_num_threads(1)  # tiny tensors: threads would only wait for each other


@pytest.fixture
def train_jointly(tmp_path: Path) -> Callable[..., Any]:
    """Trains a method in `tmp_path / name` and returns the finished job."""

    def run(name: str, method: Any, *, watcher: Watcher | None = None, **keywords: Any) -> Any:
        output = tmp_path / name
        output.mkdir(exist_ok=True)
        watcher = watcher or Watcher()
        job = make_joint_job(output, method, **keywords)
        monitor = LocalMonitor(watcher.tick, watcher.stop_requested)
        launch(train, job, resources=Resources("cpu"), precision="fp32", monitor=monitor)
        return job

    return run


def batch(*, views: int = 2, size: int = 12, dim: int = 6, n_known: int = 3, seed: int = 0) -> Any:
    """Features of views, and labels of which every other one is missing."""
    generator = torch.Generator().manual_seed(seed)
    features = [torch.randn(size, dim, generator=generator, requires_grad=True) for _ in range(views)]
    labels = torch.from_numpy(np.where(np.arange(size) % 2, -1, np.arange(size) // 2 % n_known))
    return features, labels


@pytest.fixture
def make_batch() -> Callable[..., Any]:
    """make_batch(views=…, size=…, dim=…, n_known=…, seed=…) -> (features, labels)"""
    return batch
