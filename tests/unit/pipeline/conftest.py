from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "toys"))

import toystages

from ncdcli.pipeline.plan import make_plan
from ncdcli.pipeline.runner import execute
from ncdcli.run.folder import RunFolder


class Toy:
    """One toy run and short ways to plan and run it."""

    def __init__(self, path: Path) -> None:
        self.run = RunFolder(path)

    def execute(self, *, table=toystages.TABLE, stages=None, force=(), restart=False, command="ncd run toy", **recipe):
        return execute(
            toystages.resolved(**recipe), self.run, stages=stages, force=force, restart=restart,
            table=table, identity=toystages.identity, command=command,
        )  # fmt: skip

    def plan(self, *, table=toystages.TABLE, only=None, until=None, force=(), restart=False, verify=False, **recipe):
        return make_plan(
            toystages.resolved(**recipe).recipe, self.run, only=only, until=until, force=force, restart=restart,
            verify=verify, table=table, identity=toystages.identity,
        )  # fmt: skip

    def actions(self, **options) -> list[str]:
        return [decision.action for decision in self.plan(**options).decisions]

    def files(self) -> dict[str, bytes]:
        """Content of every published file except manifests, which hold times."""
        stages = [spec.name for spec in toystages.TABLE]
        return {
            path.relative_to(self.run.path).as_posix(): path.read_bytes()
            for stage in stages
            for path in sorted(self.run.stage_dir(stage).rglob("*"))
            if path.name != "manifest.json"
        }


@pytest.fixture(autouse=True)
def _fresh_toys():
    toystages.CALLS.clear()
    toystages.HOOKS.clear()
    yield
    toystages.HOOKS.clear()


@pytest.fixture
def calls():
    return toystages.CALLS


@pytest.fixture
def hooks():
    return toystages.HOOKS


@pytest.fixture
def new_toy(tmp_path):
    """Makes toy runs side by side, in one runs folder."""
    return lambda name="toy": Toy(tmp_path / "runs" / name)


@pytest.fixture
def toy(new_toy):
    return new_toy()
