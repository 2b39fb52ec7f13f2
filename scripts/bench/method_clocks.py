"""What methods.py measures with: clocks that are stopped for what is not to count, and what they showed."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Clock:
    """Seconds of the wall and of the processor, all threads, that passed while it ran."""

    wall: float = 0.0
    processor: float = 0.0
    started: tuple[float, float] | None = None

    def start(self) -> None:
        self.started = time.perf_counter(), time.process_time()

    def stop(self) -> None:
        assert self.started is not None
        wall, processor = self.started
        self.wall += time.perf_counter() - wall
        self.processor += time.process_time() - processor
        self.started = None

    def take(self) -> tuple[float, float]:
        """What it shows; it is then set to zero."""
        shown = self.wall, self.processor
        self.wall = self.processor = 0.0
        return shown


def outside_of(clock: Clock, other: Clock, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, whose time goes to the `other` clock."""

    def timed(*arguments: Any) -> Any:
        clock.stop()
        other.start()
        try:
            return function(*arguments)
        finally:
            other.stop()
            clock.start()

    return timed


@dataclass
class Side:
    """What was measured of one of the two."""

    epochs: list[tuple[float, float]] = field(default_factory=list)  # seconds of the wall, of the processor
    refreshes: list[float] = field(default_factory=list)  # seconds of the wall
    losses: list[float] = field(default_factory=list)  # means

    def take(self, clock: Clock, refresh: Clock, loss: float) -> None:
        self.epochs.append(clock.take())
        self.refreshes.append(refresh.take()[0])
        self.losses.append(loss)
