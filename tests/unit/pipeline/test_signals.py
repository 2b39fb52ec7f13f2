"""Ctrl-C ends a command with an exit code, wherever it strikes."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

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
