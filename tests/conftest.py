"""What tests of several packages share."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

# Before numpy or torch is imported, here or in a process that a test starts: tests run side by side, on small data.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A shell starts what it puts into the background deaf to Ctrl-C, and the processes that tests start would be as well.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow ones first, so that none is left for the end, when the other processes have nothing to do."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def run_ncd(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Ended]:
    """`run_ncd("data", "list")`: a command in this process, in the empty folder `tmp_path`, without any data set."""
    from ncdcli.cli.main import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NCD_DATA", str(tmp_path / "data"))

    def call(*words: str) -> Ended:
        with pytest.raises(SystemExit) as end:
            main(list(words))
        printed = capsys.readouterr()
        return Ended(int(end.value.code or 0), printed.out, printed.err)

    return call
