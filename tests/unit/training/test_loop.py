from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from toytraining import Watcher, blobs, make_job

from ncdcli.errors import Interrupted, NcdError
from ncdcli.models.kinds import Mlp, SmallCnn
from ncdcli.objectives.kinds import Augment, CrossEntropy, Optimizer, Pbn, PretrainConfig, SimCLR, SupConInfoNCE, Vime
from ncdcli.training import loop, sampler
from ncdcli.training.batches import ArrayImages
from ncdcli.training.checkpoint import Log, read_checkpoint
from ncdcli.training.launch import launch
from ncdcli.training.monitor import LocalMonitor
from ncdcli.training.sampler import n_batches

MASK = Augment(mask=0.3)
GCD = SupConInfoNCE(head_hidden=32, head_bottleneck=8, head_out=64)
VIEWS = Augment(noise=0.2, mask=0.1)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def metrics(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def assert_same(first: Path, second: Path) -> None:
    """Weights and metrics, bit for bit."""
    one, other = weights(first), weights(second)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert (first / "metrics.jsonl").read_bytes() == (second / "metrics.jsonl").read_bytes()


def test_training_learns_the_known_classes(fit: Any, tmp_path: Path) -> None:
    watcher = Watcher()
    config = PretrainConfig(epochs=15, batch_size=8, optimizer=Optimizer(lr=1e-2))
    told = fit("run", config, watcher=watcher)
    records = metrics(tmp_path / "run")
    assert [record["epoch"] for record in records] == list(range(1, 16))
    assert records[-1]["loss"] < 0.5 * records[0]["loss"]
    assert records[-1]["held_out_known_accuracy"] == 1.0
    assert records[0]["samples"] == 30
    assert told == {"chosen_epoch": 15, "selection": "last", "metrics": records[-1]}
    assert watcher.ticks == 15 * n_batches(30, 8)
    timing = [json.loads(line) for line in (tmp_path / "run/timing.jsonl").read_text().splitlines()]
    assert [entry["epoch"] for entry in timing] == list(range(1, 16))
    assert all(entry["samples_per_second"] > 0 for entry in timing)


@pytest.mark.parametrize("sampler", ["shuffle", "same_order"])
def test_pbn_learns_to_restore_and_to_classify(fit: Any, tmp_path: Path, sampler: Any) -> None:
    fit("run", PretrainConfig(objective=Pbn(), epochs=25, batch_size=16, sampler=sampler, optimizer=Optimizer(lr=1e-2)))
    records = metrics(tmp_path / "run")
    assert records[0]["samples"] == 90
    assert records[-1]["reconstruction"] < 0.5 * records[0]["reconstruction"]
    assert records[-1]["held_out_known_accuracy"] == 1.0


def test_vime_learns_to_restore_what_was_masked(fit: Any, tmp_path: Path) -> None:
    """The mean of every feature would leave its variance as the error."""
    config = PretrainConfig(objective=Vime(), epochs=60, batch_size=16, augment=MASK, optimizer=Optimizer(lr=1e-2))
    fit("run", config, backbone=Mlp(hidden=(64,), dim=32))
    assert metrics(tmp_path / "run")[-1]["values"] < 0.5 * blobs()[0].var(axis=0).mean()


def test_epochs_that_are_planned_at_once_are_those_planned_one_by_one(
    fit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = PretrainConfig(objective=GCD, epochs=5, batch_size=40, augment=VIEWS, sampler="balanced")
    for samples, name in ((90 * 3, "three"), (0, "one")):
        monkeypatch.setattr(sampler, "PLANNED_SAMPLES", samples)
        fit(name, config)
    assert_same(tmp_path / "three", tmp_path / "one")


@pytest.mark.parametrize("objective", [CrossEntropy(), GCD], ids=["cross_entropy", "supcon_infonce"])
def test_an_interrupted_training_ends_with_the_same_weights(fit: Any, tmp_path: Path, objective: Any) -> None:
    """Also within an epoch: an epoch has 12 batches (GCD, 90 rows) or 4 (labelled rows only)."""
    epochs = 4 if objective.kind == "supcon_infonce" else 12
    sampler = "balanced" if objective.kind == "supcon_infonce" else "shuffle"
    config = PretrainConfig(objective=objective, epochs=epochs, batch_size=8, augment=VIEWS, sampler=sampler)
    fit("whole", config)
    for stop_after in (1, 24, 25, 47):
        name = f"stopped after {stop_after}"
        with pytest.raises(Interrupted) as caught:
            fit(name, config, watcher=Watcher(stop_after=stop_after))
        assert caught.value.exit_code == 130
        assert not (tmp_path / name / "model.safetensors").exists()
        watcher = Watcher()
        fit(name, config, watcher=watcher)
        assert_same(tmp_path / "whole", tmp_path / name)
        assert watcher.ticks == 48


def test_a_kill_costs_at_most_the_time_since_the_last_checkpoint(
    fit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Metrics written after the checkpoint that a killed training left are not written twice."""
    monkeypatch.setattr(loop, "SAVE_SECONDS", 1e9)
    monkeypatch.setattr(loop, "Log", partial(Log, seconds=0))
    config = PretrainConfig(epochs=5, batch_size=8)
    fit("whole", config)

    class Killed(BaseException):
        pass

    def tick(advance: int = 1, /, **values: float) -> None:
        if values and values["loss"] and len(metrics(tmp_path / "killed")) == 3:
            raise Killed

    (tmp_path / "killed").mkdir()
    job = make_job(tmp_path / "killed", config)
    with pytest.raises(Interrupted):
        fit("killed", config, watcher=Watcher(stop_after=6))
    with pytest.raises(Killed):
        launch(loop.train, job, resources=_cpu(), precision="fp32", monitor=LocalMonitor(tick, lambda: False))
    assert len(metrics(tmp_path / "killed")) == 3
    fit("killed", config)
    assert_same(tmp_path / "whole", tmp_path / "killed")


def test_a_checkpoint_is_loaded_as_weights_only(fit: Any, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        fit("run", PretrainConfig(epochs=3, batch_size=8, selection="known-val"), watcher=Watcher(stop_after=6))
    state = read_checkpoint(tmp_path / "run")
    assert state is not None
    assert state["state"]["epoch"] == 1
    assert state["state"]["batch"] == 2
    assert not (tmp_path / "run/checkpoint.pt.tmp").exists()


def test_a_damaged_checkpoint_is_an_error_with_a_way_out(fit: Any, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/checkpoint.pt").write_bytes(b"PK\x03\x04 not a checkpoint")
    with pytest.raises(NcdError, match="cannot be read") as caught:
        fit("run", PretrainConfig(epochs=1))
    assert "--restart" in caught.value.hint


def test_a_diverging_training_says_so_and_leaves_no_checkpoint(fit: Any, tmp_path: Path) -> None:
    config = PretrainConfig(epochs=30, batch_size=8, optimizer=Optimizer(kind="sgd", lr=1e30))
    with pytest.raises(NcdError, match="training diverged") as caught:
        fit("run", config)
    assert "pretrain.optimizer.lr" in caught.value.hint
    checkpoint = read_checkpoint(tmp_path / "run")
    assert checkpoint is None or all(torch.isfinite(value).all() for value in checkpoint["backbone"].values())


def test_known_val_keeps_the_best_epoch(fit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accuracies = iter([0.2, 0.9, 0.9, 0.5])
    monkeypatch.setattr("ncdcli.training.heldout.HeldOut.accuracy", lambda *_: next(accuracies))
    told = fit("best", PretrainConfig(epochs=4, batch_size=8, selection="known-val"))
    assert told["chosen_epoch"] == 3
    assert told["selection"] == "known-val"
    assert told["metrics"]["held_out_known_accuracy"] == 0.9
    monkeypatch.undo()
    # A constant schedule makes the first epochs of a longer training those of a shorter one.
    constant = {"schedule": {"kind": "constant"}, "batch_size": 8}
    config = PretrainConfig.model_validate({"epochs": 3, **constant})
    fit("three", config)
    accuracies = iter([0.2, 0.9, 0.9, 0.5])
    monkeypatch.setattr("ncdcli.training.heldout.HeldOut.accuracy", lambda *_: next(accuracies))
    fit("chosen", PretrainConfig.model_validate({"epochs": 4, "selection": "known-val", **constant}))
    expected, given = weights(tmp_path / "three"), weights(tmp_path / "chosen")
    assert all(torch.equal(expected[name], given[name]) for name in expected)


def test_held_out_accuracy_is_that_of_the_nearest_mean(tmp_path: Path) -> None:
    job = make_job(tmp_path, PretrainConfig(objective=SimCLR()))
    assert job.held_out is not None
    given = job.held_out.accuracy(job.backbone, job.objective, torch.device("cpu"))
    job.backbone.eval()
    with torch.no_grad():
        features = job.backbone(torch.from_numpy(job.source.values)).numpy()  # type: ignore[attr-defined]
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    labelled, classes = job.held_out.labelled, job.held_out.labelled_classes
    means = np.stack([features[labelled[classes == known]].mean(0) for known in range(2)])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    nearest = (features[job.held_out.validation] @ means.T).argmax(1)
    assert given == pytest.approx((nearest == job.held_out.validation_classes).mean())


def test_training_leaves_the_global_generators_alone(fit: Any) -> None:
    torch.manual_seed(11)
    before, legacy = torch.random.get_rng_state(), np.random.get_state()[1].tolist()  # type: ignore[index,union-attr] # noqa: NPY002
    fit("run", PretrainConfig(epochs=1, batch_size=8, augment=VIEWS))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert np.random.get_state()[1].tolist() == legacy  # type: ignore[index,union-attr] # noqa: NPY002


def test_the_global_generators_have_no_say(fit: Any, tmp_path: Path) -> None:
    config = PretrainConfig(epochs=2, batch_size=8, augment=VIEWS)
    for seed in (1, 2):
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        fit(f"run{seed}", config)
    assert_same(tmp_path / "run1", tmp_path / "run2")


def test_a_set_smaller_than_a_batch_is_one_batch(fit: Any, tmp_path: Path) -> None:
    fit("run", PretrainConfig(epochs=2, batch_size=128))
    assert [record["samples"] for record in metrics(tmp_path / "run")] == [30, 30]


def test_a_last_batch_of_one_sample_is_left_out(fit: Any, tmp_path: Path) -> None:
    fit("run", PretrainConfig(epochs=1, batch_size=29))  # 30 labelled rows
    assert metrics(tmp_path / "run")[0]["samples"] == 29


def test_gradients_are_clipped(fit: Any, tmp_path: Path) -> None:
    """With SGD and no momentum one step moves the weights by at most lr · clip."""
    plain = Optimizer(kind="sgd", lr=1.0, momentum=0.0, weight_decay=0.0)
    fit("none", PretrainConfig(epochs=1, optimizer=plain.model_copy(update={"lr": 1e-30})))
    fit("clipped", PretrainConfig(epochs=1, optimizer=plain, gradient_clip=1e-3))
    fit("free", PretrainConfig(epochs=1, optimizer=plain))
    start = weights(tmp_path / "none")

    def moved(name: str) -> float:
        end = weights(tmp_path / name)
        learnt = [key for key in start if "running" not in key and "tracked" not in key]
        return float(sum((end[key] - start[key]).square().sum() for key in learnt) ** 0.5)

    assert moved("clipped") <= 1e-3 * (1 + 1e-4)
    assert moved("free") > 1e-2


def test_images_train_too(fit: Any, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (90, 8, 8, 1), dtype=np.uint8)
    config = PretrainConfig(epochs=1, batch_size=32, augment=Augment(shift=0.1, rotate=10), objective=GCD)
    fit("run", config, backbone=SmallCnn(widths=(4, 8), dim=5), source=ArrayImages(pixels))
    assert weights(tmp_path / "run")["project.weight"].shape[0] == 5


def _cpu() -> Any:
    from ncdcli.pipeline.context import Resources

    return Resources("cpu")
