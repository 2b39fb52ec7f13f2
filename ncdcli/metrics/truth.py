"""The truth that scores are computed from, and the assignments that are scored."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncdcli.data.columns import read_columns
from ncdcli.data.samples import Samples
from ncdcli.errors import DataError


@dataclass(frozen=True)
class Truth:
    """The class of every row, as far as anybody knows."""

    classes: NDArray[np.int64]  # (n,) id, -1 where nobody knows
    names: tuple[str, ...]  # id -> name: known classes in their order, then novel ones in natural order


def read_truth(samples: Samples, truth_csv: Path | None) -> Truth:
    """The truth of all rows: `truth.csv` (row, class) where there is one, and the labels in `samples.csv`."""
    if truth_csv is None:
        return Truth(samples.labels, samples.known)
    columns = read_columns(truth_csv, texts=["class"], numbers=["row"])
    novel = sorted(set(columns["class"]) - set(samples.known) - {""}, key=_natural)
    names = (*samples.known, *novel)
    ids = {name: position for position, name in enumerate(names)} | {"": -1}
    given = np.fromiter(map(ids.__getitem__, columns["class"].tolist()), np.int64)
    classes = samples.labels.copy()
    classes[columns["row"][given >= 0]] = given[given >= 0]
    return Truth(classes, names)


@dataclass(frozen=True)
class Assigned:
    """Columns of `assignments.csv` that are scored."""

    clusters: NDArray[np.int64]  # (n,)
    task_aware: NDArray[np.int64] | None
    task_agnostic: NDArray[np.int64] | None


def read_assignments(assignments_csv: Path, samples: Samples) -> Assigned:
    """The clusters of every row; DataError where the file is not about these samples."""
    ncd = ["task_aware", "task_agnostic"] if samples.setting == "ncd" else []
    columns = read_columns(assignments_csv, texts=["key"], numbers=["cluster", *ncd])
    if tuple(columns["key"].tolist()) != samples.keys:
        raise DataError(
            f"`{assignments_csv}` is not about the samples of this run", hint="run `ncd cluster RUN --force`"
        )
    return Assigned(columns["cluster"], columns.get("task_aware"), columns.get("task_agnostic"))


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Sorts "9" before "10"."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]
