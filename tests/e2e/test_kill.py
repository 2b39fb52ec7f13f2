"""`kill -9` of real runs in the middle of every stage, and the same command again: the same result as without."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tinyrecipe import RECIPE, TIMES

from ncdcli.pipeline.spec import BY_NAME
from ncdcli.run.folder import RunFolder
from ncdcli.sweep.children import End
from ncdcli.sweep.forks import Fork, Server, can_fork

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not can_fork("cpu"), reason="runs are not forks here")]

POLL_SECONDS = 0.002
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
STAGES = list(BY_NAME)
TRAINING = ("pretrain", "joint_training")
KILLS = 20


class Ncd:
    """`ncd run` in forks of one process: importing torch anew each time would take most of the time."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def __call__(self, folder: Path, *flags: str, begun: str | None = None, after: float = 0.0) -> End:
        """How a run ended; killed `after` seconds after a file that matches the pattern `begun` is there."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tiny.yaml").write_text(RECIPE)
        words = ["run", str(folder / "tiny.yaml"), "--run", str(folder / "runs" / "tiny"), *flags]
        run, kill_at = Fork(words, self._server, threads=1), math.inf
        while (end := run.end(timeout=POLL_SECONDS)) is None:
            if begun is not None and any(folder.glob(begun)):
                begun, kill_at = None, time.monotonic() + after
            if time.monotonic() >= kill_at:
                run.kill()
        return end


@pytest.fixture(scope="module")
def ncd(forked: Server) -> Ncd:
    return Ncd(forked)


@pytest.fixture(scope="module")
def whole(ncd: Ncd, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    assert ncd(folder) == End(0)
    return RunFolder(folder / "runs" / "tiny")


def artefacts(run: RunFolder, stages: list[str]) -> dict[str, bytes]:
    """Every file of the finished stages, but for those that hold times."""
    files = [file for stage in stages for file in sorted(run.stage_dir(stage).rglob("*")) if file.name not in TIMES]
    return {file.relative_to(run.path).as_posix(): file.read_bytes() for file in files}


def assert_as_if_never_killed(run: RunFolder, whole: RunFolder, *, until: str = STAGES[-1]) -> None:
    stages = STAGES[: STAGES.index(until) + 1]
    found, expected = artefacts(run, stages), artefacts(whole, stages)
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []
    assert list((run.path / ".work").iterdir()) == []
    assert not (run.path / ".old").exists()
    names = {path.name for path in run.path.iterdir()}
    assert names == {
        *stages,
        ".lock",
        ".work",
        "events.jsonl",
        "ncd.log",
        "recipe.source.yaml",
        "recipe.yaml",
        "run.json",
    }


def seconds_of(run: RunFolder, stage: str) -> float:
    """How long the stage took."""
    manifest = run.manifest(stage)
    assert manifest is not None
    return manifest.seconds


def interrupted_stage(run: RunFolder) -> str | None:
    """The stage that had begun and not ended when the process was killed."""
    events = run.events.read() if run.exists else []
    return events[-1]["stage"] if events and events[-1]["event"] in ("started", "resumed") else None


def copy_before(whole: RunFolder, stage: str, folder: Path) -> None:
    """The whole run as it was before a stage, as if its process had ended there; in a runs folder of its own."""
    later = STAGES[STAGES.index(stage) :]
    shutil.copytree(whole.path, folder / "runs" / "tiny", ignore=shutil.ignore_patterns(*later))
    events = RunFolder(folder / "runs" / "tiny").path / "events.jsonl"
    lines = events.read_text().splitlines(keepends=True)
    events.write_text("".join(line for line in lines if json.loads(line).get("stage") not in later))


def kill_within(ncd: Ncd, whole: RunFolder, folder: Path, stage: str, *, begun: str, seconds: float) -> None:
    """Kill a run `seconds` after `begun`, or sooner where that would be too late to be within the stage."""
    for _ in range(20):
        copy_before(whole, stage, folder)
        end = ncd(folder, begun=begun, after=seconds)
        if end.code == -signal.SIGKILL and interrupted_stage(RunFolder(folder / "runs" / "tiny")) == stage:
            return
        shutil.rmtree(folder)
        seconds /= 2
    raise AssertionError(f"no kill within `{stage}`")


def test_twenty_kills_at_random_moments_of_all_stages(ncd: Ncd, whole: RunFolder, tmp_path: Path) -> None:
    """The stage is compared; those after it, which go on from its files, are of the tests below."""
    drawn = random.Random(0)
    for number in range(KILLS):
        folder = tmp_path / str(number)
        stage = STAGES[number % len(STAGES)]
        from_checkpoint = stage in TRAINING and number >= KILLS // 2
        begun = f"runs/tiny/.work/{stage}-*" + ("/checkpoint.pt" if from_checkpoint else "")
        kill_within(ncd, whole, folder, stage, begun=begun, seconds=drawn.random() * seconds_of(whole, stage))
        assert ncd(folder, "--until", stage) == End(0)
        run = RunFolder(folder / "runs" / "tiny")
        assert_as_if_never_killed(run, whole, until=stage)
        if from_checkpoint:
            assert "resumed" in [event["event"] for event in run.events.read()]


def test_one_run_killed_again_and_again(ncd: Ncd, whole: RunFolder, tmp_path: Path) -> None:
    drawn = random.Random(1)
    run = RunFolder(tmp_path / "runs" / "tiny")
    for number in range(8):
        stage = STAGES[number * len(STAGES) // 8]  # some are killed twice
        ncd(tmp_path, begun=f"runs/tiny/.work/{stage}-*", after=drawn.random() * seconds_of(whole, stage))
    assert ncd(tmp_path) == End(0)
    assert_as_if_never_killed(run, whole)


def test_a_killed_process_of_its_own(ncd: Ncd, whole: RunFolder, tmp_path: Path) -> None:
    """The command as it is typed, with its loaders' and libraries' threads, killed while it trains."""
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    process = subprocess.Popen(
        [sys.executable, "-m", "ncdcli", "run", "tiny.yaml", "--quiet"], cwd=tmp_path, env=ENVIRONMENT
    )
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("runs/tiny/.work/pretrain-*/metrics.jsonl")):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert ncd(tmp_path) == End(0)
    assert_as_if_never_killed(RunFolder(tmp_path / "runs" / "tiny"), whole)
