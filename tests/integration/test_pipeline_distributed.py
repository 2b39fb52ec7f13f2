"""Two processes, as `torchrun` starts them, work on one run: process 0 plans and publishes, process 1 joins in."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "toys"))

import join_in

pytestmark = pytest.mark.slow
SCRIPT = Path(join_in.__file__)


def run_in_two(run: Path, *words: str) -> list[subprocess.CompletedProcess[str]]:
    """Both processes, ended."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), str(run), *words],
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


def test_two_processes_give_the_result_of_one(tmp_path):
    one, two = tmp_path / "a" / "toy", tmp_path / "b" / "toy"
    join_in.run_toy(one, "quick")
    for done in run_in_two(two, "quick", "quick"):  # and then the same command again
        assert done.returncode == 0, done.stderr
    for name in ("split/numbers.csv", "train/model.json"):
        assert (two / name).read_bytes() == (one / name).read_bytes()
    log = "split train split:run train:run\nsplit:keep train:keep\n"
    assert (tmp_path / "b" / "toy-0-of-2.txt").read_text() == log
    assert (tmp_path / "b" / "toy-1-of-2.txt").read_text() == "train\n\n"  # only the distributed stage, and no result


def test_failure_in_another_process_publishes_nothing(tmp_path):
    run = tmp_path / "toy"
    first, second = run_in_two(run, "fail")
    assert second.returncode != 0
    assert "process 1 fails" in second.stderr
    assert first.returncode != 0  # it does not wait for ever
    assert (run / "split" / "manifest.json").exists()
    assert not (run / "train").exists()
