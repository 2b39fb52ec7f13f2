"""`ncd sweep` on small digits: the whole of it, and signals to its processes."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from finished import tiny

from ncdcli.sweep import forks
from ncdcli.sweep.forks import Fork, Server, can_fork

pytestmark = pytest.mark.slow

RECIPE = tiny(cluster="{kind: kmeans, restarts: 2}")
SWEEP = """\
recipe: tiny.yaml
seeds: 2
grid:
  cluster.restarts: [1, 2, 1]
"""
ENDLESS = """\
version: 1
name: endless
data: {card: digits, subset: 300}
backbone: {kind: small_cnn, widths: [4], dim: 8}
pretrain: {objective: {kind: cross_entropy}, epochs: 100000}
"""


def start(folder: Path, patch: pytest.MonkeyPatch, server: Server, *words: str) -> Fork:
    """A sweep in a fork, which speaks as it does to a person, with a server of its own."""
    with patch.context() as here:  # this process is not to be taken for one of the sweep's
        here.chdir(folder)
        here.setattr(forks, "ANSWERING", ())
        sweep = Fork(["sweep", *words], server, threads=1)
        while sweep.pid is None:
            assert sweep.end(timeout=0.01) is None
    return sweep


Run = Callable[..., tuple[int, str, str]]


def test_a_sweep_from_dry_run_to_table(tmp_path: Path, run_ncd: Run, run_forked: Run) -> None:
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    (tmp_path / "s.yaml").write_text(SWEEP)

    code, out, _ = run_ncd("sweep", "s.yaml", "--dry-run", "--json")
    plan = json.loads(out)
    names = [row["run"] for row in plan["plan"]]
    assert (code, len(names), len(plan["duplicates"])) == (0, 4, 2)
    assert plan["plan"][2]["shared"] == {names[0]: ["split", "pretrain", "embed", "estimate_k"]}
    assert not (tmp_path / "runs").exists()

    code, out, _ = run_forked(tmp_path, "sweep", "s.yaml", "--jobs", "2", "--json")
    first = json.loads(out)
    assert (code, [run["state"] for run in first["runs"]]) == (0, ["done"] * 4)
    folders = [tmp_path / run["run"] for run in first["runs"]]
    reused = [json.loads((folder / "embed/manifest.json").read_text())["reused_from"] for folder in folders]
    assert sum(source is not None for source in reused) == 2  # each seed's embeddings were made once
    scores = [json.loads((folder / "evaluate/metrics.json").read_text())["headline"]["all"] for folder in folders]
    assert [row["all"]["values"] for row in first["table"]] == [scores[:2], scores[2:]]
    assert [row["point"]["cluster.restarts"] for row in first["table"]] == [1, 2]

    code, out, _ = run_ncd("sweep", "s.yaml", "--json")
    again = json.loads(out)
    assert (code, {run["state"] for run in again["runs"]}) == (0, {"up to date"})
    assert again["table"] == first["table"]


@pytest.mark.parametrize(
    ("flags", "states"), [((), ["failed", "not started"]), (("--keep-going",), ["failed", "done"])]
)
def test_a_failure_is_told_and_ends_with_1(
    tmp_path: Path, run_forked: Run, flags: tuple[str, ...], states: list[str]
) -> None:
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    (tmp_path / "s.yaml").write_text("recipe: tiny.yaml\ngrid: {estimate_k.k: [5000, 10]}\n")

    code, out, err = run_forked(tmp_path, "sweep", "s.yaml", "--json", *flags)
    runs = json.loads(out)["runs"]
    assert (code, [run["state"] for run in runs]) == (1, states)
    assert "5,000 clusters" in runs[0]["error"]["message"]
    assert runs[0]["error"]["message"] in err
    assert err.splitlines()[-1].startswith("to go on: ncd sweep s.yaml")


@pytest.fixture
def endless(tmp_path: Path, forked: Server, monkeypatch: pytest.MonkeyPatch) -> Fork:
    """A sweep whose two runs train side by side."""
    (tmp_path / "endless.yaml").write_text(ENDLESS)
    (tmp_path / "s.yaml").write_text("recipe: endless.yaml\nseeds: 2\n")
    sweep = start(tmp_path, monkeypatch, forked, "s.yaml", "--jobs", "2")
    wait_for(tmp_path, "runs/s/seed=*/.work/pretrain-*/metrics.jsonl", count=2, lines=2)  # in its first, it may not ask
    assert sweep.end() is None
    return sweep


@pytest.mark.skipif(not can_fork("cpu"), reason="runs are not forks here")
def test_ctrl_c_stops_the_runs_and_says_how_to_go_on(tmp_path: Path, endless: Fork) -> None:
    assert endless.pid is not None
    os.killpg(endless.pid, signal.SIGINT)
    end = endless.end(timeout=200)
    assert end is not None
    _, err = endless.output()
    assert end.code == 130, err
    assert err.splitlines()[-1] == "to go on: ncd sweep s.yaml --jobs 2"
    assert len(list(tmp_path.glob("runs/s/seed=*/.work/pretrain-*/checkpoint.pt"))) == 2


@pytest.mark.skipif(not can_fork("cpu"), reason="runs are not forks here")
def test_no_run_outlives_a_sweep_that_is_killed(tmp_path: Path, endless: Fork) -> None:
    assert endless.pid is not None
    assert len(processes_of(tmp_path)) > 2
    os.kill(endless.pid, signal.SIGKILL)
    end = endless.end(timeout=60)
    assert end is not None
    assert end.code == -signal.SIGKILL
    wait_for(tmp_path, "runs/s/seed=*/.work/pretrain-*/checkpoint.pt", count=2)
    deadline = time.monotonic() + 60
    while processes_of(tmp_path):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.skipif(not can_fork("auto"), reason="runs are not forks here")
def test_no_run_is_lost_with_the_process_that_is_forked(
    tmp_path: Path, forked: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    (tmp_path / "s.yaml").write_text("recipe: tiny.yaml\nseeds: 2\n")
    sweep = start(tmp_path, monkeypatch, forked, "s.yaml", "--json")
    wait_for(tmp_path, "runs/s/seed=0/recipe.yaml")
    (server,) = children_of(sweep)  # the run is its child
    os.kill(server, signal.SIGKILL)

    end = sweep.end(timeout=200)
    assert end is not None
    out, err = sweep.output()
    assert (end.code, [run["state"] for run in json.loads(out)["runs"]]) == (0, ["done"] * 2), err


def children_of(process: Fork) -> list[int]:
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        pytest.skip("the system does not tell a process's children")
    return [int(number) for number in children.read_text().split()]


def processes_of(folder: Path) -> list[Path]:
    return [path for path in Path("/proc").glob("[0-9]*") if is_of(folder, path)]


def is_of(folder: Path, process: Path) -> bool:
    try:
        return (process / "cwd").resolve() == folder
    except OSError:
        return False


def wait_for(folder: Path, pattern: str, *, count: int = 1, lines: int = 1) -> None:
    """Return once there are so many such files with so many lines."""
    deadline = time.monotonic() + 120
    while sum(len(path.read_bytes().splitlines()) >= lines for path in folder.glob(pattern)) < count:
        assert time.monotonic() < deadline, f"{pattern} did not appear"
        time.sleep(0.02)
