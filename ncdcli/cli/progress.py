"""Progress on stderr: bars on a terminal, one line at each 10 % elsewhere, nothing under `--quiet`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import StringIO
from typing import TYPE_CHECKING, Any, TextIO

from ncdcli.cli.output import seconds

if TYPE_CHECKING:
    from ncdcli.pipeline.context import Progress, Tick

SHORT_SECONDS = 1.0


def open_progress(*, quiet: bool = False, file: TextIO | None = None) -> Progress:
    """The progress reporter that suits where stderr goes."""
    stream = sys.stderr if file is None else file
    if quiet:
        from ncdcli.pipeline.context import SilentProgress

        return SilentProgress()
    bars = stream.isatty() and os.environ.get("TERM") != "dumb"
    return BarProgress(Tolerant(stream)) if bars else LineProgress(Tolerant(stream))


class Tolerant(StringIO):
    """Writes to another file what that still takes: a terminal or reader that went away stops no work."""

    def __init__(self, file: TextIO) -> None:
        super().__init__()
        self._file = file

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._file.encoding

    def fileno(self) -> int:
        return self._file.fileno()

    def isatty(self) -> bool:
        return self._file.isatty()

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._file.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._file.flush()


class LineProgress:
    """One line whenever another tenth is done; nothing about what is over within a second."""

    def __init__(self, file: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = file
        self._clock = clock

    def note(self, message: str) -> None:
        print(message, file=self._file, flush=True)

    @contextmanager
    def track(self, title: str, total: int | None) -> Iterator[Tick]:
        started = self._clock()
        done, tenths = 0, 0
        latest: dict[str, float] = {}

        def tick(advance: int = 1, /, **values: float) -> None:
            nonlocal done, tenths
            done += advance
            latest.update(values)
            spent = self._clock() - started
            if not total or 10 * done // total <= tenths or spent < SHORT_SECONDS:
                return
            tenths = 10 * done // total
            left = spent / done * max(total - done, 0)
            shown = "".join(f", {name} {_number(value)}" for name, value in latest.items())
            times = f"{seconds(left)} left" if done < total else seconds(spent)
            self.note(f"  {title}: {100 * done / total:3.0f} % ({done} of {total}){shown}, {times}")

        yield tick


class BarProgress:
    """A rich bar for each thing that goes on, with the latest values, the rate and the time left."""

    def __init__(self, file: TextIO) -> None:
        from rich.console import Console

        self._console = Console(file=file, highlight=False)
        self._live: Any = None
        self._tracks = 0

    def note(self, message: str) -> None:
        self._console.print(message, markup=False)

    @contextmanager
    def track(self, title: str, total: int | None) -> Iterator[Tick]:
        with self._shown() as live:
            task = live.add_task(title, total=total, values="", rate="")
            started = time.monotonic()
            done = 0
            latest: dict[str, float] = {}

            def tick(advance: int = 1, /, **values: float) -> None:
                nonlocal done
                done += advance
                rate = done / max(time.monotonic() - started, 1e-9)
                latest.update(values)
                shown = "  ".join(f"{name} {_number(value)}" for name, value in latest.items())
                live.update(task, advance=advance, rate=f"{_number(rate)}/s", values=shown)

            try:
                yield tick
            finally:
                live.remove_task(task)

    @contextmanager
    def _shown(self) -> Iterator[Any]:
        """The live display, started by the outermost track and stopped after it."""
        if self._live is None:
            self._live = self._make()
            self._live.start()
        self._tracks += 1
        try:
            yield self._live
        finally:
            self._tracks -= 1
            if not self._tracks:
                self._live.stop()
                self._live = None

    def _make(self) -> Any:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        return Progress(
            TextColumn("  {task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[values]}"),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
