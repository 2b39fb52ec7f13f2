"""Two processes on a CPU do what one does."""

from __future__ import annotations

import queue
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from toytraining import Watcher, fail_in_second, make_job, train_each

from ncdcli.errors import Interrupted, NcdError
from ncdcli.models.kinds import Mlp, SmallCnn
from ncdcli.objectives.kinds import Augment, CrossEntropy, PretrainConfig, SupConInfoNCE
from ncdcli.pipeline.context import Resources
from ncdcli.training.batches import ArrayImages
from ncdcli.training.gather import share_batch_norm
from ncdcli.training.launch import launch
from ncdcli.training.monitor import LocalMonitor, relay

pytestmark = pytest.mark.slow

GCD = SupConInfoNCE(head_hidden=32, head_bottleneck=8, head_out=64)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def assert_close(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        assert torch.allclose(one[name].float(), other[name].float(), rtol=1e-3, atol=2e-5), name


def test_two_processes_learn_the_same(fit: Any, tmp_path: Path) -> None:
    """Vectors: contrasts over the whole batch, batch norms, noise, and an odd number of rows in the last batch
    (90 = 12 · 7 + 6). Images: random views, clipped gradients. Both in one start of the processes.
    """
    vectors = PretrainConfig(objective=GCD, epochs=2, batch_size=7, sampler="balanced", augment=Augment(noise=0.1))
    augment = Augment(shift=0.1, rotate=10, noise=0.1)
    images = PretrainConfig(objective=CrossEntropy(), epochs=2, batch_size=9, augment=augment, gradient_clip=0.5)
    pixels = np.random.default_rng(0).integers(0, 256, (90, 8, 8, 1), dtype=np.uint8)
    tasks: dict[str, tuple[PretrainConfig, dict[str, Any]]] = {
        "vectors": (vectors, {"backbone": Mlp(hidden=(16,), dim=8)}),
        "images": (images, {"backbone": SmallCnn(widths=(4, 8), dim=5), "source": ArrayImages(pixels)}),
    }
    watchers = Watcher(), Watcher()
    alone, jobs = [], []
    for name, (config, keywords) in tasks.items():
        alone.append(fit(f"one-{name}", config, **keywords, watcher=watchers[0]))
        output = tmp_path / f"two-{name}"
        output.mkdir()
        jobs.append(make_job(output, config, **keywords))
    monitor = LocalMonitor(watchers[1].tick, watchers[1].stop_requested)
    told = launch(train_each, jobs, resources=Resources("cpu", processes=2), precision="fp32", monitor=monitor)
    for name, before, now in zip(tasks, alone, told, strict=True):
        assert_close(weights(tmp_path / f"one-{name}"), weights(tmp_path / f"two-{name}"))
        assert now["metrics"]["loss"] == pytest.approx(before["metrics"]["loss"], rel=1e-4)
        assert now["metrics"]["samples"] == before["metrics"]["samples"]
    assert told[0]["metrics"]["samples"] == 90
    assert watchers[1].ticks == watchers[0].ticks >= 2 * 13


@pytest.mark.usefixtures("quick_processes")
def test_two_processes_leave_out_the_same_steps_in_float16(fit: Any, tmp_path: Path) -> None:
    """The first gradients overflow. Were one process to step where the other does not, their weights would part."""
    config = PretrainConfig(objective=GCD, epochs=3, batch_size=16, gradient_clip=0.5, precision="fp16")
    one, two = (fit(str(n), config, backbone=Mlp(hidden=(16,), dim=8), processes=n) for n in (1, 2))
    assert two["loss_scale"] == one["loss_scale"] / 2 < 2.0**15
    assert two["metrics"]["loss"] == pytest.approx(one["metrics"]["loss"], rel=2 * 2**-11)


@pytest.mark.usefixtures("quick_processes")
def test_two_processes_stop_together_and_go_on_alone(fit: Any, tmp_path: Path) -> None:
    config = PretrainConfig(objective=GCD, epochs=200, batch_size=16)
    backbone = Mlp(hidden=(16,), dim=8)
    with pytest.raises(Interrupted, match="its state is saved"):
        fit("parts", config, backbone=backbone, processes=2, watcher=Watcher(stop_after=5))
    checkpoint = torch.load(tmp_path / "parts/checkpoint.pt", weights_only=True)
    done = checkpoint["state"]["epoch"] * 6 + checkpoint["state"]["batch"]
    assert 5 <= done < 1200


@pytest.mark.usefixtures("quick_processes")
def test_an_error_of_any_process_is_raised(tmp_path: Path) -> None:
    watcher = Watcher()
    monitor = LocalMonitor(watcher.tick, watcher.stop_requested)
    with pytest.raises(NcdError, match="the second process cannot go on") as caught:
        launch(fail_in_second, None, resources=Resources("cpu", processes=2), precision="fp32", monitor=monitor)
    assert caught.value.hint == "none"


def test_shared_batch_norms_keep_the_names_of_the_state() -> None:
    from ncdcli.models.backbone import InputSpec
    from ncdcli.models.build import build_backbone

    backbone = build_backbone(Mlp(hidden=(4, 4)), InputSpec("tables", (3,)))
    names = list(backbone.state_dict())
    share_batch_norm(backbone)
    assert list(backbone.state_dict()) == names


def test_nobody_is_asked_to_stop_before_the_processes_have_started() -> None:
    """Whoever asks is trusted to act on it; processes that still import torch cannot."""
    messages: queue.Queue[tuple[int, dict[str, float]]] = queue.Queue()
    stop, asked, rounds = threading.Event(), [], iter(range(4))
    local = LocalMonitor(lambda advance=1, /, **values: None, lambda: bool(asked.append(stop.is_set()) or True))

    def finished() -> bool:
        number = next(rounds)
        if number == 1:
            assert asked == []
            messages.put((1, {}))
        return number == 3

    relay(messages, stop, local, finished)
    assert asked
    assert stop.is_set()
