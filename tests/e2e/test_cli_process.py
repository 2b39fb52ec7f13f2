"""What only a process of its own shows: signals, closed pipes, terminals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ncdcli.sweep import forks
from ncdcli.sweep.forks import Fork, Server, can_fork

Run = Callable[..., tuple[int, str, str]]
NCD = [sys.executable, "-m", "ncdcli"]
SLOW_RECIPE = """\
version: 1
name: slow
data: {card: digits, subset: 300}
backbone: {kind: small_cnn, widths: [4], dim: 8}
pretrain: {objective: {kind: cross_entropy}, epochs: 100000}
"""


def wait_for(folder: Path, pattern: str, *, seconds: float = 120.0) -> None:
    """Return once such a folder is there, or such a file with two lines: in its first epoch a training may not ask."""
    deadline = time.monotonic() + seconds
    while not any(path.is_dir() or path.read_bytes().count(b"\n") > 1 for path in folder.glob(pattern)):
        assert time.monotonic() < deadline, f"{pattern} did not appear"
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.skipif(not can_fork("cpu"), reason="runs are not forks here")
def test_ctrl_c_while_it_trains_saves_the_state_and_the_last_line_goes_on(
    tmp_path: Path, forked: Server, run_ncd: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a fork, which has imported torch."""
    (tmp_path / "slow.yaml").write_text(SLOW_RECIPE)
    monkeypatch.setattr(forks, "ANSWERING", ("--json",))  # it shows its progress
    process = Fork(["pretrain", "slow.yaml"], forked, threads=1)
    while process.pid is None:
        assert process.end(timeout=0.01) is None
    wait_for(tmp_path, "runs/slow/.work/pretrain-*/metrics.jsonl")
    process.send(signal.SIGINT)
    end = process.end(timeout=60)
    assert end is not None
    assert_interrupted(end.code, 130, *process.output(), run_ncd)


@pytest.mark.slow
def test_sigterm_while_it_imports_torch_saves_the_state_and_the_last_line_goes_on(tmp_path: Path, run_ncd: Run) -> None:
    (tmp_path / "slow.yaml").write_text(SLOW_RECIPE)
    command = [*NCD, "pretrain", "slow.yaml", "--json"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_for(tmp_path, "runs/slow/.work/pretrain-*")
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert_interrupted(process.returncode, 143, out, err, run_ncd)


def assert_interrupted(ended: int, code: int, out: str, err: str, run_ncd: Run) -> None:
    assert ended == code, err
    assert "ncd pretrain slow.yaml --json" in err.splitlines()[-1]
    assert json.loads(out)["error"]["exit_code"] == code
    status = run_ncd("status", "slow", "--json")
    states = {stage["stage"]: stage["state"] for stage in json.loads(status[1])["stages"]}
    assert status[0] == 0
    assert (states["split"], states["pretrain"], states["embed"]) == ("done", "interrupted", "missing")


def test_a_closed_pipe_is_no_fault(tmp_path: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m ncdcli recipes show digits-gcd | true", shell=True, cwd=tmp_path, capture_output=True
    )
    assert done.stderr == b""


def test_output_in_another_encoding_does_not_fail(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run([*NCD, "--help"], cwd=tmp_path, capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_fault(closed: str, tmp_path: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m ncdcli recipes show digits-gcd {closed}", shell=True, cwd=tmp_path, capture_output=True
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_ctrl_c_before_everything_is_imported_shows_no_traceback(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "sys.addaudithook(lambda event, details: event == 'import' and details[0] == 'typer'"
        " and os.kill(os.getpid(), signal.SIGINT))\n"
        "import ncdcli.start\n"
        "ncdcli.start.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, b"", b"")


@pytest.mark.parametrize("words", ["runs", "run digits-gcd --dry-run", "doctor"])
def test_a_current_folder_that_was_removed_is_told(words: str, tmp_path: Path) -> None:
    script = f"mkdir gone; cd gone; rmdir ../gone; exec {sys.executable} -m ncdcli {words}"
    done = subprocess.run(script, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    told = "error: the current folder has been removed\nhint: `cd` to a folder that is there\n"
    assert done.stderr.endswith(told)
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("words", ["recipes show digits-gcd", "recipes list --json", "--help"])
def test_results_that_cannot_be_written_are_told(words: str, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        f"{sys.executable} -m ncdcli {words} > /dev/full",
        shell=True, cwd=tmp_path, capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines()[:2] == [
        "error: the disk is full",
        "hint: free some space, or write elsewhere",
    ]
    assert "Traceback" not in done.stderr
