"""`kill -9` of real runs in the middle of every stage, and the same command again: the same result as without."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ncdcli.pipeline.spec import BY_NAME
from ncdcli.run.folder import RunFolder

SERVER = Path(__file__).parents[1] / "toys" / "forked_ncd.py"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
TIMES = ("manifest.json", "timing.jsonl")
STAGES = list(BY_NAME)
KILLS = 20
RECIPE = """\
version: 1
name: tiny
data: {card: digits, subset: 300}
backbone: {kind: small_cnn, widths: [8, 8], dim: 8}
pretrain:
  objective: {kind: supcon_infonce, head: mlp, head_hidden: 16, head_out: 8, head_layers: 2}
  epochs: 5
  batch_size: 64
  augment: {shift: 0.1, rotate: 15}
estimate_k: {kind: max_acc, high: 15, restarts: 3}
cluster: {kind: semi_kmeans, restarts: 3}
"""


class Ncd:
    """`ncd` in forked processes: importing torch anew each time would take most of the time."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, folder: Path, words: str, *, stage: str | None = None, after: float | None = None) -> Any:
        """{"code", "seconds"} of the command; killed `after` seconds of the stage, or of all."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tiny.yaml").write_text(RECIPE)
        task = {"words": words.split(), "folder": str(folder), "stage": stage, "after": after}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@pytest.fixture(scope="module")
def ncd() -> Iterator[Ncd]:
    command = [sys.executable, str(SERVER)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as process:
        yield Ncd(process)
        process.kill()


@pytest.fixture(scope="module")
def whole(ncd: Ncd, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    ended = ncd(folder, "run tiny.yaml")
    assert ended["code"] == 0, (folder / "output.txt").read_text()
    return RunFolder(folder / "runs" / "tiny")


def artefacts(run: RunFolder) -> dict[str, bytes]:
    """Every file of the finished stages, but for those that hold times."""
    files = [file for stage in STAGES for file in sorted(run.stage_dir(stage).rglob("*")) if file.name not in TIMES]
    return {file.relative_to(run.path).as_posix(): file.read_bytes() for file in files}


def assert_as_if_never_killed(run: RunFolder, whole: RunFolder) -> None:
    found, expected = artefacts(run), artefacts(whole)
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []
    assert list((run.path / ".work").iterdir()) == []
    assert not (run.path / ".old").exists()
    names = {path.name for path in run.path.iterdir()}
    assert names == {
        *STAGES,
        ".lock",
        ".work",
        "events.jsonl",
        "ncd.log",
        "recipe.source.yaml",
        "recipe.yaml",
        "run.json",
    }


def interrupted_stage(run: RunFolder) -> str | None:
    """The stage that had begun and not ended when the process was killed."""
    events = run.events.read() if run.exists else []
    return events[-1]["stage"] if events and events[-1]["event"] in ("started", "resumed") else None


@pytest.mark.slow
def test_twenty_kills_at_random_moments_of_all_stages(ncd: Ncd, whole: RunFolder, tmp_path: Path) -> None:
    drawn = random.Random(0)
    hit, resumed = [], 0
    for number in range(KILLS):
        folder = tmp_path / str(number)  # a runs folder of its own: nothing to link
        run = RunFolder(folder / "runs" / "tiny")
        stage = STAGES[number % len(STAGES)]
        manifest = whole.manifest(stage)
        assert manifest is not None
        ended = ncd(folder, "run tiny.yaml", stage=stage, after=drawn.random() * manifest.seconds)
        if ended["code"] == -signal.SIGKILL:
            hit.append(interrupted_stage(run))
        again = ncd(folder, "run tiny.yaml")
        assert again["code"] == 0, (folder / "output.txt").read_text()
        assert_as_if_never_killed(run, whole)
        resumed += any(event["event"] == "resumed" for event in run.events.read())
    assert len(hit) >= KILLS * 3 // 4
    assert set(STAGES) <= set(hit)
    assert resumed >= 1


@pytest.mark.slow
def test_one_run_killed_again_and_again(ncd: Ncd, whole: RunFolder, tmp_path: Path) -> None:
    drawn = random.Random(1)
    run = RunFolder(tmp_path / "runs" / "tiny")
    for number in range(8):
        stage = STAGES[number * len(STAGES) // 8]  # some are killed twice
        manifest = whole.manifest(stage)
        assert manifest is not None
        ncd(tmp_path, "run tiny.yaml", stage=stage, after=drawn.random() * manifest.seconds)
    assert ncd(tmp_path, "run tiny.yaml")["code"] == 0
    assert_as_if_never_killed(run, whole)


@pytest.mark.slow
def test_a_killed_process_of_its_own(ncd: Ncd, whole: RunFolder, tmp_path: Path) -> None:
    """The command as it is typed, with its loaders' and libraries' threads, killed while it trains."""
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    process = subprocess.Popen(
        [sys.executable, "-m", "ncdcli", "run", "tiny.yaml", "--quiet"], cwd=tmp_path, env=ENVIRONMENT
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob("runs/tiny/.work/pretrain-*/metrics.jsonl")):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert ncd(tmp_path, "run tiny.yaml")["code"] == 0
    assert_as_if_never_killed(RunFolder(tmp_path / "runs" / "tiny"), whole)
