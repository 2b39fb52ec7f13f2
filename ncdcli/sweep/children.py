"""One run of a sweep in a process of its own: started, asked to stop, and what it ended with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO

ANSWERING = ("--json", "--quiet")  # how a run is told to speak
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")  # torch takes the first


@dataclass(frozen=True)
class End:
    """How a run's process ended."""

    code: int  # negative: the signal that killed it
    message: str = ""  # why it failed
    hint: str = ""
    log: str = ""


class Child:
    """A process that runs `ncd WORDS`. It is in a group of its own: Ctrl-C reaches it through `send` alone."""

    def __init__(self, words: Sequence[str], *, threads: int | None) -> None:
        self._out, self._err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115 - read at its end
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ncdcli.sweep.child", *words, *ANSWERING],
            stdin=subprocess.PIPE,  # never written: its end tells the child that we are gone
            stdout=self._out,
            stderr=self._err,
            env=environment(threads),
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def end(self, *, timeout: float | None = 0) -> End | None:
        """How it ended, waited for at most `timeout` seconds; None while it goes on."""
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        if self._process.stdin is not None:
            self._process.stdin.close()
        return end_of(code, self._out, self._err)

    def output(self) -> tuple[str, str]:
        """What it has written to stdout and to stderr so far."""
        return text_of(self._out), text_of(self._err)

    def send(self, number: int) -> None:
        """Send a signal; nothing where the process has ended."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """End the process and all that it started."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


def environment(threads: int | None) -> dict[str, str]:
    """This process's environment, with at most `threads` threads for BLAS and torch; None: as it is."""
    values = dict(os.environ)
    if threads is not None:
        for name in THREAD_VARIABLES:
            given = values.get(name, "")
            values[name] = str(min(int(given), threads) if given.isdigit() and int(given) else threads)
    return values


def end_of(code: int, out: IO[bytes], err: IO[bytes]) -> End:
    """The end of a process with this exit code that has written these files."""
    return End(code) if code == 0 else explain_end(code, text_of(out), text_of(err))


def explain_end(code: int, out: str, err: str) -> End:
    """What a failed process says of itself: its JSON object, or the last line of stderr, or the signal."""
    try:
        error = json.loads(out)["error"]
        problems = [f"{each['place']}: {each['message']}".removeprefix(": ") for each in error.get("problems", ())]
        message = ": ".join([error["message"], *(["; ".join(problems)] if problems else [])])
        return End(code, message, error.get("hint", ""), error.get("log", ""))
    except (ValueError, KeyError, TypeError):
        pass
    if code < 0:
        name = signal.Signals(-code).name
        hint = "the kernel ends processes when memory is short: use fewer `--jobs`" if name == "SIGKILL" else ""
        return End(code, f"ended by {name}", hint)
    lines = err.strip().splitlines() or [f"ended with exit code {code}"]
    return End(code, lines[-1])


def text_of(file: IO[bytes]) -> str:
    """All that a process has written to a file, with its place there, where it goes on writing, left alone."""
    content = os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0)
    return content.decode("utf-8", "replace")
