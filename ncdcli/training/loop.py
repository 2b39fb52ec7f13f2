"""The epoch loop: from a job to trained weights, resumable after every batch."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ncdcli.errors import Interrupted, NcdError
from ncdcli.models.backbone import Backbone
from ncdcli.objectives.base import Objective
from ncdcli.objectives.kinds import PretrainConfig
from ncdcli.recipe.base import fields_that_matter
from ncdcli.training.batches import Source
from ncdcli.training.checkpoint import append_line, read_checkpoint, write_checkpoint, write_lines
from ncdcli.training.gather import any_process, gather_views, share_batch_norm
from ncdcli.training.heldout import HeldOut
from ncdcli.training.monitor import Monitor
from ncdcli.training.optim import learning_rate, make_optimizer
from ncdcli.training.sampler import EpochPlan, n_batches, plan_epoch
from ncdcli.training.streams import Key, torch_seeded
from ncdcli.training.views import Views

if TYPE_CHECKING:
    from lightning_fabric import Fabric

SAVE_SECONDS = 5.0  # at least so long between checkpoints at ends of epochs …
SAVE_SECONDS_WITHIN = 120.0  # … and within an epoch
SAVE_SHARE = 0.05  # of the time, at most, goes into writing checkpoints
CHECK_BATCHES = 50  # the loss is looked at so often: looking waits for the device


@dataclass(frozen=True)
class Job:
    """What is to be trained, on what. Picklable, for spawned processes."""

    backbone: Backbone
    objective: Objective
    source: Source
    rows: NDArray[np.int64]  # training rows of the source
    labels: NDArray[np.int64]  # their known classes, -1: none
    held_out: HeldOut | None
    config: PretrainConfig
    stream: np.random.SeedSequence
    output: Path


@dataclass
class State:
    """Where a training stands: what a checkpoint holds besides the weights."""

    epoch: int = 0  # epochs finished
    batch: int = 0  # batches finished in the epoch under way
    sums: dict[str, Tensor] = field(default_factory=dict)  # losses of the epoch under way, times samples
    records: list[dict[str, Any]] = field(default_factory=list)  # one per finished epoch
    best: dict[str, Any] = field(default_factory=dict)  # epoch, accuracy, backbone state; with `known-val` only


def train(fabric: Fabric, job: Job, monitor: Monitor) -> dict[str, Any]:
    """Train, write `model.safetensors` and `metrics.jsonl` in `job.output`, and say what was done.

    Goes on from `checkpoint.pt` where there is one, to the same weights as without the interruption. Interrupted when
    the monitor asks to stop: the state is then saved. NcdError when the loss is no longer a number.
    """
    return Trainer(fabric, job, monitor).run()


class Trainer:
    """One training on one process of possibly several."""

    def __init__(self, fabric: Fabric, job: Job, monitor: Monitor) -> None:
        self.fabric, self.job, self.monitor, self.config = fabric, job, monitor, job.config
        if job.backbone.channels_last:
            job.backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if fabric.world_size > 1:
            share_batch_norm(job.backbone)
        self.backbone = fabric.setup_module(job.backbone)
        self.objective = fabric.setup_module(job.objective)
        self.optimizer = make_optimizer(self.config.optimizer, [job.backbone, job.objective])
        self.setup_optimizer = fabric.setup_optimizers(self.optimizer)
        self.views = Views(
            job.source, job.backbone.preparation, self.config.augment, job.stream, job.rows,
            rank=fabric.global_rank, processes=fabric.world_size,
        )  # fmt: skip
        self.state = State()
        self.saved_at, self.save_seconds = time.monotonic(), 0.0

    def run(self) -> dict[str, Any]:
        """Train to the last epoch."""
        self._resume()
        for epoch in range(self.state.epoch, self.config.epochs):
            self._epoch(epoch)
        chosen = self.state.best.get("epoch", self.config.epochs)
        if self.fabric.is_global_zero:
            self._write_model()
        self.fabric.barrier()
        return {"chosen_epoch": chosen, "selection": self.config.selection, "metrics": self.state.records[chosen - 1]}

    def _epoch(self, epoch: int) -> None:
        job, config = self.job, self.config
        plan = plan_epoch(
            job.stream, epoch=epoch, rows=job.rows, labels=job.labels,
            sampler=config.sampler, batch_size=config.batch_size, views=job.objective.views,
        )  # fmt: skip
        rate = learning_rate(config.schedule, config.optimizer.lr, epoch, config.epochs)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.backbone.train()
        self.objective.train()
        started, first = time.monotonic(), self.state.batch
        batches = enumerate(self.views.pairs(plan, self.fabric.device, start=first), first)
        for batch, (inputs, clean) in batches:
            self._step(plan, batch, inputs, clean)
            self.state.batch = batch + 1
            if self.state.batch < plan.n_batches:
                self._pause_within(batch)
        self._finish_epoch(plan, rate, seconds=time.monotonic() - started, first=first)

    def _step(self, plan: EpochPlan, batch: int, inputs: Tensor, clean: Tensor) -> None:
        """One optimizer step on a batch, of which `inputs` is the part of this process, `clean` before disturbance."""
        if self.job.backbone.channels_last and inputs.ndim == 4:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        world = self.fabric.world_size
        parts = [plan.part(batch, rank=rank, processes=world) for rank in range(world)]
        counts = [part.stop - part.start for part in parts]
        labels = torch.from_numpy(self._labels_of(plan.order[plan.part(batch)])).to(self.fabric.device)
        with torch_seeded(
            self.job.stream, Key.DROPOUT, plan.epoch, batch, self.fabric.global_rank, device=self.fabric.device
        ):
            features = gather_views(self.fabric, self.backbone(inputs), counts)
            seen = self._reconstructed(inputs, clean, counts) if self.job.objective.reconstructs else {}
            loss, parts_of_loss = self.objective(features, labels, **seen)
        self.optimizer.zero_grad()
        self.fabric.backward(loss)
        if self.config.gradient_clip is not None:
            parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
            torch.nn.utils.clip_grad_norm_(parameters, self.config.gradient_clip)
        self.setup_optimizer.step()
        for name, value in {"loss": loss, **parts_of_loss}.items():
            value = value.detach().float() * len(labels)
            self.state.sums[name] = self.state.sums.get(name, torch.zeros_like(value)) + value
        self.monitor.tick(1)

    def _reconstructed(self, shown: Tensor, clean: Tensor, counts: list[int]) -> dict[str, list[Tensor]]:
        """The inputs of all processes in rows of numbers, per view."""
        rows = gather_views(self.fabric, clean.flatten(1), counts)
        return {"clean": rows, "shown": rows if shown is clean else gather_views(self.fabric, shown.flatten(1), counts)}

    def _labels_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Labels by row of the source; `job.rows` ascends."""
        return self.job.labels[np.searchsorted(self.job.rows, rows)]

    def _pause_within(self, batch: int) -> None:
        """Between two batches: save and leave when asked to, look at the loss, save now and then."""
        if any_process(self.fabric, self.monitor.stop_requested()):
            self._leave()
        if batch % CHECK_BATCHES == 0:
            self._check_loss()
            self._save(at_least=SAVE_SECONDS_WITHIN)

    def _finish_epoch(self, plan: EpochPlan, rate: float, *, seconds: float, first: int) -> None:
        state = self.state
        self._check_loss()
        samples = min(len(plan.order), plan.n_batches * plan.batch_size)
        means = {name: float(value) / samples for name, value in state.sums.items()}
        record = {"epoch": plan.epoch + 1, **means, "lr": rate, "samples": samples}
        if self.job.held_out is not None:
            accuracy = self.job.held_out.accuracy(self.job.backbone, self.job.objective, self.fabric.device)
            record["held_out_known_accuracy"] = accuracy
            self._remember_best(record)
        state.records.append(record)
        state.epoch, state.batch, state.sums = plan.epoch + 1, 0, {}
        if self.fabric.is_global_zero:
            append_line(self.job.output / "metrics.jsonl", record)
            speed = (samples - first * plan.batch_size) / max(seconds, 1e-9)
            timing = {"epoch": plan.epoch + 1, "seconds": round(seconds, 4), "samples_per_second": round(speed, 2)}
            append_line(self.job.output / "timing.jsonl", timing)
        self.monitor.tick(0, **{name: value for name, value in record.items() if isinstance(value, float)})
        last = state.epoch == self.config.epochs
        if not last and any_process(self.fabric, self.monitor.stop_requested()):
            self._leave()
        self._save(at_least=0.0 if last else SAVE_SECONDS)

    def _remember_best(self, record: dict[str, Any]) -> None:
        """With `known-val`: keep the weights of the best epoch, the later of equals."""
        accuracy = record["held_out_known_accuracy"]
        if self.config.selection == "known-val" and accuracy >= self.state.best.get("accuracy", -1.0):
            weights = {name: value.detach().cpu().clone() for name, value in self.job.backbone.state_dict().items()}
            self.state.best = {"epoch": record["epoch"], "accuracy": accuracy, "backbone": weights}

    def _check_loss(self) -> None:
        if not all(torch.isfinite(value) for value in self.state.sums.values()):
            raise NcdError(
                f"the loss is no longer a number in epoch {self.state.epoch + 1}: training diverged",
                hint="lower `pretrain.optimizer.lr`, or set `pretrain.gradient_clip: 1.0`",
            )

    def _leave(self) -> None:
        self._check_loss()
        self._save(at_least=0.0)
        self.fabric.barrier()  # a process that ends earlier would take the one that saves with it
        at = f"epoch {self.state.epoch + 1} of {self.config.epochs}"
        raise Interrupted(f"training stopped in {at}; its state is saved", hint="the same command goes on from there")

    def _save(self, *, at_least: float) -> None:
        """Write a checkpoint unless the last one is younger than `at_least` seconds, or writing takes too long."""
        now = time.monotonic()
        wait = max(at_least, self.save_seconds / SAVE_SHARE) if at_least else 0.0
        if not self.fabric.is_global_zero or now - self.saved_at < wait:
            return
        state = self.state
        content = {
            "config": fields_that_matter(self.config),
            "backbone": self.job.backbone.state_dict(),
            "objective": self.job.objective.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "state": dict(vars(state)),
        }
        write_checkpoint(self.job.output, content)
        self.saved_at = time.monotonic()
        self.save_seconds = self.saved_at - now

    def _resume(self) -> None:
        """Take up the checkpoint, if there is one, and cut the metrics back to it."""
        content = read_checkpoint(self.job.output)
        if content is not None and content["config"] == fields_that_matter(self.config):
            self.job.backbone.load_state_dict(content["backbone"])
            self.job.objective.load_state_dict(content["objective"])
            self.optimizer.load_state_dict(content["optimizer"])
            self.state = State(**content["state"])
            self.state.sums = {name: value.to(self.fabric.device) for name, value in self.state.sums.items()}
        if self.fabric.is_global_zero:
            write_lines(self.job.output / "metrics.jsonl", self.state.records)
        done = self.state.epoch * n_batches(len(self.job.rows), self.config.batch_size) + self.state.batch
        self.monitor.tick(done)
        self.fabric.barrier()

    def _write_model(self) -> None:
        from safetensors.torch import save_file

        weights = self.state.best.get("backbone") or self.job.backbone.state_dict()
        save_file(
            {name: value.detach().cpu().contiguous() for name, value in weights.items()},
            self.job.output / "model.safetensors",
        )
