"""`python -m ncdcli.sweep.server MODULE…`: imports the modules once, and is forked for every run that it is told of.

Stdin is a socket of whole messages. Its other end gets `ready` once all is imported, and sends JSON: `{"start": WORDS}`
with five files (the folder that the run is to be in, its stdin, stdout and stderr, and a pipe for its status), and
`{"reap": PID}` once it knows of a run's end. The pipe gets a line `pid N` from the run itself, `leaving CODE` from it
when its command is through, and `end CODE` from the server, negative for a signal. At the end of stdin the server goes;
runs see to themselves.

Nothing is computed here, on no device: a fork has only the thread that forks, and libraries that had started threads,
or a driver, would wait in it for what is not there.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import select
import signal
import socket
import sys
import threading
import weakref
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import FrameType

READY = b"ready"
LONGEST = 1 << 20  # bytes of a message
FILES = 5


@dataclass(frozen=True)
class Run:
    """What a forked process is to be."""

    words: list[str]
    status: int  # the pipe's number


@dataclass
class Server:
    """The process that is forked, and what it has to know of its children."""

    control: socket.socket
    children: dict[int, int] = field(default_factory=dict)  # PID -> status pipe, until the end is told
    wake: tuple[int, int] = field(default_factory=os.pipe)  # written to when a child has ended

    def serve(self) -> Run | None:
        """The run that this process is to be, in a child; None in the server, when nobody is left to tell it more."""
        for end in self.wake:
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self.wake[1])
        signal.signal(signal.SIGCHLD, _nothing)
        with suppress(BrokenPipeError):  # the sweep has gone meanwhile: the loop will see
            self.control.send(READY)
        while True:
            ready, _, _ = select.select([self.control.fileno(), self.wake[0]], [], [])
            if self.wake[0] in ready:
                os.read(self.wake[0], 1024)
                self._tell_ends()
            if self.control.fileno() in ready:
                message, files, _, _ = socket.recv_fds(self.control, LONGEST, FILES, socket.MSG_CMSG_CLOEXEC)
                if not message:
                    return None
                run = self._obey(json.loads(message), files)
                if run is not None:
                    return run

    def _obey(self, order: dict[str, object], files: list[int]) -> Run | None:
        if "reap" in order:
            with suppress(ChildProcessError):
                os.waitpid(int(str(order["reap"])), 0)
            return None
        folder, *streams, status = files
        child = None
        with suppress(OSError):  # no memory for one more: the pipe's end says that there is none
            child = os.fork()
        if child == 0:
            self._leave()
            os.fchdir(folder)
            os.close(folder)
            _become(order["start"], streams, status)
            return Run(list(order["start"]), status)  # type: ignore[call-overload]
        for number in (folder, *streams):
            os.close(number)
        if child is None:
            os.close(status)
        else:
            self.children[child] = status
        return None

    def _tell_ends(self) -> None:
        """Tell of children that have ended. They stay known to the system, and their numbers theirs, until reaped."""
        for child, status in list(self.children.items()):
            found = os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if found is None:
                continue
            code = found.si_status if found.si_code == os.CLD_EXITED else -found.si_status
            with suppress(OSError):  # nobody is left to read it
                os.write(status, f"end {code}\n".encode())
            os.close(status)
            del self.children[child]

    def _leave(self) -> None:
        """In a child: give up what only the server needs."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self.control.close()
        for number in (*self.wake, *self.children.values()):
            os.close(number)


def _nothing(number: int, frame: FrameType | None) -> None:
    """A handler: without one Python would not write to the pipe that wakes the server."""


def _become(words: object, streams: list[int], status: int) -> None:
    """In a child: be what a new process would be, in a group of its own."""
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.argv = [str(Path(__file__).with_name("child.py")), *words]  # type: ignore[misc]
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed()  # as every new process is: Python's own `random` sees to itself
    os.write(status, f"pid {os.getpid()}\n".encode())


def load(modules: list[str]) -> None:
    """Import what runs will need. What cannot be imported is left to them, who say why."""
    for module in modules:
        with suppress(Exception):
            import_module(module)
    provenance = import_module("ncdcli.run.provenance")
    provenance.code(), provenance.packages()  # of what was imported, whatever becomes of the files meanwhile
    for finalizer in list(getattr(weakref.finalize, "_registry", ())):
        finalizer.atexit = False  # of the server: torch, for one, would take apart its libraries at the end of each run
    gc.collect()
    gc.freeze()  # what is here stays: to look at it again and again would copy its memory into every run


def can_be_forked() -> bool:
    """Whether nothing that was imported has left a thread behind, or taken hold of an accelerator.

    OpenBLAS ends its threads at every fork and starts them anew, in both processes, when it has something to compute.
    """
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)
    torch = sys.modules.get("torch")
    return len(os.listdir("/proc/self/task")) == 1 and (torch is None or not torch.cuda.is_initialized())


def main(modules: list[str]) -> None:
    """Serve, and in the children run."""
    control = socket.socket(fileno=os.dup(0))
    nobody = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nobody, 0)
    os.close(nobody)
    load(modules)
    if not can_be_forked():
        return
    found = Server(control).serve()
    if found is None:
        return
    from ncdcli.sweep.child import run

    try:
        run(found.words)
    except SystemExit as end:
        _end(end.code if isinstance(end.code, int) else int(end.code is not None), found.status)


def _end(code: int, status: int) -> None:
    """End a run's process as Python does, but for taking apart each object that it has from the server.

    That would copy all their memory, and take longer than many a run.
    """
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads; what `multiprocessing` calls here, too
    atexit._run_exitfuncs()
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    with suppress(OSError, ValueError):
        sys.stderr.flush()
    with suppress(OSError):
        os.write(status, f"leaving {code}\n".encode())
    os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1:])
