"""A small pipeline of quick stages, for tests of the machinery that runs stages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field

from ncdcli.pipeline.spec import StageSpec
from ncdcli.recipe.base import RUNTIME, Section

CALLS: list[str] = []  # names of stages whose code ran, in order
HOOKS: dict[str, Callable[[Any], None]] = {}  # stage -> called with its context after its files are written


class ToyData(Section):
    rows: int = 4
    root: Annotated[str, RUNTIME] = ""


class ToyTrain(Section):
    epochs: int = 3
    comment: str = ""  # matters by rule, but changes no output
    workers: Annotated[int, RUNTIME] = 0


class ToyScore(Section):
    digits: int = 3
    bound: float = 0.5


class ToyRecipe(Section):
    name: str = "toy"
    seed: int = 0
    data: ToyData = Field(default_factory=ToyData)
    train: ToyTrain = Field(default_factory=ToyTrain)
    score: ToyScore = Field(default_factory=ToyScore)


TABLE = (
    StageSpec(
        "split", 1, "toystages.split", ("data",), (), ("numbers.csv", "truth.csv?"), reads_data=True,
    ),
    StageSpec(
        "train", 1, "toystages.train", ("train",), ("split/numbers.csv",), ("model.json", "metrics.jsonl"),
    ),
    StageSpec(
        "embed", 1, "toystages.embed", (), ("split/numbers.csv", "train/model.json"), ("embeddings.npy",),
    ),
    StageSpec(
        "score", 1, "toystages.score", ("score",), ("split/truth.csv?", "embed/embeddings.npy"), ("score.json",),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Resolved:
    """What the recipe package hands to the runner."""

    recipe: ToyRecipe
    source_text: bytes = b"name: toy  # as the user wrote it\n"

    def to_run_yaml(self) -> str:
        return yaml.safe_dump(self.recipe.model_dump())


def resolved(**changes: Any) -> Resolved:
    """A toy recipe; `train={"epochs": 5}` changes a field of a section."""
    return Resolved(ToyRecipe.model_validate(changes))


def identity(data: ToyData) -> dict[str, Any]:
    """Identity of the samples: the content of the file `root`, where there is one."""
    return {"digest": Path(data.root).read_text() if data.root else "none"}


def called(stage: str, context: Any) -> None:
    """To be called by a stage at its end."""
    CALLS.append(stage)
    if stage in HOOKS:
        HOOKS[stage](context)
