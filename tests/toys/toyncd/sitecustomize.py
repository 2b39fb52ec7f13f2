"""Puts a toy in the place of `ncd`, in every Python that has this folder on its path.

exit CODE TEXT     ends with the code, after the text on stderr
state PATH         writes what a process knows of itself
wait PATH          adds a line `begun PID` to the file, and one `saved` when it is told to stop; else goes on until
                   something is at PATH.end
family PATH        the same with a child, whose PID is in a second line
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any


def main(words: list[str]) -> None:
    command, *rest = words[:-2]
    assert words[-2:] == ["--json", "--quiet"]
    COMMANDS[command](*rest)
    raise SystemExit(0)


def leave(code: str, text: str = "") -> None:
    print(text, file=sys.stderr)
    raise SystemExit(int(code))


def tell_state(path: str) -> None:
    import logging

    import numpy as np

    handlers = {
        name: str(signal.getsignal(getattr(signal, name))) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGCHLD")
    }
    state: dict[str, Any] = {
        "argv": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "path": sys.path,
        "cwd": os.getcwd(),
        "umask": os.umask(0o22),
        "environment": dict(os.environ),
        "leads": (os.getsid(0), os.getpgid(0)) == (os.getpid(), os.getpid()),
        "handlers": handlers,
        "blocked": sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, []))),
        "main": threading.current_thread() is threading.main_thread(),
        "threads": threading.active_count(),
        "files": len(os.listdir("/proc/self/fd")),
        "logging": [str(handler) for handler in logging.getLogger().handlers],
        "streams": [(stream.encoding, stream.errors, stream.isatty()) for stream in (sys.stdout, sys.stderr)],
        "flags": str(sys.flags),
        "level": os.nice(0),
        "random": [random.random(), float(np.random.random())],  # noqa: NPY002 - as libraries may draw
    }
    Path(path).write_text(json.dumps(state))


def wait(path: str, *, family: bool = False) -> None:
    def save(number: int, _: object) -> None:
        note(path, "saved")
        raise SystemExit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, save)
    child = os.fork() if family else None
    if child == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        time.sleep(600)
    note(path, *(f"begun {pid}" for pid in (os.getpid(), child) if pid))
    while not Path(path + ".end").exists():
        time.sleep(0.01)


def note(path: str, *lines: str) -> None:
    with open(path, "a") as file:
        file.write("".join(line + "\n" for line in lines))


COMMANDS: dict[str, Any] = {
    "exit": leave, "state": tell_state, "wait": wait, "family": lambda path: wait(path, family=True),
}  # fmt: skip
toy: Any = ModuleType("ncdcli.cli.main")
toy.main = main
sys.modules["ncdcli.cli.main"] = toy
