"""What tests of several packages share."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

# Before numpy or torch is imported, here or in a process that a test starts: tests run side by side, on small data.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A shell starts what it puts into the background deaf to Ctrl-C, and the processes that tests start would be as well.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is collected and imported is kept to the end: nobody need look for garbage among it, here or in a fork."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow ones first, so that none is left for the end, when the other processes have nothing to do."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_the_disk() -> Iterator[None]:
    """Files are not synced, here and in forks: what tests leave need not survive the machine, only a kill."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda number: None)
        yield


@pytest.fixture
def yaml_in_c(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recipes are read by libyaml, where it is there: four times as fast, to the same nodes where they are valid."""
    if not hasattr(yaml, "CSafeLoader"):
        return

    class Loader(yaml.CSafeLoader):
        def get_event(self) -> Any:
            event = super().get_event()
            if isinstance(event, yaml.ScalarEvent):
                event.style = event.style or None
            return event

    monkeypatch.setattr(yaml, "SafeLoader", Loader)


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
