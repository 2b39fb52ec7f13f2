"""A small run that trains nothing, which the tests of commands start from, and how their commands ended."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

STAGES = ["split", "pretrain", "embed", "estimate_k", "cluster", "evaluate", "report"]
RECIPE = """\
version: 1
name: tiny
data: {card: digits, subset: 300}
backbone: {kind: identity}
pretrain: {objective: {kind: none}}
estimate_k: {kind: fixed, k: 10}
cluster: {kind: semi_kmeans, restarts: 2}
evaluate: {stability_seeds: 0}
report: {map: pca}
"""


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
