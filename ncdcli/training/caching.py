"""Draws the views of a training once and keeps what frozen blocks make of them, before the first epoch."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ncdcli.errors import Interrupted, MissingError, NcdError
from ncdcli.models.cut import LastBlocks, cut_where_trained
from ncdcli.models.inference import forward_batches, inference_batch
from ncdcli.objectives.kinds import Augment
from ncdcli.pipeline.context import StageContext
from ncdcli.training.cached import RECORD, CachedViews, Store, read_record, write_record
from ncdcli.training.devices import HALF, autocast
from ncdcli.training.job import Job
from ncdcli.training.launch import is_first_process, launch
from ncdcli.training.monitor import LocalMonitor, Monitor
from ncdcli.training.sampler import EpochPlan
from ncdcli.training.streams import Key
from ncdcli.training.views import Views
from ncdcli.words import counted

if TYPE_CHECKING:
    from lightning_fabric import Fabric

VIEWS = 256  # in memory at once, about; the numbers of noise depend on it
SAVE_SECONDS = 30.0  # between records of how far it has come
FREE_BYTES = 100_000_000  # that are left free beside the views


@dataclass(frozen=True)
class CachingJob:
    """What is kept, where, and what makes it. Picklable, for spawned processes."""

    training: Job  # before it was told of kept views
    rest: LastBlocks
    store: Store
    precision: str


def with_cached_views(context: StageContext, job: Job, precision: str) -> Job:
    """The same training on kept views, which are made first where they are not there yet.

    RecipeError where the backbone cannot be cut, or is trained as a whole; MissingError where the disk has no room;
    Interrupted where the context asks to stop: what is made so far is kept.
    """
    field = f"{job.section}.cached_views"
    rest, shape = cut_where_trained(job.backbone, job.source.spec, field=field)
    # Features are few numbers. Products in 16 bits round what they are given at least as much as float16 does.
    dtype = "float16" if precision in HALF and rest.first is not None else "float32"
    assert job.config.cached_views is not None
    store = Store(context.output, shape, dtype, job.config.cached_views, job.rows, centre_rows(job))
    if not store.is_whole():
        if is_first_process():
            context.progress.note(f"{job.section}: {announce(store)}")
            check_room(store, field=field)
        with context.progress.track(f"{job.section}: frozen blocks", len(store.rows) + len(store.centre_rows)) as tick:
            work = CachingJob(job, rest, store, precision)
            monitor = LocalMonitor(tick, context.stop_requested)
            launch(cache_views, work, resources=context.resources, precision="fp32", monitor=monitor)
    source = CachedViews(store, len(job.source))
    held_out = None if job.held_out is None else replace(job.held_out, source=source)
    oracle = None if job.oracle is None else replace(job.oracle, source=source)
    plain = job.config.model_copy(update={"augment": Augment()})  # what it asks for is in the views
    return replace(job, backbone=rest, source=source, held_out=held_out, oracle=oracle, config=plain)


def centre_rows(job: Job) -> NDArray[np.int64]:
    """Samples of which a training also wants features as an inference gives them, in each epoch."""
    rows = [job.rows] if job.objective.refreshes else []
    if job.held_out is not None:
        rows += [job.held_out.labelled, job.held_out.validation]
    rows += [job.oracle.rows] if job.oracle is not None else []
    return np.unique(np.concatenate(rows)) if rows else np.empty(0, np.int64)


def announce(store: Store) -> str:
    """What is about to be kept, and how much that is."""
    centres = f" and the test view of {len(store.centre_rows):,}" if len(store.centre_rows) else ""
    return (
        f"keeping what frozen blocks make of {counted(store.views, 'view')} of {counted(len(store.rows), 'sample')}"
        f"{centres}: {in_bytes(store.size_bytes)} in `{store.folder}` until the stage is done"
    )


def check_room(store: Store, *, field: str) -> None:
    """Nothing, or MissingError where the disk cannot hold the views."""
    there = sum(path.stat().st_blocks * 512 for path in store.sizes if path.exists())
    free = shutil.disk_usage(store.folder).free + there
    if free >= store.size_bytes + FREE_BYTES:
        return
    fit = (free - FREE_BYTES - len(store.centre_rows) * store.view_bytes) // (len(store.rows) * store.view_bytes)
    fewer = f"set `{field}: {fit}`, which fits, " if fit >= 2 else f"leave `{field}` out, "
    raise MissingError(
        f"`{store.folder}` has {in_bytes(free)} free, and {counted(store.views, 'view')} of "
        f"{counted(len(store.rows), 'sample')} need {in_bytes(store.size_bytes)}",
        hint=f"{fewer}free some space, or write elsewhere with `--run`",
    )


def in_bytes(size: int) -> str:
    """A size that a person can read: "12.3 GB", "640 MB"."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def cache_views(fabric: Fabric, job: CachingJob, monitor: Monitor) -> None:
    """Write the files of the store; each process writes its part of every batch, and goes on from where it was."""
    whole = job.rest.whole
    if whole.channels_last:
        whole.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    fabric.to_device(whole)
    whole.eval()
    Caching(fabric, job, monitor).run()
    fabric.barrier()
    if fabric.is_global_zero:
        write_record(job.store.folder / RECORD, job.store.describe())
        for path in job.store.folder.glob(progress_name("*", "*")):
            path.unlink()
    fabric.barrier()


def progress_name(rank: Any, processes: Any) -> str:
    """Name of the record of how far a process has come."""
    return f"checkpoint-views-{rank}-of-{processes}.json"


class Caching:
    """The part of one process of possibly several."""

    def __init__(self, fabric: Fabric, job: CachingJob, monitor: Monitor) -> None:
        self.fabric, self.job, self.monitor, self.store = fabric, job, monitor, job.store
        self.record = job.store.folder / progress_name(fabric.global_rank, fabric.world_size)
        self.saved_at = time.monotonic()
        known = read_record(self.record)
        there = all(path.exists() for path in job.store.sizes)
        self.done = known["done"] if there and known and known["of"] == job.store.describe() else [0, 0]

    def run(self) -> None:
        """Random views first, then those that an inference sees."""
        self._forget_others()
        files: list[IO[bytes]] = []
        for path, size in self.store.sizes.items():
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
            files.append(os.fdopen(descriptor, "r+b"))
            if os.fstat(descriptor).st_size != size:
                files[-1].truncate(size)
        try:
            self._save(files)
            self._random(files)
            if len(files) > 1:
                self._centres(files)
            self._save(files)
        finally:
            for file in files:
                file.close()

    def _forget_others(self) -> None:
        """Remove records of views in another form, which this process is about to write over."""
        self.fabric.barrier()  # all have looked what is there
        if self.fabric.is_global_zero:
            folder = self.store.folder
            (folder / RECORD).unlink(missing_ok=True)
            for path in folder.glob(progress_name("*", "*")):
                known = read_record(path)
                if known is None or known["of"] != self.store.describe():
                    path.unlink()
        self.fabric.barrier()

    def _random(self, files: list[IO[bytes]]) -> None:
        training, store = self.job.training, self.store
        plan = plan_views(training.stream, store)
        views = Views(
            training.source, training.backbone.preparation, training.config.augment, keyed(training.stream), store.rows,
            rank=self.fabric.global_rank, processes=self.fabric.world_size,
        )  # fmt: skip
        self.monitor.tick(min(self.done[0] * plan.batch_size, len(store.rows)))
        first = self.done[0]
        for batch, shown in enumerate(views.batches(plan, self.fabric.device, start=first), first):
            part = views.part(plan, batch)
            kept = self._through(shown.inputs).reshape(store.views, part.stop - part.start, -1).swapaxes(0, 1)
            self._write(files[0], part.start * store.views, kept)
            whole = plan.part(batch)
            self._step(files, 0, whole.stop - whole.start)

    def _centres(self, files: list[IO[bytes]]) -> None:
        training, rows = self.job.training, self.store.centre_rows
        rank, world = self.fabric.global_rank, self.fabric.world_size
        mine = rows[len(rows) * rank // world : len(rows) * (rank + 1) // world]
        self.monitor.tick(self.done[1] * world)
        # In fp32 whatever the recipe's precision: so an inference within a training is computed.
        parts = forward_batches(
            training.backbone, training.source, mine[self.done[1] :], device=self.fabric.device,
            forward=self.job.rest.cut.before,
        )  # fmt: skip
        for batch, kept in parts:
            self._write(files[1], int(np.searchsorted(rows, batch[0])), self._checked(kept).reshape(len(batch), -1))
            self._step(files, 1, len(batch), scale=world)

    def _through(self, inputs: Tensor) -> NDArray[Any]:
        """What the frozen blocks make of prepared views, few at a time on a CPU."""
        backbone, device = self.job.training.backbone, self.fabric.device
        size = inference_batch(backbone.preparation, self.job.training.source.spec.shape, device)
        if backbone.channels_last:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        with torch.inference_mode(), autocast(device, self.job.precision):
            return np.concatenate([self._checked(self.job.rest.cut.before(part)) for part in inputs.split(size)])

    def _checked(self, values: Tensor) -> NDArray[Any]:
        with np.errstate(over="ignore"):  # told below, with what to do
            kept = values.float().cpu().contiguous().numpy().astype(self.store.dtype)
        if not np.isfinite(kept).all():
            section = self.job.training.section
            raise NcdError(
                f"what the frozen blocks make of some samples is beyond {self.store.dtype}, or no number",
                hint=f"set `{section}.precision: fp32`, or leave `{section}.cached_views` out",
            )
        return kept

    def _write(self, file: IO[bytes], view: int, kept: NDArray[Any]) -> None:
        """Write views from the one of this number on. Not through a memory map: a full disk would kill the process."""
        file.seek(view * self.store.view_bytes)
        file.write(np.ascontiguousarray(kept).tobytes())

    def _step(self, files: list[IO[bytes]], which: int, samples: int, *, scale: int = 1) -> None:
        self.done[which] += samples if which else 1
        self.monitor.tick(samples * scale)
        if self.monitor.stop_requested():
            self._save(files)
            raise Interrupted(
                "stopped while frozen blocks were run; what they made is saved", hint="the same command goes on"
            )
        if time.monotonic() - self.saved_at > SAVE_SECONDS:
            self._save(files)

    def _save(self, files: list[IO[bytes]]) -> None:
        for file in files:
            file.flush()
            os.fsync(file.fileno())
        write_record(self.record, {"of": self.store.describe(), "done": self.done})
        self.saved_at = time.monotonic()


def plan_views(stream: np.random.SeedSequence, store: Store) -> EpochPlan:
    """All random views of all samples, as if they were seen in one epoch; no batch holds one sample alone."""
    n = len(store.rows)
    size = max(2, VIEWS // store.views)
    while n % size == 1:
        size += 1
    return EpochPlan(keyed(stream), 0, store.rows, np.arange(n), store.views, size)


def keyed(stream: np.random.SeedSequence) -> np.random.SeedSequence:
    """The stream of the kept views, apart from that of the epochs."""
    return np.random.SeedSequence(stream.entropy, spawn_key=(*stream.spawn_key, Key.CACHED_VIEWS))
