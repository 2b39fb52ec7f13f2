"""Trains small things; see `toytraining`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "toys"))

from toytraining import Watcher, make_job

from ncdcli.objectives.kinds import PretrainConfig
from ncdcli.pipeline.context import Resources
from ncdcli.training.launch import launch
from ncdcli.training.loop import train
from ncdcli.training.monitor import LocalMonitor

torch.set_num_threads(1)  # tiny tensors: threads would only wait for each other
Fit = Callable[..., dict[str, Any]]


@pytest.fixture
def fit(tmp_path: Path) -> Fit:
    """Trains in `tmp_path / name` and returns what `train` does."""

    def run(name: str, config: PretrainConfig, *, watcher: Watcher | None = None, processes: int = 1, **kw: Any) -> Any:
        output = tmp_path / name
        output.mkdir(exist_ok=True)
        watcher = watcher or Watcher()
        job = make_job(output, config, **kw)
        monitor = LocalMonitor(watcher.tick, watcher.stop_requested)
        resources = Resources("cpu", processes=processes)
        return launch(train, job, resources=resources, precision=config.precision, monitor=monitor)

    return run
