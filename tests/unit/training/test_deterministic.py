"""`--deterministic` sets what torch and cuBLAS look at, for as long as a stage computes, in every process of it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from toytraining import Watcher, make_job, settings_of_torch, write_settings

from ncdcli.errors import NcdError
from ncdcli.models.kinds import SmallCnn
from ncdcli.models.small_cnn import grid_mean
from ncdcli.objectives.kinds import Augment, PretrainConfig
from ncdcli.pipeline.context import Resources
from ncdcli.training.batches import ArrayImages
from ncdcli.training.deterministic import WORKSPACE, deterministic
from ncdcli.training.launch import launch
from ncdcli.training.loop import train
from ncdcli.training.monitor import LocalMonitor

OFF = {"algorithms": False, "warn_only": False, "cudnn": False, "benchmark": False, "workspace": None}
ON = {"algorithms": True, "warn_only": False, "cudnn": True, "benchmark": False, "workspace": ":4096:8"}


@pytest.fixture(autouse=True)
def nobody_has_set_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(WORKSPACE, raising=False)
    assert settings_of_torch() == OFF


def go(work: Any, job: Any, **asked: Any) -> Any:
    watcher = Watcher()
    monitor = LocalMonitor(watcher.tick, watcher.stop_requested)
    return launch(work, job, resources=Resources("cpu", **asked), precision="fp32", monitor=monitor)


def test_settings_hold_within_and_are_put_back(tmp_path: Path) -> None:
    go(write_settings, tmp_path / "plain", deterministic=False)
    go(write_settings, tmp_path / "asked", deterministic=True)
    assert json.loads((tmp_path / "plain-0").read_text()) == OFF
    assert json.loads((tmp_path / "asked-0").read_text()) == ON
    assert settings_of_torch() == OFF


@pytest.mark.slow
@pytest.mark.usefixtures("quick_processes")
def test_settings_hold_in_every_process(tmp_path: Path) -> None:
    go(write_settings, tmp_path / "asked", deterministic=True, processes=2)
    assert [json.loads((tmp_path / f"asked-{rank}").read_text()) for rank in (0, 1)] == [ON, ON]
    assert settings_of_torch() == OFF


def test_what_the_user_has_set_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WORKSPACE, ":16:8")  # as good
    with deterministic(True):
        assert os.environ[WORKSPACE] == ":16:8"
    monkeypatch.setenv(WORKSPACE, ":0:0")
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    with deterministic(True):
        assert settings_of_torch() == ON
    assert settings_of_torch() == {**OFF, "benchmark": True, "workspace": ":0:0"}


def test_settings_are_put_back_after_an_error() -> None:
    with pytest.raises(ValueError, match="else"), deterministic(True):
        raise ValueError("something else")
    with pytest.raises(RuntimeError, match="something else"), deterministic(True):
        raise RuntimeError("something else")
    assert settings_of_torch() == OFF


def test_an_operation_without_a_deterministic_form_is_named() -> None:
    """Of those of torch this is one that has none on a CPU either."""
    values = torch.zeros(3)
    with pytest.raises(NcdError, match=r"`put_` has no deterministic form") as caught, deterministic(True):
        values.put_(torch.tensor([0, 0]), torch.tensor([1.0, 2.0]))
    assert "leave `--deterministic` out" in caught.value.hint
    assert "--device cpu" in caught.value.hint
    assert settings_of_torch() == OFF


def test_a_training_gives_the_same_bytes_in_every_repetition(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (90, 10, 10, 1), dtype=np.uint8)
    config = PretrainConfig(epochs=2, batch_size=16, augment=Augment(shift=0.1, rotate=10, noise=0.1))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        job = make_job(tmp_path / name, config, backbone=SmallCnn(widths=(4, 8), dim=5), source=ArrayImages(pixels))
        go(train, job, deterministic=True)
    for file in ("model.safetensors", "metrics.jsonl"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@pytest.mark.parametrize("sides", [(8, 8), (7, 5), (4, 4), (13, 9)])
def test_products_give_the_means_of_adaptive_pooling(sides: tuple[int, int]) -> None:
    inputs = torch.randn(3, 2, *sides, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(grid_mean(inputs, (4, 3)), nn.AdaptiveAvgPool2d((4, 3))(inputs), rtol=1e-6, atol=1e-6)
