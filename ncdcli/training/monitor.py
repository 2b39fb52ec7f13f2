"""How a training talks to whoever started it: progress out, the wish to stop in; also across processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty
from typing import Any, Protocol

from ncdcli.pipeline.context import Tick


class Monitor(Protocol):
    """What a training loop is given."""

    def tick(self, advance: int = 1, /, **values: float) -> None: ...

    def stop_requested(self) -> bool: ...


@dataclass(frozen=True)
class LocalMonitor:
    """In the process that shows the progress bar."""

    tick: Tick
    stop_requested: Callable[[], bool]


@dataclass(frozen=True)
class SilentMonitor:
    """In processes that show nothing."""

    stop_requested: Callable[[], bool]

    def tick(self, advance: int = 1, /, **values: float) -> None:
        pass


@dataclass(frozen=True)
class RemoteMonitor:
    """In a spawned process: progress goes through a queue, the wish to stop comes through an event."""

    messages: Any  # multiprocessing.Queue of (advance, values)
    stop: Any  # multiprocessing.Event

    def tick(self, advance: int = 1, /, **values: float) -> None:
        self.messages.put((advance, values))

    def stop_requested(self) -> bool:
        return self.stop.is_set()


def relay(messages: Any, stop: Any, local: LocalMonitor, finished: Callable[[], bool]) -> None:
    """Pass on messages of spawned processes and the wish to stop, until `finished`. Runs in a thread.

    Before the first message nobody is asked whether to stop: the processes are still starting, and could not.
    """
    under_way = False
    while not finished():
        if under_way and local.stop_requested():
            stop.set()
        try:
            advance, values = messages.get(timeout=0.1)
        except Empty:
            continue
        under_way = True
        local.tick(advance, **values)
