"""Runs of a sweep as forks of one process that has imported what they need; as processes of their own elsewhere."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from glob import glob
from types import TracebackType
from typing import Literal

from ncdcli.sweep.children import ANSWERING, Child, End, end_of, environment, text_of
from ncdcli.sweep.server import READY

# Where there is none of these, `--device auto` is the processor.
ACCELERATORS = ("/dev/nvidia*", "/dev/nvmap", "/dev/nvhost*", "/dev/dxg", "/dev/kfd", "/proc/driver/nvidia")
PATIENCE_SECONDS = 10.0  # for the end of what was killed


def can_fork(device: str) -> bool:
    """Whether runs on the device may be forks: on Linux, and where they compute on the processor alone.

    macOS's own libraries do not survive a fork. `NCD_FORK=0` has every run in a new process.
    """
    on_processor = device == "cpu" or (device == "auto" and not any(glob(pattern) for pattern in ACCELERATORS))
    return sys.platform == "linux" and on_processor and os.environ.get("NCD_FORK") != "0"


class Starter:
    """Starts the processes of runs, the first of which there are `runs`; a context, at whose end none may go on.

    With one run there is nothing to share, and it is a process of its own. `modules` tells what runs will import; it is
    asked when the first one starts.
    """

    def __init__(self, modules: Callable[[], Iterable[str]], *, runs: int, device: str, threads: int | None) -> None:
        self._modules, self._threads = modules, threads
        self._forks = runs > 1 and can_fork(device)
        self._server: Server | None = None

    def __call__(self, words: Sequence[str]) -> Child | Fork:
        """The process that runs `ncd WORDS`."""
        if self._forks and self._server is None:
            self._server = Server(list(self._modules()), threads=self._threads)
        if self._server is None or self._server.state() == "gone":
            return Child(words, threads=self._threads)
        return Fork(words, self._server, threads=self._threads)

    def __enter__(self) -> Starter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()


class Server:
    """The process that is forked (`ncdcli.sweep.server`), as seen from the sweep."""

    def __init__(self, modules: Sequence[str], *, threads: int | None) -> None:
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ready = self._gone = False
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ncdcli.sweep.server", *modules],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment(threads),
                start_new_session=True,
            )

    def state(self) -> Literal["starting", "ready", "gone"]:
        """How far it is; "gone" where it has ended, whatever for."""
        if not self._gone:
            with suppress(BlockingIOError):
                try:
                    said = self.control.recv(len(READY), socket.MSG_DONTWAIT)
                except ConnectionError:
                    said = b""
                self._ready |= said == READY
                self._gone = not said
        return "gone" if self._gone else "ready" if self._ready else "starting"

    def ask(self, order: dict[str, object], files: Sequence[int] = ()) -> bool:
        """Whether an order has gone out."""
        try:
            socket.send_fds(self.control, [json.dumps(order).encode()], files)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """End it. It keeps nothing that would have to be saved."""
        self.control.close()
        self.process.kill()
        self.process.wait()


class Fork:
    """A forked process that runs `ncd WORDS`, as `Child` is a new one, and becomes one where the server fails it.

    The run starts when the server is ready. Where the server is gone, the run goes on without it; only if the run was
    killed as well, and not by us, a new process takes it up.
    """

    def __init__(self, words: Sequence[str], server: Server, *, threads: int | None) -> None:
        self._words, self._server, self._threads = list(words), server, threads
        self._out, self._err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - read at its end
        self._pipes: Pipes | None = None  # once it has been asked for
        self._signals: list[int] = []
        self._reached = 0  # how many of them have got there
        self._end: End | None = None
        self._instead: Child | None = None
        self._look()

    @property
    def pid(self) -> int | None:
        """The process's number, as of the last look at it; None where it has not begun."""
        if self._instead is not None:
            return self._instead.pid
        return None if self._pipes is None else self._pipes.told("pid")

    @property
    def is_forked(self) -> bool:
        """Whether it is, or will be, a fork; False once the server has failed it."""
        return self._instead is None

    def output(self) -> tuple[str, str]:
        """What it has written to stdout and to stderr so far."""
        if self._instead is not None:
            return self._instead.output()
        return text_of(self._out), text_of(self._err)

    def end(self, *, timeout: float | None = 0) -> End | None:
        """How it ended, waited for at most `timeout` seconds; None while it goes on."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            self._look()
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if self._instead is not None:
                return self._instead.end(timeout=left)
            if self._end is not None or left == 0:
                return self._end
            source = self._server.control if self._pipes is None else self._pipes.status
            select.select([source], [], [], left)

    def send(self, number: int) -> None:
        """Send a signal; nothing where the process has ended. One that has not begun is not begun any more."""
        self._signals.append(number)
        self._look()
        if self._instead is not None:
            self._instead.send(number)

    def kill(self) -> None:
        """End the process and all that it started."""
        self._signals.append(signal.SIGKILL)
        self.end(timeout=PATIENCE_SECONDS)
        if self._instead is not None:
            self._instead.kill()

    def _look(self) -> None:
        """Take the step that it is time for, if there is one."""
        if self._end is not None or self._instead is not None:
            return
        if self._pipes is None:
            self._begin()
            return
        self._pipes.read()
        pid, end = self._pipes.told("pid"), self._pipes.told("end")
        if end is not None:
            self._server.ask({"reap": pid})
            self._finish(end)
        elif self._pipes.closed:
            self._end_alone()
        elif pid is not None:
            for number in self._signals[self._reached :]:
                with suppress(ProcessLookupError):
                    (os.killpg if number == signal.SIGKILL else os.kill)(pid, number)
            self._reached = len(self._signals)

    def _begin(self) -> None:
        """Ask for the process, where the server is ready."""
        state = self._server.state()
        if self._signals:
            number = self._signals[-1]
            self._end = End(-number if number == signal.SIGKILL else 128 + number)
        elif state == "ready":
            self._pipes = Pipes()
            folder = os.open(".", os.O_PATH)  # by number: it serves even where it has been removed
            streams = self._pipes.stdin_of_run, self._out.fileno(), self._err.fileno()
            files = [folder, *streams, self._pipes.status_of_run]
            asked = self._server.ask({"start": [*self._words, *ANSWERING]}, files)
            os.close(folder)
            self._pipes.leave_to_run()
            if not asked:
                self._take_new_process()
        elif state == "gone":
            self._take_new_process()

    def _end_alone(self) -> None:
        """The end of a run of which the server, gone, could not tell: by its own word, by our signal, or unknown."""
        assert self._pipes is not None
        leaving = self._pipes.told("leaving")
        if leaving is not None:
            self._finish(leaving)
        elif self._signals:
            self._finish(-self._signals[-1])
        else:
            self._take_new_process()

    def _take_new_process(self) -> None:
        if self._pipes is not None:
            self._pipes.close()
        self._instead = Child(self._words, threads=self._threads)

    def _finish(self, code: int) -> None:
        assert self._pipes is not None
        self._pipes.close()
        self._end = end_of(code, self._out, self._err)


class Pipes:
    """What connects the sweep with a forked run: the run's stdin, which is never written, and what it says of itself.

    Both ends of each: the run's are closed here once it has them.
    """

    def __init__(self) -> None:
        self.stdin_of_run, self.stdin = os.pipe()
        self.status, self.status_of_run = os.pipe()
        os.set_blocking(self.status, False)
        self.closed = False  # by all that had the other end of `status`
        self._said = b""

    def leave_to_run(self) -> None:
        """Close the ends that are the run's."""
        os.close(self.stdin_of_run)
        os.close(self.status_of_run)

    def read(self) -> None:
        """Take what has been said meanwhile."""
        with suppress(BlockingIOError):
            while said := os.read(self.status, 1024):
                self._said += said
            self.closed = True

    def told(self, what: str) -> int | None:
        """The number that was said after a word; None where it was not."""
        for line in self._said.decode().splitlines(keepends=True):
            word, _, number = line.partition(" ")
            if word == what and line.endswith("\n"):
                return int(number)
        return None

    def close(self) -> None:
        """Close our own ends."""
        os.close(self.status)
        os.close(self.stdin)
