"""`ncd.log`: everything that is logged or warned while a command works on a run, with tracebacks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class _LogFile(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:
        """Nothing: a log that cannot be written (disk full) must not hide the error that is about to be told."""


@contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Append log records of every library, and Python's warnings, to `path` while the block lasts."""
    handler = _LogFile(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter(FORMAT))
    root, ours = logging.getLogger(), logging.getLogger("ncdcli")
    level = ours.level
    root.addHandler(handler)
    ours.setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        ours.setLevel(level)
        root.removeHandler(handler)
        with suppress(OSError):  # what a full disk did not take is tried again, and fails again
            handler.close()
