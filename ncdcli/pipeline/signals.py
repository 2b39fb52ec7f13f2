"""Ctrl-C, SIGTERM and a lost terminal: stages that save their state first ask about them, others stop at once."""

from __future__ import annotations

import signal
import threading
import time
from _thread import start_new_thread
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType, TracebackType
from typing import Any, ClassVar

IMPORTING = "<frozen importlib."  # where the frames of an import statement lie
WAIT_SECONDS = 0.02  # between looks at whether an import is through


class Stopped(KeyboardInterrupt):
    """Ctrl-C as we raise it.

    `python -m` ends by SIGINT, whatever the exit code, once a plain KeyboardInterrupt has left an `exec` of a string,
    caught afterwards or not; data classes are made by such an `exec` while torch is imported. A subclass is left alone
    (`run_eval_code_obj` in CPython's pythonrun.c).
    """

    raised: ClassVar[bool] = False


def raise_stopped(number: int, frame: FrameType | None) -> None:
    """A handler for SIGINT in place of Python's own: raises Stopped, once no module is being imported."""
    if _is_importing(frame):
        _send_again(number)
    else:
        Stopped.raised = True
        raise Stopped


def interrupted() -> bool:
    """Whether `raise_stopped` has raised Stopped in this process."""
    return Stopped.raised


def _is_importing(frame: FrameType | None) -> bool:
    """Whether an import is under way. An exception there kills the process where it meets C++, as in torch's start."""
    while frame is not None:
        if frame.f_code.co_filename.startswith(IMPORTING):
            return True
        frame = frame.f_back
    return False


def _send_again(number: int, wanted: Callable[[], bool] = lambda: True) -> None:
    """Send the signal to the main thread in a moment, if it is still `wanted` then."""
    main = threading.main_thread().ident

    def send() -> None:
        time.sleep(WAIT_SECONDS)
        if main is not None and wanted():
            signal.pthread_kill(main, number)

    start_new_thread(send, ())  # threading's own takes locks, which the interrupted code may hold


WATCHED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopSignals:
    """While entered, the first SIGINT, SIGTERM or SIGHUP is only noted, and a second SIGINT raises Stopped.

    Within `at_once` every one of them does: for what has nothing to save, and should not keep anybody waiting.
    While a module is being imported Stopped waits for the end of the import.
    Python lets only the main thread set handlers: entered in another one, nothing is noted and nothing changes.
    """

    def __init__(self, on_first: Callable[[str], None] = lambda name: None) -> None:
        self.received: signal.Signals | None = None
        self._on_first = on_first
        self._at_once = False
        self._pressed = False  # Ctrl-C came again
        self._waiting = 0  # signals that we send ourselves after an import
        self._before: dict[signal.Signals, Any] = {}

    def requested(self) -> bool:
        """Whether a signal has asked us to stop."""
        return self.received is not None

    def asked(self) -> bool:
        """The same, for stages: one that asks once will ask again, and is no longer stopped where it stands."""
        self._at_once = False
        return self.requested()

    @property
    def exit_code(self) -> int:
        """130 for SIGINT, 143 for SIGTERM, 129 for SIGHUP."""
        return 128 + (self.received or signal.SIGINT)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Context in which a signal, now or noted before, raises Stopped where the code stands.

        It ends early when somebody calls `asked`.
        """
        self._at_once = True
        try:
            if self.requested():
                raise Stopped
            yield
        finally:
            self._at_once = False

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            nohup = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            watched = [number for number in WATCHED if number != signal.SIGHUP or not nohup]
            self._before = {number: signal.signal(number, self._note) for number in watched}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        first, self.received = self.received is None, self.received or signal.Signals(number)
        ours = self._waiting > 0
        self._waiting -= ours
        self._pressed |= number == signal.SIGINT and not first and not ours
        if self._at_once or self._pressed:
            if not _is_importing(frame):
                raise Stopped
            self._waiting += 1
            _send_again(number, lambda: bool(self._before))
        if first:
            with suppress(RuntimeError, OSError):  # the signal came while another line was printed; nobody reads it
                self._on_first(self.received.name)
