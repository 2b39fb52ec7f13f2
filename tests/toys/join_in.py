"""Runs the toy pipeline with a distributed `train`, in the processes that `torchrun` would start."""

import dataclasses
import os
import sys
import time
from pathlib import Path

import torch.distributed as dist
import toystages

from ncdcli.pipeline.distributed import rank, world_size
from ncdcli.pipeline.runner import execute
from ncdcli.run.folder import RunFolder

TABLE = tuple(
    dataclasses.replace(spec, module="toystages.join", distributed=True) if spec.name == "train" else spec
    for spec in toystages.TABLE[:2]
)


def run_toy(path: Path, comment: str) -> str:
    """The stages whose code ran in this process, and what became of each, as one line."""
    toystages.CALLS.clear()
    recipe = toystages.resolved(data={"rows": 7}, train={"comment": comment})
    results = execute(recipe, RunFolder(path), table=TABLE, identity=toystages.identity, command="ncd run toy")
    return " ".join([*toystages.CALLS, *(f"{result.stage}:{result.action}" for result in results)])


def join(variables: dict[str, str], folder: Path, comments: list[str], errors: Path) -> None:
    """Be the process that has these variables: run once for each comment, and note what ran beside the run's folder."""
    os.environ.update(variables)
    leave = dist.destroy_process_group
    if rank() == 0:  # late: a process that began another run by then found the store of the first
        dist.destroy_process_group = lambda *given: (time.sleep(1), leave(*given))
    sys.stderr = open(errors, "w", buffering=1)  # noqa: SIM115 - it is closed with the process
    lines = [run_toy(folder, comment) for comment in comments]
    log = folder.parent / f"{folder.name}-{rank()}-of-{world_size()}.txt"
    log.write_text("".join(f"{line}\n" for line in lines))
