"""Runs the processes of a sweep: at most so many at a time, none twice the same work, all stopped together."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from ncdcli.pipeline.signals import StopSignals
from ncdcli.sweep.children import End
from ncdcli.sweep.schedule import Scheduled, must_wait

LOOK_SECONDS = 0.02  # between looks at the running processes
PATIENCE_SECONDS = 20.0  # for processes that were told a second time to stop

State = Literal["done", "failed", "stopped", "not started"]


class Process(Protocol):
    """What `Child` is."""

    def end(self, *, timeout: float | None = 0) -> End | None: ...

    def send(self, number: int) -> None: ...

    def kill(self) -> None: ...


@dataclass(frozen=True)
class Outcome:
    """What became of a run."""

    name: str
    state: State
    seconds: float = 0.0
    end: End | None = None


@dataclass
class Executor:
    """Takes runs one after the other, `jobs` at a time; after a failure no more are started, unless `keep_going`."""

    start: Callable[[Scheduled], Process]
    tell: Callable[[Outcome], None]  # called at the end of each run
    stop: StopSignals
    jobs: int = 1
    keep_going: bool = False
    running: dict[str, tuple[Scheduled, Process, float]] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)

    def execute(self, runs: Sequence[Scheduled]) -> dict[str, Outcome]:
        """Name -> outcome of every run. Signals, and a failure without `keep_going`, stop those that are running."""
        waiting = list(runs)
        try:
            while (waiting or self.running) and not self._ends_early():
                self._start_some(waiting)
                time.sleep(LOOK_SECONDS)
                self._collect()
            self._stop_running()
        finally:
            for _, process, _ in self.running.values():  # only after a second Ctrl-C, or a fault of ours
                process.kill()
        self._collect()
        return {run.name: self.outcomes.get(run.name, Outcome(run.name, "not started")) for run in runs}

    def _ends_early(self) -> bool:
        failed = any(outcome.state == "failed" for outcome in self.outcomes.values())
        return self.stop.requested() or (failed and not self.keep_going)

    def _start_some(self, waiting: list[Scheduled]) -> None:
        for run in list(waiting):
            if len(self.running) >= self.jobs:
                return
            if not must_wait(run, [other for other, _, _ in self.running.values()]):
                waiting.remove(run)
                self.running[run.name] = (run, self.start(run), time.monotonic())

    def _collect(self) -> None:
        for name, (_, process, started) in list(self.running.items()):
            end = process.end()
            if end is not None:
                del self.running[name]
                stopped = end.code in (130, 143, 129, -signal.SIGTERM, -signal.SIGINT, -signal.SIGKILL)
                asked = stopped and self._ends_early()
                state: State = "done" if end.code == 0 else "stopped" if asked else "failed"
                self.outcomes[name] = Outcome(name, state, time.monotonic() - started, end)
                self.tell(self.outcomes[name])

    def _stop_running(self) -> None:
        """Let the running processes save their state, however long that takes; a second Ctrl-C hurries them."""
        number = self.stop.received or signal.SIGTERM
        for _, process, _ in self.running.values():
            process.send(number)
        try:
            while self.running:
                time.sleep(LOOK_SECONDS)
                self._collect()
        except KeyboardInterrupt:
            deadline = time.monotonic() + PATIENCE_SECONDS
            for _, process, _ in self.running.values():
                process.send(signal.SIGINT)
            for _, process, _ in self.running.values():
                process.end(timeout=max(0.0, deadline - time.monotonic()))
