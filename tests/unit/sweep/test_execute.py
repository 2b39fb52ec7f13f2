from __future__ import annotations

import signal
from pathlib import Path

import pytest

from ncdcli.pipeline.signals import StopSignals
from ncdcli.run.folder import RunFolder
from ncdcli.sweep import execute
from ncdcli.sweep.children import End, environment, explain_end
from ncdcli.sweep.execute import Executor
from ncdcli.sweep.schedule import Scheduled


class FakeProcess:
    """Ends with a code after it was looked at `looks` times, or once a signal has come."""

    def __init__(self, code: int, looks: int) -> None:
        self.code, self.looks = code, looks
        self.signals: list[int] = []

    def end(self, *, timeout: float | None = 0) -> End | None:
        self.looks -= 1
        if self.signals:
            return End(128 + self.signals[0])
        return End(self.code, "it broke" if self.code else "") if self.looks <= 0 else None

    def send(self, number: int) -> None:
        self.signals.append(number)

    def kill(self) -> None:
        raise AssertionError("a process is killed only after a second Ctrl-C")


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execute, "LOOK_SECONDS", 0.001)


class World:
    """Starts fake processes, and keeps the order of what happened."""

    def __init__(self, **codes: int) -> None:
        self.codes, self.events = codes, []  # type: ignore[var-annotated]
        self.most = self.now = 0
        self.stop = StopSignals()

    def run(self, *, jobs: int = 1, keep_going: bool = False, same: str = "") -> dict[str, str]:
        runs = [
            Scheduled(name, RunFolder(Path("/nowhere") / name), dict.fromkeys(STAGES, same or name))
            for name in self.codes
        ]
        outcomes = Executor(self.start, self.tell, self.stop, jobs, keep_going).execute(runs)
        return {name: outcome.state for name, outcome in outcomes.items()}

    def start(self, run: Scheduled) -> FakeProcess:
        self.now += 1
        self.most = max(self.most, self.now)
        self.events.append(f"start {run.name}")
        return FakeProcess(self.codes[run.name], looks=3 if self.codes[run.name] else 5)

    def tell(self, outcome: execute.Outcome) -> None:
        self.now -= 1
        self.events.append(f"{outcome.state} {outcome.name}")


STAGES = ("split", "pretrain", "embed", "estimate_k", "cluster", "evaluate", "report")


def test_as_many_run_at_a_time_as_there_are_jobs() -> None:
    world = World(a=0, b=0, c=0, d=0)

    assert set(world.run(jobs=2).values()) == {"done"}
    assert world.most == 2


def test_runs_that_share_what_is_not_done_go_one_after_the_other() -> None:
    world = World(a=0, b=0, c=0)

    world.run(jobs=3, same="key")
    assert world.most == 1


def test_after_a_failure_the_others_are_stopped_and_none_is_started() -> None:
    world = World(a=1, b=0, c=0)

    assert world.run(jobs=2) == {"a": "failed", "b": "stopped", "c": "not started"}


def test_with_keep_going_the_others_are_run() -> None:
    assert World(a=1, b=0, c=0).run(jobs=1, keep_going=True) == {"a": "failed", "b": "done", "c": "done"}


def test_a_signal_stops_what_runs() -> None:
    world = World(a=0, b=0, c=0)
    world.stop = StopSignals()
    start = world.start

    def start_and_interrupt(run: Scheduled) -> FakeProcess:
        process = start(run)
        signal.raise_signal(signal.SIGINT)
        return process

    world.start = start_and_interrupt  # type: ignore[method-assign]
    with world.stop:
        assert world.run(jobs=1) == {"a": "stopped", "b": "not started", "c": "not started"}
    assert world.stop.exit_code == 130


def test_threads_are_never_more_than_the_user_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)

    assert environment(4)["OMP_NUM_THREADS"] == "2"
    assert environment(1)["OMP_NUM_THREADS"] == "1"
    assert environment(4)["MKL_NUM_THREADS"] == "4"
    assert "MKL_NUM_THREADS" not in environment(None)


def test_why_a_process_ended() -> None:
    answer = '{"error": {"message": "no data", "hint": "get them", "exit_code": 4}}'

    assert explain_end(4, answer, "noise") == End(4, "no data", "get them")
    assert explain_end(1, "", "Traceback\nMemoryError: no memory\n") == End(1, "MemoryError: no memory")
    assert explain_end(-9, "", "").message == "ended by SIGKILL"
    assert "--jobs" in explain_end(-9, "", "").hint
    assert explain_end(3, "", "").message == "ended with exit code 3"
