"""Forks of one process in the place of new processes: the same in all that a run or a sweep can see."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ncdcli.sweep import forks
from ncdcli.sweep.children import Child, End
from ncdcli.sweep.execute import Process
from ncdcli.sweep.forks import Fork, Server, Starter, can_fork

TOY = Path(__file__).parents[2] / "toys" / "toyncd"
pytestmark = pytest.mark.skipif(not can_fork("cpu"), reason="this system is not forked")


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Runs are toys, and modules may be in the empty folder."""
    given = os.environ.get("PYTHONPATH")
    root = str(Path(forks.__file__).parents[2])
    paths = [str(TOY), str(tmp_path), *([given] if given else [root])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server([], threads=1)
    yield found
    found.close()


def wait_until(reached: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def code_of(run: Process) -> int | None:
    end = run.end(timeout=60)
    return None if end is None else end.code


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def pids(path: Path) -> list[int]:
    return [int(line.split()[1]) for line in lines(path) if line.startswith("begun")]


def lives(pid: int) -> bool:
    """Whether a process is there, and not only its number until somebody asks how it ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def begun(server: Server, path: Path, *, command: str = "wait") -> Fork:
    fork = Fork([command, str(path)], server, threads=1)
    wait_until(lambda: fork.end() is None and len(pids(path)) == (2 if command == "family" else 1))
    return fork


def test_a_fork_knows_of_itself_what_a_new_process_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(["numpy"], threads=1)
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path / "folder")
    for name in ("fork", "other"):
        assert Fork(["state", str(tmp_path / name)], server, threads=1).end(timeout=60) == End(0)
    server.close()
    assert Child(["state", str(tmp_path / "new")], threads=1).end(timeout=60) == End(0)
    fork, other, new = (json.loads((tmp_path / name).read_text()) for name in ("fork", "other", "new"))
    for state in (fork, other, new):
        state["argv"].remove(next(word for word in state["argv"] if str(tmp_path) in word))
        del state["environment"]["PYTEST_CURRENT_TEST"], state["path"][0]  # the folder where the interpreter started
    assert fork.pop("files") == new.pop("files") + 1  # the pipe that tells how it is
    drawn = [state.pop("random") for state in (fork, other, new)]
    assert len({number for numbers in drawn for number in numbers}) == 6
    assert fork == new
    assert (fork["leads"], fork["main"], fork["handlers"]["SIGCHLD"]) == (True, True, "0")


def test_ends_are_told_as_those_of_new_processes(server: Server) -> None:
    for words, end in ((("exit", "0"), End(0)), (("exit", "4", "no data"), End(4, "no data"))):
        assert Fork(words, server, threads=1).end(timeout=60) == end
        assert Child(words, threads=1).end(timeout=60) == end


def test_a_fork_that_is_killed_is_told_of(server: Server, tmp_path: Path) -> None:
    fork = begun(server, tmp_path / "run")
    os.kill(pids(tmp_path / "run")[0], signal.SIGKILL)
    end = fork.end(timeout=60)
    assert end is not None
    assert (end.code, end.message) == (-signal.SIGKILL, "ended by SIGKILL")
    assert "--jobs" in end.hint
    wait_until(lambda: not Path(f"/proc/{pids(tmp_path / 'run')[0]}").exists())  # nor is it left as a zombie


def test_many_go_on_side_by_side_and_signals_reach_the_one_they_are_for(server: Server, tmp_path: Path) -> None:
    runs = [tmp_path / str(number) for number in range(3)]
    found = [begun(server, run) for run in runs]
    found[1].send(signal.SIGTERM)
    assert code_of(found[1]) == 143
    assert (found[0].end(), found[2].end()) == (None, None)
    found[2].send(signal.SIGINT)
    assert code_of(found[2]) == 130
    Path(f"{runs[0]}.end").touch()
    assert found[0].end(timeout=60) == End(0)
    assert [len(lines(run)) for run in runs] == [1, 2, 2]


def test_kill_ends_all_that_a_run_started(server: Server, tmp_path: Path) -> None:
    fork = begun(server, tmp_path / "run", command="family")
    fork.kill()
    assert code_of(fork) == -signal.SIGKILL
    wait_until(lambda: not any(map(lives, pids(tmp_path / "run"))))


def test_a_run_ends_when_the_sweep_does(server: Server, tmp_path: Path) -> None:
    """What the system does at a sweep's end, however it comes: the pipe that is the run's stdin is closed."""
    fork = begun(server, tmp_path / "fork")
    child = Child(["wait", str(tmp_path / "new")], threads=1)
    wait_until(lambda: pids(tmp_path / "new"))
    assert fork._pipes is not None
    os.close(fork._pipes.stdin)
    fork._pipes.stdin = os.open(os.devnull, os.O_RDONLY)
    assert child._process.stdin is not None
    child._process.stdin.close()
    assert (code_of(fork), code_of(child)) == (143, 143)
    assert lines(tmp_path / "fork")[-1] == lines(tmp_path / "new")[-1] == "saved"


def test_what_has_not_begun_is_stopped_at_once(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("import time\ntime.sleep(600)\n")
    server = Server(["slow"], threads=1)
    stopped, killed = (Fork(["wait", str(tmp_path / name)], server, threads=1) for name in "ab")
    assert stopped.end(timeout=0.1) is None
    stopped.send(signal.SIGINT)
    killed.kill()
    assert (stopped.end(), killed.end()) == (End(130), End(-signal.SIGKILL))
    server.close()
    assert lines(tmp_path / "a") == []


def test_a_run_outlives_the_server_and_is_not_done_twice(server: Server, tmp_path: Path) -> None:
    done, killed, stopped = (begun(server, tmp_path / name) for name in "abc")
    server.process.kill()
    server.process.wait()
    assert (done.end(), killed.end(), stopped.end()) == (None, None, None)
    (tmp_path / "a.end").touch()
    assert done.end(timeout=60) == End(0)
    stopped.send(signal.SIGTERM)
    assert code_of(stopped) == 143
    assert killed.end() is None
    killed.kill()
    assert code_of(killed) == -signal.SIGKILL
    assert [len(pids(tmp_path / name)) for name in "abc"] == [1, 1, 1]


def test_a_run_that_dies_with_the_server_is_taken_up_by_a_new_process(server: Server, tmp_path: Path) -> None:
    fork = begun(server, tmp_path / "run")
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    os.kill(pids(tmp_path / "run")[0], signal.SIGKILL)
    wait_until(lambda: fork.end() is None and len(pids(tmp_path / "run")) == 2)
    fork.send(signal.SIGTERM)
    assert code_of(fork) == 143


@pytest.mark.parametrize(
    "code",
    [
        "import os; os._exit(3)",
        "import threading, time; threading.Thread(target=time.sleep, args=(600,), daemon=True).start()",
        "raise SystemExit",
    ],
    ids=["the server dies", "an import leaves a thread", "an import ends it"],
)
def test_where_the_server_cannot_be_forked_runs_are_new_processes(code: str, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(code + "\n")
    starter = Starter(lambda: ["bad"], runs=3, device="cpu", threads=1)
    with starter:
        runs = [starter(["exit", str(number)]) for number in range(3)]
        assert [code_of(run) for run in runs] == [0, 1, 2]
        assert isinstance(starter(["exit", "0"]), Child)


def test_a_module_that_is_not_there_is_no_reason_not_to_fork(tmp_path: Path) -> None:
    with Starter(lambda: ["no_such_module", "json"], runs=2, device="cpu", threads=1) as starter:
        run = starter(["wait", str(tmp_path / "run")])
        wait_until(lambda: run.end() is None and pids(tmp_path / "run"))
        assert isinstance(run, Fork)
        assert run.is_forked
        run.kill()


def test_at_its_end_a_run_takes_apart_what_is_its_own_and_nothing_of_the_server(tmp_path: Path) -> None:
    late = "with open(__file__ + '.txt', 'a') as file: file.write(name)"
    code = f"import os, weakref\ndef tell(name):\n    {late}\nclass Any: pass\nkept = Any(), Any()\n"
    code += "weakref.finalize(kept[0], tell, 'of the server')\n"
    code += "os.register_at_fork(after_in_child=lambda: weakref.finalize(kept[1], tell, f'of a fork\\n'))\n"
    (tmp_path / "taken_apart.py").write_text(code)
    with Starter(lambda: ["taken_apart"], runs=2, device="cpu", threads=1) as starter:
        assert code_of(starter(["exit", "3"])) == 3
    assert lines(tmp_path / "taken_apart.py.txt") == ["of a fork"]


def test_processes_are_new_where_forks_are_no_use_or_not_safe(monkeypatch: pytest.MonkeyPatch) -> None:
    def never() -> list[str]:
        raise AssertionError("nothing is to be imported")

    def kind(*, runs: int = 2, device: str = "cpu") -> type:
        with Starter(never, runs=runs, device=device, threads=1) as starter:
            run = starter(["exit", "0"])
            assert run.end(timeout=60) == End(0)
        return type(run)

    assert kind(runs=1) is Child
    assert kind(device="cuda:0") is Child
    monkeypatch.setattr(forks, "ACCELERATORS", ("/dev/nul*",))
    assert kind(device="auto") is Child
    monkeypatch.setattr(forks, "ACCELERATORS", ())
    assert can_fork("auto")
    assert not can_fork("mps")
    monkeypatch.setenv("NCD_FORK", "0")
    assert kind() is Child
    monkeypatch.delenv("NCD_FORK")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not can_fork("cpu")


@pytest.mark.parametrize("wanted", ["starting", "ready"])
def test_the_server_goes_with_the_sweep_and_does_not_hear_its_ctrl_c(wanted: str) -> None:
    server = Server([], threads=1)
    wait_until(lambda: server.state() == wanted)
    assert os.getsid(server.process.pid) == server.process.pid
    server.control.close()
    assert server.process.wait(timeout=60) == 0
