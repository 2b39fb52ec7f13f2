"""Ctrl-C, SIGTERM and a lost terminal during real stages that would take minutes, each in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from finished import tiny

from ncdcli.run.folder import RunFolder
from ncdcli.sweep import forks
from ncdcli.sweep.forks import Fork, Server, can_fork

pytestmark = pytest.mark.slow

Start = Callable[[Path, str], subprocess.Popen[str]]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
RECIPE = tiny(
    estimate_k="{kind: max_acc, high: 12, restarts: 1}", cluster="{kind: semi_kmeans, restarts: 1}", report=None
)
AS_FROM_A_SHELL = """\
import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_DFL)
os.execv(sys.executable, [sys.executable, "-m", "ncdcli", *sys.argv[1:]])
"""
TRAINING = """\
version: 1
name: tiny
data: {card: digits, subset: 300}
backbone: {kind: small_cnn, widths: [4], dim: 8}
pretrain: {objective: {kind: cross_entropy}, epochs: 100000}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a run is taken from stage to stage."""
    path = tmp_path_factory.mktemp("signals")
    (path / "tiny.yaml").write_text(RECIPE)
    return path


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a command, which hears of a lost terminal even where these tests run under `nohup`, and ends with them."""
    started: list[subprocess.Popen[str]] = []

    def start(folder: Path, words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", AS_FROM_A_SHELL, *words.split()], cwd=folder, env=ENVIRONMENT,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def wait_until(reached: Callable[[], bool], *, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def processor_seconds(pid: int) -> float:
    """What a process has computed so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def processes_of(group: int) -> list[int]:
    """The processes of a group that are left, but for those that only wait for somebody to ask how they ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            state, _, its_group = path.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state != "Z":
                found.append(int(path.parent.name))
    return found


def two_lines(path: Path) -> bool:
    return path.read_bytes().count(b"\n") > 1


@pytest.mark.skipif(not can_fork("cpu"), reason="runs are not forks here")
@pytest.mark.parametrize(
    ("stage", "number", "code", "override"),
    [
        ("estimate_k", signal.SIGINT, 130, "estimate_k.restarts=1000000"),
        ("cluster", signal.SIGTERM, 143, "cluster.restarts=1000000"),
        ("evaluate", signal.SIGHUP, 129, "evaluate.stability_seeds=1000000"),
    ],
)
def test_long_stage_stops_at_once_and_nothing_before_it_is_lost(
    folder: Path,
    forked: Server,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
    number: signal.Signals,
    code: int,
    override: str,
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(forks, "ANSWERING", ())  # it speaks as it does to a person
    run = Fork(["run", "tiny.yaml", "--set", override], forked, threads=1)
    wait_until(lambda: run.end() is None and any(folder.glob(f"runs/tiny/.work/{stage}-*")))
    pid = run.pid
    assert pid is not None
    begun = processor_seconds(pid)
    wait_until(lambda: processor_seconds(pid) > begun + 0.5)  # the little that it has to import takes less
    run.send(number)
    sent = time.monotonic()
    end = run.end(timeout=120)
    assert time.monotonic() - sent < 30  # the stage itself would take many minutes
    assert end is not None
    out, err = run.output()
    assert (end.code, out) == (code, "")
    assert err.splitlines()[-2:] == [
        f"error: interrupted in `{stage}`; all before it is saved, `{stage}` itself will start again",
        f"to go on: ncd run tiny.yaml --set {override}",
    ]
    found = RunFolder(folder / "runs" / "tiny")
    assert found.events.read()[-1]["event"] == "interrupted"
    assert found.manifest("embed") is not None
    assert found.manifest(stage) is None


@pytest.mark.skipif(not can_fork("cpu"), reason="runs are not forks here")
def test_signal_to_all_processes_of_a_training_saves_its_state(
    tmp_path: Path, forked: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a batch system or a closed terminal sends it: the processes that train get it as well."""
    (tmp_path / "tiny.yaml").write_text(TRAINING)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(forks, "ANSWERING", ())
    run = Fork(["pretrain", "tiny.yaml", "--devices", "2"], forked, threads=1)
    metrics = "runs/tiny/.work/pretrain-*/metrics.jsonl"
    wait_until(lambda: run.end() is None and any(two_lines(path) for path in tmp_path.glob(metrics)))
    pid = run.pid
    assert pid is not None
    assert len(processes_of(pid)) > 2
    os.killpg(pid, signal.SIGTERM)
    end = run.end(timeout=120)
    assert end is not None
    _, err = run.output()
    assert end.code == 143, err
    assert err.splitlines()[-2:] == [
        "error: interrupted in `pretrain`; state saved",
        "to go on: ncd pretrain tiny.yaml --devices 2",
    ]
    wait_until(lambda: not processes_of(pid))


def test_signal_while_processes_start_leaves_none_behind(tmp_path: Path, start: Start) -> None:
    (tmp_path / "tiny.yaml").write_text(TRAINING)
    process = start(tmp_path, "pretrain tiny.yaml --devices 2")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        pytest.skip("the system does not tell a process's children")
    wait_until(lambda: len(children.read_text().split()) > 1)  # the first is a tracker of resources
    os.killpg(process.pid, signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 143, err
    assert err.splitlines()[-1] == "to go on: ncd pretrain tiny.yaml --devices 2"
    wait_until(lambda: not processes_of(process.pid))
