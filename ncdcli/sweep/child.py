"""`python -m ncdcli.sweep.child …`: `ncd …` in a process that saves its state and ends when its parent is gone."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Sequence


def run(words: Sequence[str]) -> None:
    """`ncd WORDS`, ended like a command: by SystemExit. Stdin is a pipe whose other end the parent holds."""
    from ncdcli.cli.main import main

    threading.Thread(target=_end_with_parent, daemon=True).start()
    main(words)


def _end_with_parent() -> None:
    """Stdin is at its end when the parent is."""
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    run(sys.argv[1:])
