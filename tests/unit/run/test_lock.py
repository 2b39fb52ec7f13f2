from __future__ import annotations

import fcntl
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import time

import pytest

from ncdcli.errors import NcdError, RunBusyError
from ncdcli.run.lock import hold_lock, read_owner

FORK = multiprocessing.get_context("fork")


def hold(folder, pipe):
    with hold_lock(folder, command="ncd run other"):
        pipe.send("ready")
        pipe.poll(20)


@pytest.fixture
def other(tmp_path):
    """Another process that holds the lock of the folder."""
    here, there = FORK.Pipe()
    process = FORK.Process(target=hold, args=(tmp_path, there))
    process.start()
    assert here.poll(20)
    yield process
    here.send("done")
    process.join()


def test_second_process_is_told_who_holds_the_lock(tmp_path, other):
    with pytest.raises(RunBusyError) as caught, hold_lock(tmp_path):
        pass
    assert caught.value.exit_code == 5
    assert f"pid {other.pid} on {socket.gethostname()} since " in caught.value.message
    assert "`ncd run other`" in caught.value.message
    assert f"kill {other.pid}" in caught.value.hint
    owner = read_owner(tmp_path)
    assert (owner.pid, owner.command) == (other.pid, "ncd run other")


def test_lock_is_free_after_its_holder(tmp_path, other):
    other.kill()
    other.join()
    assert json.loads((tmp_path / ".lock.json").read_text())["pid"] == other.pid  # what the dead process left
    assert read_owner(tmp_path) is None
    with hold_lock(tmp_path, command="ncd run mine"):
        assert read_owner(tmp_path).pid == os.getpid()
    assert read_owner(tmp_path) is None
    assert not (tmp_path / ".lock.json").exists()


def keep_the_file_locked(folder, seconds, pipe):
    """As a loader process does that was forked with the lock and has not yet seen its parent die."""
    with open(folder / ".lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        pipe.send("ready")
        time.sleep(seconds)


def test_children_of_a_dead_process_are_waited_for(tmp_path, other):
    other.kill()
    other.join()
    here, there = FORK.Pipe()
    orphan = FORK.Process(target=keep_the_file_locked, args=(tmp_path, 0.5, there))
    orphan.start()
    assert here.poll(20)
    with (
        pytest.raises(RunBusyError, match=r"held by processes that `ncd run other` .* left behind"),
        hold_lock(tmp_path, patience_seconds=0.0),
    ):
        pass
    with hold_lock(tmp_path, patience_seconds=20.0):
        assert read_owner(tmp_path).pid == os.getpid()
    orphan.join()


def test_lock_is_free_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), hold_lock(tmp_path):
        raise ZeroDivisionError
    with hold_lock(tmp_path):
        pass


def test_owner_on_another_machine_counts_as_alive(tmp_path):
    owner = {"pid": 1, "host": "elsewhere.example", "command": "ncd run", "started": "2026-01-01"}
    (tmp_path / ".lock.json").write_text(json.dumps(owner))
    assert read_owner(tmp_path).host == "elsewhere.example"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"pid": 1}'])
def test_damaged_note_is_nobody(tmp_path, content):
    (tmp_path / ".lock.json").write_text(content)
    assert read_owner(tmp_path) is None
    with hold_lock(tmp_path):
        pass


def test_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(NcdError, match="cannot write in"), hold_lock(tmp_path / "file"):
        pass


def test_run_package_is_light():
    """`ncd status` reads runs and plans without any numeric library but numpy."""
    code = (
        "import sys, ncdcli.pipeline.runner, ncdcli.pipeline.plan, ncdcli.run.folder, ncdcli.pipeline.clean;"
        "print([m for m in ('torch', 'sklearn', 'faiss', 'matplotlib', 'pandas', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
