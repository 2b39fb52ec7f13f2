"""Processes killed at random moments, and the same command again: the same result as without."""

from __future__ import annotations

import multiprocessing
import os
import random
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "toys"))

import toystages
import toystages.train

from ncdcli.pipeline.runner import execute
from ncdcli.run.folder import RunFolder

KILLS = 20
RECIPE = {"train": {"epochs": 12}, "data": {"rows": 2000}}


def run_toy(path: Path) -> None:
    execute(toystages.resolved(**RECIPE), RunFolder(path), table=toystages.TABLE, identity=toystages.identity)


def start(path: Path) -> multiprocessing.process.BaseProcess:
    process = multiprocessing.get_context("fork").Process(target=run_toy, args=(path,))
    process.start()
    return process


def contents(path: Path) -> dict[str, bytes]:
    """Every file of the finished stages but the manifests."""
    files = [file for spec in toystages.TABLE for file in sorted((path / spec.name).iterdir())]
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in files if file.name != "manifest.json"}


@pytest.fixture(autouse=True)
def slow_epochs(monkeypatch):
    monkeypatch.setattr(toystages.train, "PAUSE_SECONDS", 0.005)


def test_twenty_kills_each_in_a_run_of_its_own(tmp_path):
    whole = tmp_path / "a" / "whole"
    began = time.monotonic()
    process = start(whole)
    process.join()
    seconds = time.monotonic() - began
    expected = contents(whole)
    drawn = random.Random(0)
    cut = 0
    for number in range(KILLS):
        path = tmp_path / str(number) / "toy"  # a runs folder of its own: nothing to link
        process = start(path)
        time.sleep(drawn.uniform(0, seconds))
        process.kill()
        process.join()
        cut += process.exitcode != 0
        run_toy(path)
        assert contents(path) == expected, f"kill {number}"
        assert list((path / ".work").iterdir()) == []
        assert not (path / ".old").exists()
    assert cut >= KILLS // 2  # the kills did hit


def test_twenty_kills_in_one_run(tmp_path):
    whole = tmp_path / "a" / "whole"
    began = time.monotonic()
    process = start(whole)
    process.join()
    seconds = time.monotonic() - began
    path = tmp_path / "b" / "toy"
    drawn = random.Random(1)
    for _ in range(KILLS):
        process = start(path)
        time.sleep(drawn.uniform(0, seconds))
        process.kill()
        process.join()
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
