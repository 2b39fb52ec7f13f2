"""Processes killed between any two operations on files, and the same command again: the same result as without."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
from itertools import count
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "toys"))

import toystages

from ncdcli.pipeline.runner import execute
from ncdcli.run.folder import RunFolder

KILLS = 20
RECIPE = {"train": {"epochs": 12}, "data": {"rows": 2000}}


def run_toy(path: Path) -> None:
    execute(toystages.resolved(**RECIPE), RunFolder(path), table=toystages.TABLE, identity=toystages.identity)


def start(path: Path, *, kill_before: int | None = None) -> multiprocessing.process.BaseProcess:
    """The pipeline in a process of its own, killed before it opens, makes, moves or removes so many files."""
    process = multiprocessing.get_context("fork").Process(target=run_until, args=(path, kill_before))
    process.start()
    return process


def run_until(path: Path, kill_before: int | None) -> None:
    operations = count()

    def watch(event: str, _: object) -> None:
        if event.startswith(("open", "os.")) and next(operations) == kill_before:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    run_toy(path)
    (path.parent / "operations").write_text(str(next(operations)))


def kill(path: Path, *, before: int) -> None:
    process = start(path, kill_before=before)
    process.join()
    assert process.exitcode == -signal.SIGKILL


def contents(path: Path) -> dict[str, bytes]:
    """Every file of the finished stages but the manifests."""
    files = [file for spec in toystages.TABLE for file in sorted((path / spec.name).iterdir())]
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in files if file.name != "manifest.json"}


@pytest.fixture
def whole(tmp_path):
    """A run that nothing interrupted; how many operations on files it takes is noted beside it."""
    run_toy(tmp_path / "first" / "toy")  # so that what is imported and looked up once does not count
    path = tmp_path / "whole" / "toy"
    start(path).join()
    return path


def operations(whole: Path) -> int:
    return int((whole.parent / "operations").read_text())


def test_twenty_kills_each_in_a_run_of_its_own(whole, tmp_path):
    expected = contents(whole)
    for number in range(KILLS):  # spread over the whole run
        path = tmp_path / str(number) / "toy"  # a runs folder of its own: nothing to link
        before = operations(whole) * (number + random.Random(number).random()) / KILLS
        kill(path, before=int(before))
        run_toy(path)
        assert contents(path) == expected, f"kill {number}"
        assert list((path / ".work").iterdir()) == []
        assert not (path / ".old").exists()


def test_twenty_kills_in_one_run(whole, tmp_path):
    """Each goes a little further than the one before would have to start from."""
    path = tmp_path / "one" / "toy"
    drawn = random.Random(1)
    for _ in range(KILLS):
        process = start(path, kill_before=drawn.randrange(operations(whole)))
        process.join()
        assert process.exitcode in (-signal.SIGKILL, 0)  # what is done already takes few operations
    run_toy(path)
    assert contents(path) == contents(whole)


def test_two_processes_at_once_leave_one_result(tmp_path):
    """One of them does the work, the others are told that the run is in use; nothing is done twice."""
    path = tmp_path / "a" / "toy"
    processes = [start(path) for _ in range(4)]
    for process in processes:
        process.join()
    assert sorted(process.exitcode for process in processes)[0] == 0
    run_toy(path)
    events = [(event["event"], event["stage"]) for event in RunFolder(path).events.read()]
    assert events == [(event, spec.name) for spec in toystages.TABLE for event in ("started", "finished")]
    assert os.listdir(path / ".work") == []
