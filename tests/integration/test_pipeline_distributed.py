"""Two processes, as `torchrun` starts them, work on one run: process 0 plans and publishes, process 1 joins in."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "toys" / "join_in.py"


def run_in_two(run: Path, comment: str = "") -> list[subprocess.CompletedProcess[str]]:
    """Both processes, ended."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), str(run), comment],
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    errors = [process.communicate(timeout=120)[1] for process in started]
    return [
        subprocess.CompletedProcess(process.args, process.returncode, "", error)
        for process, error in zip(started, errors, strict=True)
    ]


@pytest.mark.slow
def test_two_processes_give_the_result_of_one(tmp_path):
    one, two = tmp_path / "a" / "toy", tmp_path / "b" / "toy"
    subprocess.run([sys.executable, str(SCRIPT), str(one), ""], check=True)
    for done in run_in_two(two):
        assert done.returncode == 0, done.stderr
    for name in ("split/numbers.csv", "train/model.json"):
        assert (two / name).read_bytes() == (one / name).read_bytes()
    assert (tmp_path / "b" / "toy-0-of-2.txt").read_text() == "split train split:run train:run"
    assert (tmp_path / "b" / "toy-1-of-2.txt").read_text() == "train"  # only the distributed stage, and no result

    for done in run_in_two(two):
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "b" / "toy-0-of-2.txt").read_text() == "split:keep train:keep"
    assert (tmp_path / "b" / "toy-1-of-2.txt").read_text() == ""


@pytest.mark.slow
def test_failure_in_another_process_publishes_nothing(tmp_path):
    run = tmp_path / "toy"
    first, second = run_in_two(run, "fail")
    assert second.returncode != 0
    assert "process 1 fails" in second.stderr
    assert first.returncode != 0  # it does not wait for ever
    assert (run / "split" / "manifest.json").exists()
    assert not (run / "train").exists()
