"""`--tensorboard`: what a progress bar shows, as events that TensorBoard draws while the run goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ncdcli.errors import MissingError

if TYPE_CHECKING:
    from ncdcli.pipeline.context import Progress, Tick

FOLDER = "tensorboard"  # of a run; beside the stages, no result of any


def check_tensorboard() -> None:
    """Nothing, or MissingError where the package is not installed."""
    if find_spec("tensorboard") is None:
        message = "`--tensorboard` needs the package `tensorboard`, which is not installed"
        raise MissingError(message, hint="pip install 'ncd-cli[tensorboard]'")


class TensorBoardProgress:
    """Passes everything on to another reporter, and every value that comes with a step to an event file.

    A value is called `title/name` (`pretrain/loss`) and stands at the number of steps done, so that a resumed
    training goes on where it was.
    """

    def __init__(self, shown: Progress, folder: Path) -> None:
        self._shown = shown
        self._folder = folder
        self._writer: Any = None

    def note(self, message: str) -> None:
        self._shown.note(message)

    @contextmanager
    def track(self, title: str, total: int | None) -> Iterator[Tick]:
        done = 0
        with self._shown.track(title, total) as tick:

            def tick_and_write(advance: int = 1, /, **values: float) -> None:
                nonlocal done
                done += advance
                tick(advance, **values)
                for name, value in values.items():
                    self._open().add_scalar(f"{title}/{name}", value, done)

            try:
                yield tick_and_write
            finally:
                if self._writer is not None:
                    self._writer.flush()

    def _open(self) -> Any:
        """The writer; its file is made with the first value, when the run's folder is there."""
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self._folder))
        return self._writer
