"""Two processes, as `torchrun` starts them, work on one run: process 0 plans and publishes, process 1 joins in."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "toys"))

import join_in
import quickstart


def run_in_two(run: Path, *comments: str) -> list[tuple[int, str]]:
    """How both processes ended, and what they wrote to stderr."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    started = []
    for rank in range(2):
        own, errors = {"RANK": str(rank), "LOCAL_RANK": str(rank)}, run.parent / f"errors-{rank}"
        errors.parent.mkdir(exist_ok=True)
        process = quickstart.processes().Process(target=join_in.join, args=(shared | own, run, comments, errors))
        process.start()
        started.append((process, errors))
    for process, _ in started:
        process.join(120)
    return [(process.exitcode, errors.read_text()) for process, errors in started]


def test_two_processes_give_the_result_of_one(tmp_path):
    one, two = tmp_path / "a" / "toy", tmp_path / "b" / "toy"
    join_in.run_toy(one, "quick")
    for code, errors in run_in_two(two, "quick", "quick"):  # and then the same command again
        assert code == 0, errors
    for name in ("split/numbers.csv", "train/model.json"):
        assert (two / name).read_bytes() == (one / name).read_bytes()
    log = "split train split:run train:run\nsplit:keep train:keep\n"
    assert (tmp_path / "b" / "toy-0-of-2.txt").read_text() == log
    assert (tmp_path / "b" / "toy-1-of-2.txt").read_text() == "train\n\n"  # only the distributed stage, and no result


def test_failure_in_another_process_publishes_nothing(tmp_path):
    run = tmp_path / "toy"
    (first, _), (second, errors) = run_in_two(run, "fail")
    assert second != 0
    assert "process 1 fails" in errors
    assert first != 0  # it does not wait for ever
    assert (run / "split" / "manifest.json").exists()
    assert not (run / "train").exists()
