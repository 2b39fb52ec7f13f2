"""Writes what a model says of all samples into `.npy` files, on one process or several."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ncdcli.data.sources import Inputs
from ncdcli.errors import Interrupted
from ncdcli.pipeline.context import Resources, StageContext
from ncdcli.training.monitor import LocalMonitor, Monitor

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass(frozen=True)
class Job:
    """What one process needs to embed its share. Picklable."""

    model_json: Path
    inputs: Inputs
    output: Path  # the folder of the files
    normalize: bool
    precision: str
    resources: Resources


def embed_all(context: StageContext, job: Job, widths: Mapping[str, int], *, title: str = "embed") -> None:
    """Write `NAME.npy` (n, width) float32 in `job.output` for each of the model's arrays, which `widths` names.

    Several processes write to the same files, each to its own place. Interrupted where the context asks to stop.
    """
    from ncdcli.training.deterministic import deterministic
    from ncdcli.training.launch import is_first_process, launch, under_torchrun

    resources = job.resources
    if is_first_process():
        for name, width in widths.items():
            create_array(job.output / f"{name}.npy", (len(job.inputs), width))
    with context.progress.track(title, len(job.inputs)) as tick:
        monitor = LocalMonitor(tick, context.stop_requested)
        if resources.processes > 1 or under_torchrun():
            launch(embed_share, job, resources=resources, precision="fp32", monitor=monitor)
        else:
            with deterministic(resources.deterministic):
                embed_rows(job, np.arange(len(job.inputs)), monitor, resources)


def embed_share(fabric: Fabric, job: Job, monitor: Monitor) -> None:
    """Embed the rows of one process of several. All write to one file, each to its own place, in order."""
    fabric.barrier()  # the file is there
    n, world, rank = len(job.inputs), fabric.world_size, fabric.global_rank
    rows = np.arange(n * rank // world, n * (rank + 1) // world)
    resources = Resources(str(fabric.device), workers=job.resources.workers)
    embed_rows(job, rows, monitor, resources, scale=world)
    fabric.barrier()
    monitor.tick(n - world * len(rows))


def embed_rows(job: Job, rows: NDArray[np.int64], monitor: Monitor, resources: Resources, *, scale: int = 1) -> None:
    """Embed consecutive rows and write them; `scale`: how many rows of all processes one of these stands for.

    Values go to the file batch by batch and not through a memory map, whose written pages would count as memory.
    """
    from ncdcli.models.embedder import load_embedder

    embedder = load_embedder(job.model_json, resources, precision=job.precision)
    source = embedder.open(job.inputs)
    first = int(rows[0]) if len(rows) else 0
    with ExitStack() as stack:
        files = {
            name: stack.enter_context(_open_at(job.output / f"{name}.npy", first, width))
            for name, width in embedder.widths.items()
        }
        for batch, arrays in embedder.batches(source, rows, normalize=job.normalize):
            for name, values in arrays.items():
                files[name].write(np.ascontiguousarray(values, "<f4").tobytes())
            monitor.tick(len(batch) * scale)
            if monitor.stop_requested():
                raise Interrupted("embedding stopped", hint="the same command starts it again")


def create_array(path: Path, shape: tuple[int, int]) -> None:
    """An `.npy` file of zeros, float32, that takes no space on disk yet."""
    with open(path, "wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + shape[0] * shape[1] * 4)


def _open_at(path: Path, row: int, width: int) -> IO[bytes]:
    """An `.npy` file that `create_array` made, to be written from a row on."""
    file = open(path, "r+b")  # noqa: SIM115 (the caller closes it)
    np.lib.format.read_magic(file)
    np.lib.format.read_array_header_1_0(file)
    file.seek(row * width * 4, 1)
    return file
