"""What the tests of whole commands share: one process that has imported torch, and is forked for their runs."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ncdcli.pipeline.spec import BY_NAME
from ncdcli.recipe.resolve import load_recipe
from ncdcli.sweep import forks
from ncdcli.sweep.forks import Server
from ncdcli.sweep.preload import modules_for

sys.path.insert(0, str(Path(__file__).parents[1] / "toys"))

from lent import Lent


@pytest.fixture(scope="session")
def forked() -> Iterator[Server]:
    """The product's own server, with what training, joint training and clustering of digits need.

    Its forks hear of a lost terminal, as what a shell starts, even where these tests run under `nohup`.
    """
    ours = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    server = Server(modules_for(load_recipe("digits-simgcd").recipe, BY_NAME), threads=1)
    signal.signal(signal.SIGHUP, ours)
    yield server
    server.close()


@pytest.fixture
def run_forked(
    run_ncd: Callable[..., tuple[int, str, str]], forked: Server, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """`run_forked(folder, "sweep", "s.yaml")`: a command in this process, its runs forks of `forked`."""
    monkeypatch.setattr(forks, "Server", Lent(forked))

    def call(folder: Path, *words: str) -> tuple[int, str, str]:
        monkeypatch.chdir(folder)
        return run_ncd(*words)

    return call
