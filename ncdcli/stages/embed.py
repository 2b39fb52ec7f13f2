"""`embed`: one vector per sample, in the order of `samples.csv`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncdcli.data.samples import Samples
from ncdcli.data.sources import Inputs
from ncdcli.errors import Interrupted
from ncdcli.jsonfile import write_json
from ncdcli.pipeline.context import Resources, StageContext

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from ncdcli.training.monitor import Monitor


@dataclass(frozen=True)
class Job:
    """What one process needs to embed its share. Picklable."""

    model_json: Path
    inputs: Inputs
    output: Path
    normalize: bool
    precision: str
    resources: Resources


def run(context: StageContext, config: Any) -> None:
    """Write `embeddings.npy` (n, dim) float32 and `embeddings.json`. `config.embed` is the recipe's section."""
    from ncdcli.data.resolve import open_source

    assert context.data is not None
    samples = Samples.read(context.inputs["split/samples.csv"], context.inputs["split/classes.json"])
    inputs = open_source(context.data).inputs(samples.keys)
    embed(context, config.embed, inputs)


def embed(context: StageContext, config: Any, inputs: Inputs) -> None:
    """The stage, given what the samples hold."""
    from ncdcli.models.backbone import ModelCard
    from ncdcli.training.devices import pick_device, pick_precision
    from ncdcli.training.launch import is_first_process, launch, under_torchrun
    from ncdcli.training.monitor import LocalMonitor

    model_json = context.inputs["pretrain/model.json"]
    card, resources = ModelCard.read(model_json), context.resources
    precision = pick_precision(config.precision, pick_device(resources.device))
    path = context.output / "embeddings.npy"
    if is_first_process():
        create_array(path, (len(inputs), card.dim))
    job = Job(model_json, inputs, path, config.normalize, precision, resources)
    with context.progress.track("embed", len(inputs)) as tick:
        monitor = LocalMonitor(tick, context.stop_requested)
        if resources.processes > 1 or under_torchrun():
            launch(embed_share, job, resources=resources, precision="fp32", monitor=monitor)
        else:
            embed_rows(job, np.arange(len(inputs)), monitor, resources)
    if is_first_process():
        content = {"n": len(inputs), "dim": card.dim, "normalize": config.normalize, "precision": precision}
        write_json(context.output / "embeddings.json", content)


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
    start = header_size(job.output)
    with open(job.output, "r+b") as file:
        file.seek(start + int(rows[0]) * embedder.dim * 4 if len(rows) else 0)
        for batch, values in embedder.batches(source, rows, normalize=job.normalize):
            file.write(np.ascontiguousarray(values, "<f4").tobytes())
            monitor.tick(len(batch) * scale)
            if monitor.stop_requested():
                raise Interrupted("embedding stopped", hint="the same command starts it again")


def create_array(path: Path, shape: tuple[int, int]) -> None:
    """An `.npy` file of zeros, float32, that takes no space on disk yet."""
    with open(path, "wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + shape[0] * shape[1] * 4)


def header_size(path: Path) -> int:
    """Bytes before the numbers of an `.npy` file that `create_array` made."""
    with open(path, "rb") as file:
        np.lib.format.read_magic(file)
        np.lib.format.read_array_header_1_0(file)
        return file.tell()
