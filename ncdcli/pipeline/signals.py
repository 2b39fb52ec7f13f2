"""Ctrl-C and SIGTERM as a wish that stages ask about, so that they can save their state first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

WATCHED = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """While entered, the first SIGINT or SIGTERM is only noted, and a second SIGINT raises KeyboardInterrupt.

    Python lets only the main thread set handlers: entered in another one, nothing is noted and nothing changes.
    """

    def __init__(self, on_first: Callable[[str], None] = lambda name: None) -> None:
        self.received: signal.Signals | None = None
        self._on_first = on_first
        self._before: dict[signal.Signals, Any] = {}

    def requested(self) -> bool:
        """Whether a signal has asked us to stop."""
        return self.received is not None

    @property
    def exit_code(self) -> int:
        """130 for SIGINT, 143 for SIGTERM."""
        return 128 + (self.received or signal.SIGINT)

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in WATCHED}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is None:
            self.received = signal.Signals(number)
            self._on_first(self.received.name)
        elif number == signal.SIGINT:
            raise KeyboardInterrupt
