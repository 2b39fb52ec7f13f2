"""Scores of an epoch, and which of them the epoch that is kept is chosen by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from ncdcli.data.samples import Samples
from ncdcli.objectives.kinds import TrainingConfig
from ncdcli.pipeline.context import StageContext
from ncdcli.pipeline.spec import ORACLE
from ncdcli.training.batches import Source
from ncdcli.training.job import Job

if TYPE_CHECKING:
    from ncdcli.training.oracle import Oracle

CHOSEN_BY = {"known-val": "held_out_known_accuracy", ORACLE: "oracle_accuracy"}  # selection rule -> score


def oracle_for(context: StageContext, config: TrainingConfig, samples: Samples, source: Source) -> Oracle | None:
    """What scores epochs by the true classes of the pool, where the recipe asks for that by name; else None."""
    if config.selection != ORACLE:
        return None
    from ncdcli.training.oracle import Oracle

    return Oracle.of(source, samples, context.inputs.get("split/truth.csv"), context.stream)


def epoch_scores(job: Job, device: torch.device) -> dict[str, float]:
    """Name -> accuracy of the backbone and objective as they are: on held-out known samples, and for the oracle."""
    scorers = {"held_out_known_accuracy": job.held_out, "oracle_accuracy": job.oracle}
    return {
        name: scorer.accuracy(job.backbone, job.objective, device)
        for name, scorer in scorers.items()
        if scorer is not None
    }


def is_best(record: Mapping[str, Any], best: Mapping[str, Any], selection: str) -> bool:
    """Whether the rule `selection` takes the epoch of `record` rather than the `best` before: the later of equals."""
    name = CHOSEN_BY.get(selection)
    return name is not None and record[name] >= best.get("accuracy", -1.0)
