"""What the rows of a table are called, their classes, and which part they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ncdcli.data.names import class_order, domain_names, repeated_keys
from ncdcli.data.sources import Listing
from ncdcli.data.table_columns import CellRules
from ncdcli.data.table_text import Layout, row_lines
from ncdcli.errors import DataError, Problem
from ncdcli.words import counted

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ColumnRoles:
    """Which column is what."""

    label: str | None
    truth: str | None
    id: str | None
    domain: str | None
    features: tuple[str, ...]
    rules: CellRules

    @property
    def text(self) -> tuple[str, ...]:
        return tuple(name for name in (self.label, self.truth, self.id, self.domain) if name is not None)


def make_listing(frame: pd.DataFrame, columns: ColumnRoles, keys: list[str], is_test: NDArray[np.bool_]) -> Listing:
    """The rows of a table, given those columns that are no features; DataError for ids that repeat."""
    count = len(frame)
    labels = _names(frame[columns.label]) if columns.label is not None else [None] * count
    truth = _names(frame[columns.truth]) if columns.truth is not None else []
    classes = tuple(label if label is not None else other for label, other in zip(labels, truth or labels, strict=True))
    has_label = np.fromiter((label is not None for label in labels), bool, count)
    every = bool(has_label[~is_test].all())
    parts = np.full(count, "train" if every else "unlabelled")
    if not every:
        parts[has_label] = "labelled"
    parts[is_test] = "test"
    if repeated := repeated_keys(keys):
        hint = "give each row an id of its own, or leave `id` out: rows are numbered then"
        raise DataError("rows of the table have the same id", repeated, hint=hint)
    differing = sum(a is not None and b is not None and a != b for a, b in zip(labels, truth, strict=False))
    differ = counted(differing, "row has", "rows have")
    notes = (f"{differ} another class in the truth column; the label counts",) if differing else ()
    domains = None if columns.domain is None else domain_names(_names(frame[columns.domain]), is_test)
    return Listing(tuple(keys), classes, parts, class_order(classes), notes, domains)


def _names(column: pd.Series) -> list[str | None]:
    return [cell if isinstance(cell, str) else None for cell in column.to_numpy(object).tolist()]


def row_ids(column: pd.Series, path: Path, layout: Layout) -> list[str]:
    """(n,) names of the rows of a file. DataError with the line of a row without one."""
    empty = np.flatnonzero(column.isna())
    if len(empty):
        row = int(empty[0])
        place = f"{path}:{row_lines(path, layout, [row])[row]}"
        problem = Problem(f"row {row} has no id", place=place, hint="fill the id column, or leave `id` out")
        raise DataError("rows of the table have no id", [problem])
    return list(map(str, column.to_numpy(object).tolist()))
