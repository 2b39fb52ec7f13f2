"""What is to be trained, and on what."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ncdcli.models.backbone import Backbone
from ncdcli.objectives.base import Objective
from ncdcli.objectives.kinds import TrainingConfig
from ncdcli.training.batches import Source
from ncdcli.training.heldout import HeldOut

if TYPE_CHECKING:
    from ncdcli.training.oracle import Oracle


@dataclass(frozen=True)
class Job:
    """What is to be trained, on what. Picklable, for spawned processes."""

    backbone: Backbone
    objective: Objective
    source: Source
    rows: NDArray[np.int64]  # training rows of the source
    labels: NDArray[np.int64]  # their known classes, -1: none
    held_out: HeldOut | None
    config: TrainingConfig
    stream: np.random.SeedSequence
    output: Path
    section: str = "pretrain"  # of the recipe, where `config` stands
    oracle: Oracle | None = None  # only where `config.selection` asks for it
