"""The product's process that is forked, as a fork of this process, which has imported most of what runs need.

Where these tests, or a command that is such a fork itself, would wait for seconds until a new one has imported torch.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from ncdcli.sweep import forks, server
from ncdcli.sweep.children import environment

kept: list[Any] = []  # what stands for files that a fork has closed: it must not close them once more


class Server(forks.Server):
    """A server that is there at once."""

    def __init__(self, modules: Sequence[str], *, threads: int | None) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ready = self._gone = False
        with theirs:
            self.process: Any = Process(list(modules), theirs, environment(threads))


class Process:
    """The part of `subprocess.Popen` that a server's owner uses."""

    def __init__(self, modules: list[str], control: socket.socket, variables: Mapping[str, str]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of other threads: nothing of theirs is used
            self.pid = os.fork()
        if self.pid == 0:
            try:
                become_new(control, variables)
                server.main(modules)
            finally:  # whatever comes, it must not go on with the tests
                os._exit(0)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> None:
        os.waitpid(self.pid, 0)


def become_new(control: socket.socket, variables: Mapping[str, str]) -> None:
    """In a fork: be like a new process whose stdin is the socket, in a session of its own, with these variables."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.environ.clear()
    os.environ.update(variables)
    kept.extend((sys.stdin, sys.stdout, sys.stderr, sys.__stdin__, sys.__stdout__, sys.__stderr__))
    nobody = os.open(os.devnull, os.O_RDWR)
    for number, given in enumerate((control.fileno(), nobody, nobody)):
        os.dup2(given, number)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            with suppress(OSError):  # of the one that the list was read from
                os.close(int(name))
    kept.append(control)
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        stream = open(number, mode, buffering=1, encoding="utf-8", closefd=False)  # noqa: SIM115 - never closed
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
