"""Several processes started by `torchrun`: process 0 plans, locks and publishes, the others join in its stages.

Process 0 tells the others which stage to run and with what; within the stage, its own code talks over
`torch.distributed`, which is initialised by then. With one process nothing here does anything, nor imports torch.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from typing import Any

from ncdcli.pipeline.context import SilentProgress, StageContext

PATIENCE = timedelta(days=7)  # the others wait while process 0 runs stages that are not distributed


@dataclass(frozen=True)
class Task:
    """One stage, as process 0 tells the others; `module` None: nothing more to do."""

    module: str | None
    context: dict[str, Any]  # fields of StageContext without progress and stop_requested
    config: Any


def rank() -> int:
    """Number of this process among those that `torchrun` started; 0 without it."""
    return int(os.environ.get("RANK", "0")) if world_size() > 1 else 0


def world_size() -> int:
    """How many processes `torchrun` started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_worker() -> bool:
    """Whether this process only joins in the stages of process 0."""
    return rank() > 0


class Crew:
    """The processes of one `torchrun`, seen from any of them. A context: process 0 dismisses the others at its end."""

    def __init__(self) -> None:
        self._group: Any = None
        self._within_stage = False

    def __enter__(self) -> Crew:
        if world_size() > 1:
            self._group = _connect()
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if error is not None:
            atexit.unregister(_disconnect)  # the others may not be there to take leave of
        # Processes that wait within a stage cannot be told anything: `torchrun` ends them when this one fails.
        if self._group is not None and not self._within_stage and not is_worker():
            self.exchange(Task(None, {}, None))

    def exchange(self, task: Task | None) -> Task:
        """The task of process 0, in every process."""
        import torch.distributed as dist

        holder = [task]
        dist.broadcast_object_list(holder, src=0, group=self._group)
        assert holder[0] is not None
        return holder[0]

    def run(self, module: str, context: StageContext, config: Any) -> None:
        """Run a distributed stage in all processes; returns when the last one is through."""
        if self._group is None:
            import_module(module).run(context, config)
            return
        fields = {
            "inputs": dict(context.inputs),
            "output": context.output,
            "stream": context.stream,
            "resources": context.resources,
            "data": context.data,
        }
        self.exchange(Task(module, fields, config))
        self._run(module, context, config)

    def join_in(self, stop_requested: Callable[[], bool]) -> None:
        """Run the stages that process 0 announces until it dismisses us."""
        while (task := self.exchange(None)).module is not None:
            context = StageContext(**task.context, progress=SilentProgress(), stop_requested=stop_requested)
            self._run(task.module, context, task.config)

    def _run(self, module: str, context: StageContext, config: Any) -> None:
        import torch.distributed as dist

        self._within_stage = True
        import_module(module).run(context, config)
        dist.barrier(group=self._group)
        self._within_stage = False


def _connect() -> Any:
    """The group that tasks go through (gloo: waiting costs no GPU).

    torch.distributed is started once and for the whole process. A second start, for the next run in it, would be at the
    same port: a process that is there early would find what process 0 still has of the first, and wait for ever.
    """
    import torch
    import torch.distributed as dist

    if not dist.is_initialized():
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
        atexit.register(_disconnect)
    return dist.new_group(backend="gloo", timeout=PATIENCE)


def _disconnect() -> None:
    """Leave the others, at the end of the process."""
    import torch.distributed as dist

    if dist.is_initialized():
        dist.destroy_process_group()
