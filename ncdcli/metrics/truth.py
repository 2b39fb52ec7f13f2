"""The truth that scores are computed from, and the assignments that are scored."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncdcli.data.samples import Samples
from ncdcli.errors import DataError


@dataclass(frozen=True)
class Truth:
    """The class of every row, as far as anybody knows."""

    classes: NDArray[np.int64]  # (n,) id, -1 where nobody knows
    names: tuple[str, ...]  # id -> name: known classes in their order, then novel ones in natural order


def read_truth(samples: Samples, truth_csv: Path | None) -> Truth:
    """The truth of all rows: `truth.csv` (row, class) where there is one, and the labels in `samples.csv`."""
    own = [samples.known[label] if label >= 0 else "" for label in samples.labels.tolist()]
    if truth_csv is not None:
        with open(truth_csv, newline="", encoding="utf-8") as file:
            reader = csv.reader(file)
            next(reader, None)
            for row, name in reader:
                own[int(row)] = name or own[int(row)]
    novel = sorted(set(own) - set(samples.known) - {""}, key=_natural)
    names = (*samples.known, *novel)
    ids = {name: position for position, name in enumerate(names)} | {"": -1}
    return Truth(np.array([ids[name] for name in own], np.int64), names)


@dataclass(frozen=True)
class Assigned:
    """Columns of `assignments.csv` that are scored."""

    clusters: NDArray[np.int64]  # (n,)
    task_aware: NDArray[np.int64] | None
    task_agnostic: NDArray[np.int64] | None


def read_assignments(assignments_csv: Path, samples: Samples) -> Assigned:
    """The clusters of every row; DataError where the file is not about these samples."""
    with open(assignments_csv, newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        header = next(reader)
        columns = dict(zip(header, zip(*reader, strict=True), strict=False))
    if columns.get("key") != samples.keys:
        raise DataError(
            f"`{assignments_csv}` is not about the samples of this run", hint="run `ncd cluster RUN --force`"
        )

    def numbers(name: str) -> NDArray[np.int64] | None:
        return np.array(columns[name], np.int64) if name in columns else None

    return Assigned(np.array(columns["cluster"], np.int64), numbers("task_aware"), numbers("task_agnostic"))


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Sorts "9" before "10"."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]
