"""The epoch loop: from a job to trained weights, resumable after every batch."""

from __future__ import annotations

import math
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ncdcli.errors import Interrupted, NcdError
from ncdcli.models.cut import cut_alike
from ncdcli.models.inference import forward_batches
from ncdcli.objectives.base import EpochFacts, Objective
from ncdcli.recipe.base import fields_that_matter
from ncdcli.training.checkpoint import Log, State, read_checkpoint, write_checkpoint, write_lines
from ncdcli.training.compiled import compiled, tell_whole
from ncdcli.training.gather import any_process, gather_views, set_up, set_up_objective, share_batch_norm
from ncdcli.training.job import Job
from ncdcli.training.monitor import Monitor
from ncdcli.training.optim import learning_rate
from ncdcli.training.parts import parts_of_batch
from ncdcli.training.sampler import EpochPlan, Plans, n_batches
from ncdcli.training.selection import CHOSEN_BY, epoch_scores, is_best
from ncdcli.training.steps import Steps
from ncdcli.training.streams import Key, generator, torch_seeded
from ncdcli.training.views import Views, for_views

if TYPE_CHECKING:
    from lightning_fabric import Fabric

SAVE_SECONDS = 5.0  # at least so long between checkpoints at ends of epochs …
SAVE_SECONDS_WITHIN = 120.0  # … and within an epoch
SAVE_SHARE = 0.05  # of the time, at most, goes into writing checkpoints
CHECK_BATCHES = 50  # the loss is looked at so often: looking waits for the device


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
        turns, processes = job.objective.group_turns, fabric.world_size
        self.shown = compiled(job.backbone, self.config, section=job.section)
        self.backbone = set_up(fabric, for_views(self.shown, job.config, turns=turns, processes=processes))
        self.objective = set_up_objective(fabric, job.objective)
        self.second = cut_alike(job.objective.second_backbone(), job.backbone)
        optimizers = job.objective.make_optimizers(self.config.optimizer, job.backbone)
        followed = type(job.objective).after_step is not Objective.after_step
        self.steps = Steps(fabric, optimizers, clip=self.config.gradient_clip, asked=followed)
        self.views = Views(
            job.source, job.backbone.preparation, self.config.augment, job.stream, job.rows,
            turns=job.objective.turns, rank=fabric.global_rank, processes=fabric.world_size,
        )  # fmt: skip
        self.draws = self.second is not None or bool(job.backbone.trainable())  # what is frozen has no dropout
        self.state = State()
        self.plans = Plans(
            job.stream, epochs=self.config.epochs, rows=job.rows, labels=job.labels,
            sampler=self.config.sampler, batch_size=self.config.batch_size,
            views=job.objective.views + self.config.augment.small_crops,
        )  # fmt: skip
        self.metrics, self.timing = (Log(job.output / f"{name}.jsonl") for name in ("metrics", "timing"))
        self.saved_at, self.save_seconds = time.monotonic(), 0.0

    def run(self) -> dict[str, Any]:
        """Train to the last epoch."""
        self._resume()
        try:
            for epoch in range(self.state.epoch, self.config.epochs):
                self._epoch(epoch)
        finally:
            self.metrics.flush()
            self.timing.flush()
        chosen = self.state.best.get("epoch", self.config.epochs)
        if self.fabric.is_global_zero:
            self._write_model()
        self.fabric.barrier()
        told = {"chosen_epoch": chosen, "selection": self.config.selection, "metrics": self.state.records[chosen - 1]}
        return {**told, **self.steps.outcome(), **self.job.objective.outcome()}

    def _epoch(self, epoch: int) -> None:
        config = self.config
        plan = self.plans.of(epoch)
        rate = learning_rate(config.schedule, config.optimizer.lr, epoch, config.epochs)
        self.steps.set_rate(rate)
        self._begin(epoch)
        self.backbone.train()
        self.objective.train()
        started, first = time.monotonic(), self.state.batch
        batches = enumerate(self.views.batches(plan, self.fabric.device, start=first), first)
        for batch, (inputs, clean, small) in batches:
            inputs = self._with_made_views(plan, batch, inputs)
            for phase in range(len(self.steps.optimizers)):
                self._step(plan, batch, inputs, clean, small, phase=phase)
            self.monitor.tick(1)
            self.state.batch = batch + 1
            if self.state.batch < plan.n_batches:
                self._pause_within(batch)
        self._finish_epoch(plan, rate, seconds=time.monotonic() - started, first=first)

    def _begin(self, epoch: int) -> None:
        """Tell the objective which epoch begins; it renews what it keeps of all rows, unless the epoch is resumed."""
        job = self.job
        job.objective.begin_epoch(epoch, self.config.epochs)
        if job.objective.refreshes and self.state.batch == 0:
            labels = torch.from_numpy(job.labels).to(self.fabric.device)
            rng = generator(job.stream, Key.REFRESH, epoch)
            job.objective.refresh(EpochFacts(epoch, self.config.epochs, labels, self._features, rng))

    def _features(self) -> Tensor:
        """(n, dim) features of all training rows as an inference would give them."""
        self.job.backbone.eval()
        device = self.fabric.device
        parts = forward_batches(self.job.backbone, self.job.source, self.job.rows, device=device)
        return torch.cat([features for _, features in parts])

    def _of_batch(self, plan: EpochPlan, batch: int) -> tuple[list[int], NDArray[np.int64], Tensor]:
        """Samples of each process, and of the whole batch positions among the training rows and labels."""
        world = self.fabric.world_size
        parts = [plan.part(batch, rank=rank, processes=world) for rank in range(world)]
        positions = plan.positions[plan.part(batch)]
        labels = torch.from_numpy(self.job.labels[positions]).to(self.fabric.device)
        return [part.stop - part.start for part in parts], positions, labels

    def _with_made_views(self, plan: EpochPlan, batch: int, inputs: Tensor) -> Tensor:
        """The inputs of this process, with the second views after them where the objective makes these itself."""
        if not self.job.objective.makes_views:
            return inputs
        counts, _, labels = self._of_batch(plan, batch)
        rng = generator(self.job.stream, Key.MADE_VIEWS, plan.epoch, batch)
        with torch.no_grad():
            (whole,) = gather_views(self.fabric, inputs.flatten(1), counts)
            made = self.job.objective.make_views(whole, labels, rng)
        start = sum(counts[: self.fabric.global_rank])
        return torch.cat([inputs, made[start : start + len(inputs)].view_as(inputs)])

    def _step(
        self, plan: EpochPlan, batch: int, inputs: Tensor, clean: Tensor, small: Tensor | None, *, phase: int
    ) -> None:
        """One optimizer step on a batch, of which `inputs` is the part of this process, `clean` before disturbance."""
        inputs = self._ordered(inputs)
        counts, positions, labels = self._of_batch(plan, batch)
        tell_whole(self.shown, len(labels) == self.config.batch_size)
        drawn = (self.job.stream, Key.DROPOUT, plan.epoch, batch, self.fabric.global_rank, *((phase,) if phase else ()))
        with torch_seeded(*drawn, device=self.fabric.device) if self.draws else nullcontext():
            features = self._embed(inputs, small, counts, *self.job.objective.groups(labels))
            seen = self._seen(inputs, clean, counts, positions, phase)
            loss, parts_of_loss = self.objective(features, labels, **seen)
        if self.steps.take(loss, phase):
            self.job.objective.after_step(self.job.backbone)
        sums = self.state.sums
        for name, value in {"loss": loss.detach(), **parts_of_loss}.items():
            value = value.float() * len(labels)
            sums[name] = sums[name] + value if name in sums else value

    def _ordered(self, inputs: Tensor) -> Tensor:
        """The inputs as they lie in memory when the backbone is fastest."""
        last = self.job.backbone.channels_last and inputs.ndim == 4
        return inputs.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)

    def _embed(self, inputs: Tensor, small: Tensor | None, counts: list[int], *groups: Tensor) -> list[Tensor]:
        """(b, dim) features of each view of the whole batch, those of small crops last."""
        sizes = (inputs,) if small is None else (inputs, self._ordered(small))
        in_parts = parts_of_batch(counts, self.fabric.global_rank, self.config.accumulate)
        found = self.backbone(*sizes, *groups, **in_parts)
        found = found if isinstance(found, tuple) else (found,)
        return [view for features in found for view in gather_views(self.fabric, features, counts)]

    def _seen(
        self, shown: Tensor, clean: Tensor, counts: list[int], positions: NDArray[np.int64], phase: int
    ) -> dict[str, Any]:
        """What the objective asks for beside features and labels, of all processes, per view."""
        objective, seen = self.job.objective, dict[str, Any]()
        if objective.reconstructs:
            rows = gather_views(self.fabric, clean.flatten(1), counts)
            seen["clean"] = rows
            seen["shown"] = rows if shown is clean else gather_views(self.fabric, shown.flatten(1), counts)
        if objective.uses_positions:
            seen["positions"] = torch.from_numpy(positions).to(self.fabric.device)
        if self.second is not None:
            with torch.no_grad(), self.fabric.autocast():
                seen["second"] = gather_views(self.fabric, self.second(shown).float(), counts)
        return seen | ({"phase": phase} if len(self.steps.optimizers) > 1 else {})

    def _pause_within(self, batch: int) -> None:
        """Between two batches: save and leave when asked to, look at the loss, save now and then."""
        if any_process(self.fabric, self.monitor.stop_requested()):
            self._leave()
        if batch % CHECK_BATCHES == 0:
            self._check_loss()
            self._save(at_least=SAVE_SECONDS_WITHIN)

    def _finish_epoch(self, plan: EpochPlan, rate: float, *, seconds: float, first: int) -> None:
        state = self.state
        samples = min(len(plan.order), plan.n_batches * plan.batch_size)
        means = {name: value / samples + 0.0 for name, value in self._check_loss().items()}  # -0.0 becomes 0.0
        record = {"epoch": plan.epoch + 1, **means, "lr": rate, "samples": samples}
        record |= epoch_scores(self.job, self.fabric.device)
        self._remember_best(record)
        state.records.append(record)
        state.epoch, state.batch, state.sums = plan.epoch + 1, 0, {}
        if self.fabric.is_global_zero:
            self.metrics.add(record)
            speed = (samples - first * plan.batch_size) / max(seconds, 1e-9)
            timing = {"epoch": plan.epoch + 1, "seconds": round(seconds, 4), "samples_per_second": round(speed, 2)}
            self.timing.add(timing)
        self.monitor.tick(0, **{name: value for name, value in record.items() if isinstance(value, float)})
        last = state.epoch == self.config.epochs
        if not last and any_process(self.fabric, self.monitor.stop_requested()):
            self._leave()
        self._save(at_least=0.0 if last else SAVE_SECONDS)

    def _remember_best(self, record: dict[str, Any]) -> None:
        """Keep the weights of the best epoch, where one is chosen and not the last one taken."""
        if is_best(record, self.state.best, self.config.selection):
            weights, accuracy = self._kept(), record[CHOSEN_BY[self.config.selection]]
            kept = {name: value.clone() for name, value in weights.items()}
            self.state.best = {"epoch": record["epoch"], "accuracy": accuracy, "backbone": kept}

    def _kept(self) -> dict[str, Tensor]:
        """What is left of a training: weights of the backbone, and of the objective those that it keeps."""
        state = {**self.job.backbone.state_dict(), **self.job.objective.kept_state()}
        return {name: value.detach().cpu() for name, value in state.items()}

    def _check_loss(self) -> dict[str, float]:
        """The sums of the epoch under way, read at once: a device is waited for only once. NcdError if one is none."""
        section, sums = self.job.section, self.state.sums
        values = torch.stack(list(sums.values())).tolist() if sums else []
        if not all(map(math.isfinite, values)):
            or_range = f", or `{section}.precision: fp32`" if self.config.precision == "fp16" else ""
            raise NcdError(
                f"the loss is no longer a number in epoch {self.state.epoch + 1}: training diverged",
                hint=f"lower `{section}.optimizer.lr`, or set `{section}.gradient_clip: 1.0`{or_range}",
            )
        self.steps.check_scale(section)
        return dict(zip(sums, values, strict=True))

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
            **self.steps.state(),
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
            self.steps.load(content)
            self.state = State(**content["state"])
            self.state.sums = {name: value.to(self.fabric.device) for name, value in self.state.sums.items()}
        if self.fabric.is_global_zero:
            write_lines(self.job.output / "metrics.jsonl", self.state.records)
        done = self.state.epoch * n_batches(len(self.job.rows), self.config.batch_size) + self.state.batch
        self.monitor.tick(done)
        self.fabric.barrier()

    def _write_model(self) -> None:
        from safetensors.torch import save_file

        weights = self.state.best.get("backbone") or self._kept()
        save_file({name: value.contiguous() for name, value in weights.items()}, self.job.output / "model.safetensors")
