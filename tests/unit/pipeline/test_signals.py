"""Ctrl-C ends a command with an exit code, wherever it strikes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ncdcli.pipeline.signals import StopSignals

INSIDE_EXEC = """
import os, signal, sys
from ncdcli.pipeline.signals import StopSignals
try:
    with StopSignals() as stop, stop.at_once():
        exec("os.kill(os.getpid(), signal.SIGINT)\\nfor _ in range(10**6): pass")
except KeyboardInterrupt:
    sys.exit(130)
"""


def run_module(code: str, folder: Path) -> int:
    (folder / "interrupted.py").write_text(code)
    return subprocess.run([sys.executable, "-m", "interrupted"], cwd=folder, check=False).returncode


def test_a_signal_inside_an_exec_does_not_take_the_exit_code_away(tmp_path: Path) -> None:
    assert run_module(INSIDE_EXEC, tmp_path) == 130


def test_python_itself_would_end_by_the_signal(tmp_path: Path) -> None:
    plain = INSIDE_EXEC.replace("with StopSignals() as stop, stop.at_once():", "if True:")
    if run_module(plain, tmp_path) != -signal.SIGINT:
        pytest.skip("this Python has no such rule: `Stopped` may go")


IMPORTED = """
import os, signal
os.kill(os.getpid(), signal.{name})
for _ in range(10**5):
    pass
print("imported")
"""
IMPORTING = """
import sys, time
from ncdcli.pipeline.signals import StopSignals, raise_stopped
import signal
signal.signal(signal.SIGINT, raise_stopped)
try:
    {context}
        import imported
        time.sleep(60)
except KeyboardInterrupt:
    print("stopped after", sorted(set(sys.modules) & {{"imported"}}))
"""


@pytest.mark.parametrize(
    ("name", "context"),
    [
        ("SIGTERM", "with StopSignals() as stop, stop.at_once():"),
        ("SIGINT", "with StopSignals() as stop, stop.at_once():"),
        ("SIGINT", "if True:"),
    ],
)
def test_an_import_is_finished_first(name: str, context: str, tmp_path: Path) -> None:
    """An exception that comes through the start of a C++ extension would abort the process."""
    (tmp_path / "imported.py").write_text(IMPORTED.format(name=name))
    code = IMPORTING.format(context=context)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("imported\nstopped after ['imported']\n", 0), done.stderr


def test_a_signal_that_waited_for_an_import_is_not_taken_for_a_second_one() -> None:
    """Sent again after the import, when the stage has begun to ask: it will be told, and not be stopped."""
    code = """
import os, signal, time
from ncdcli.pipeline import signals
importing = iter([True, False])
signals._is_importing = lambda frame: next(importing)
with signals.StopSignals() as stop:
    with stop.at_once():
        os.kill(os.getpid(), signal.SIGINT)
        while not stop.asked():
            pass
        time.sleep(5 * signals.WAIT_SECONDS)
        print("asked", stop.received.name)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("asked SIGINT\n", 0), done.stderr


def test_handlers_are_put_back(toy, hooks):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    inside = []
    hooks["split"] = lambda context: inside.append(signal.getsignal(signal.SIGINT))
    toy.execute()
    assert inside[0] is not before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_other_threads_leave_the_handlers_alone(toy):
    errors = []

    def work():
        try:
            toy.execute()
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert errors == []
    assert toy.plan().nothing_to_do


def test_first_signal_is_announced_once():
    names = []
    with StopSignals(names.append) as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.requested()
        assert stop.exit_code == 143
    assert names == ["SIGTERM"]


def test_nohup_is_respected():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignals() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop.requested()
    finally:
        signal.signal(signal.SIGHUP, before)
