"""What the tests of whole commands share: one process that has imported torch, and is forked for their runs."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ncdcli.cli.main import main
from ncdcli.pipeline.spec import BY_NAME
from ncdcli.recipe.resolve import load_recipe
from ncdcli.sweep import forks
from ncdcli.sweep.forks import Server
from ncdcli.sweep.preload import modules_for

sys.path.insert(0, str(Path(__file__).parents[1] / "toys"))

import warm
from finished import RECIPE, Ncd, Result, finish
from lent import Lent

TOYS = Path(__file__).parents[1] / "toys"


@pytest.fixture(scope="session")
def forked() -> Iterator[Server]:
    """A server as the product's own, with what training, joint training and clustering of digits need.

    Its forks save what they train as often as can be, and hear of a lost terminal, as what a shell starts, even where
    these tests run under `nohup`.
    """
    modules = [*modules_for(load_recipe("digits-simgcd").recipe, BY_NAME), "often_saved"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(TOYS), os.environ.get("PYTHONPATH", str(TOYS.parents[1]))]))
        server = warm.Server(modules, threads=1)
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


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `tiny.yaml` and its finished run."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "tiny.yaml").write_text(RECIPE)
    return finish(folder, "tiny.yaml")


@pytest.fixture
def ncd(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Ncd:
    """Runs a command line in a copy of the finished folder."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)

    def call(line: str) -> Result:
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main(shlex.split(line))
        captured = capfd.readouterr()
        return Result(int(end.value.code or 0), captured.out, captured.err)

    return call


@pytest.fixture
def fresh(ncd: Ncd) -> Ncd:
    """The same without the run."""
    shutil.rmtree("runs")
    return ncd
