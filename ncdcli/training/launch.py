"""Runs a function on one process, on several spawned ones, or on those that `torchrun` started."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from ncdcli.errors import Interrupted, MissingError, NcdError
from ncdcli.pipeline.context import Resources
from ncdcli.training.deterministic import deterministic
from ncdcli.training.devices import pick_device
from ncdcli.training.monitor import LocalMonitor, Monitor, RemoteMonitor, SilentMonitor, relay

if TYPE_CHECKING:
    from lightning_fabric import Fabric

PATIENCE_SECONDS = 2.0  # for what other processes and threads do at once, if they do it at all

Work = Callable[["Fabric", Any, Monitor], Any]


def under_torchrun() -> bool:
    """Whether this process is one of several that `torchrun` started."""
    return "RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def is_first_process() -> bool:
    """Whether this process writes what all compute; false only for ranks above 0 under `torchrun`."""
    return not under_torchrun() or os.environ["RANK"] == "0"


def launch(work: Work, job: Any, *, resources: Resources, precision: str, monitor: LocalMonitor) -> Any:
    """What `work(fabric, job, monitor)` returns in the first process.

    `work` must be a function of a module, and `job` and its result picklable, where `resources.processes` > 1. The
    result should be small: arrays go through files. An NcdError raised in any process is raised here.
    """
    with deterministic(resources.deterministic):
        if under_torchrun():
            return _torchrun(work, job, resources, precision, monitor)
        if resources.processes == 1:
            fabric = make_fabric(resources, precision, strategy="auto", processes=1)
            return fabric.launch(work, job, monitor)
        return _spawn(work, job, resources, precision, monitor)


def make_fabric(resources: Resources, precision: str, *, strategy: str, processes: int, nodes: int = 1) -> Fabric:
    """A Fabric on the asked device. `precision` is `fp32`, `bf16` or `fp16`."""
    from lightning_fabric import Fabric

    from ncdcli.training.float16 import Float16

    quiet_lightning()
    device = pick_device(resources.device)
    devices: Any = processes
    if device.type == "cuda":
        if processes == 1:
            devices = [device.index]
        elif processes > torch.cuda.device_count():
            raise MissingError(
                f"{processes} processes were asked for, and torch sees {torch.cuda.device_count()} CUDA devices",
                hint=f"--devices {torch.cuda.device_count()}",
            )
    return Fabric(
        accelerator=device.type,
        devices=devices,
        num_nodes=nodes,
        strategy=strategy,
        precision={"fp32": "32-true", "bf16": "bf16-mixed", "fp16": None}[precision],
        plugins=[Float16(device.type, processes * nodes)] if precision == "fp16" else None,
    )


def quiet_lightning() -> None:
    """Keep Lightning's announcements off stderr; its warnings stay."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)


def _torchrun(work: Work, job: Any, resources: Resources, precision: str, monitor: LocalMonitor) -> Any:
    world = int(os.environ["WORLD_SIZE"])
    local = int(os.environ.get("LOCAL_WORLD_SIZE", world))
    fabric = make_fabric(resources, precision, strategy="ddp", processes=local, nodes=world // local)
    mine: Monitor = monitor if is_first_process() else SilentMonitor(monitor.stop_requested)
    result = fabric.launch(work, job, mine)
    fabric.barrier()
    return result


def _spawn(work: Work, job: Any, resources: Resources, precision: str, monitor: LocalMonitor) -> Any:
    import torch.multiprocessing as multiprocessing

    context = multiprocessing.get_context("spawn")
    messages, stop, errors = context.Queue(), context.Event(), context.SimpleQueue()
    fabric = make_fabric(resources, precision, strategy="ddp_spawn", processes=resources.processes)
    done = threading.Event()
    thread = threading.Thread(target=relay, args=(messages, stop, monitor, done.is_set), daemon=True)
    thread.start()
    try:
        # As bytes: torch would let the processes share the memory of the weights that each is to train.
        channels = RemoteChannels(messages, stop, errors, deterministic=resources.deterministic)
        result = fabric.launch(_in_child, pickle.dumps((work, job)), channels)
        if not errors.empty():
            raise errors.get()
        return result
    except (multiprocessing.ProcessRaisedException, multiprocessing.ProcessExitedException) as error:
        if not errors.empty():
            raise errors.get() from None
        raise NcdError(f"a process of {resources.processes} failed: {error}") from error
    finally:
        for child in multiprocessing.active_children():  # only where something else than a child's end got us here
            child.kill()
        done.set()
        thread.join(PATIENCE_SECONDS)  # it may be reading what a killed process has only begun to write


class RemoteChannels:
    """What connects a spawned process with the one that started it."""

    def __init__(self, messages: Any, stop: Any, errors: Any, *, deterministic: bool) -> None:
        self.monitor = RemoteMonitor(messages, stop)
        self.errors, self.deterministic = errors, deterministic

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Arriving in the new process is the last moment before Lightning announces its processes."""
        vars(self).update(state)
        quiet_lightning()


def _in_child(fabric: Fabric, pickled: bytes, channels: RemoteChannels) -> Any:
    """Run in a spawned process."""
    monitor = channels.monitor
    _leave_signals_to_parent(monitor)
    mine: Monitor = monitor if fabric.global_rank == 0 else SilentMonitor(monitor.stop_requested)
    work, job = pickle.loads(pickled)
    try:
        with deterministic(channels.deterministic):
            return work(fabric, job, mine)
    except NcdError as error:
        channels.errors.put(error)
        if isinstance(error, Interrupted):  # all processes stop: none has to be ended from outside
            return None
        raise


def _leave_signals_to_parent(monitor: RemoteMonitor) -> None:
    """Signals that reach a whole group of processes are for the parent, which sets the monitor's event."""
    parent = os.getppid()

    def leave_if_orphaned(*_: Any) -> None:  # torch has the kernel send SIGINT when the parent dies
        if os.getppid() != parent:
            os._exit(1)

    def leave_unless_told(code: int) -> None:
        if not monitor.stop.wait(PATIENCE_SECONDS):  # the parent has not got it
            os._exit(code)

    def leave_if_alone(number: int, _: Any) -> None:  # in a thread: the main one may hold the event's lock
        threading.Thread(target=leave_unless_told, args=(128 + number,), daemon=True).start()

    signal.signal(signal.SIGINT, leave_if_orphaned)
    signal.signal(signal.SIGTERM, leave_if_alone)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signal.signal(signal.SIGHUP, leave_if_alone)
