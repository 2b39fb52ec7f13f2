"""A small run that trains nothing, which the tests of commands start from, and how their commands ended."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ncdcli.cli.main import main

STAGES = ["split", "pretrain", "embed", "estimate_k", "cluster", "evaluate", "report"]
SECTIONS = {
    "data": "{card: digits, subset: 300}",
    "backbone": "{kind: identity}",
    "pretrain": "{objective: {kind: none}}",
    "estimate_k": "{kind: fixed, k: 10}",
    "cluster": "{kind: semi_kmeans, restarts: 2}",
    "evaluate": "{stability_seeds: 0}",
    "report": "{map: pca}",
}


def tiny(**sections: str | None) -> str:
    """The recipe of the run, with other `sections`; None leaves one out."""
    lines = [f"{name}: {content}" for name, content in (SECTIONS | sections).items() if content is not None]
    return "\n".join(["version: 1", "name: tiny", *lines, ""])


RECIPE = tiny()


def finish(folder: Path, recipe: str) -> Path:
    """The folder, after a run of the recipe that lies there under this name."""
    before = Path.cwd()
    os.chdir(folder)
    with pytest.raises(SystemExit) as end:
        main(["run", recipe, "--quiet", "--json"])
    os.chdir(before)
    assert end.value.code == 0
    return folder


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.out)

    @property
    def actions(self) -> dict[str, str]:
        """What became of each stage."""
        return {stage["stage"]: stage["action"] for stage in self.json["stages"]}

    @property
    def last_line(self) -> str:
        return self.err.splitlines()[-1]


Ncd = Callable[..., Result]
