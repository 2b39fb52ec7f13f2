"""What a recipe for a table should say of its columns: how numbers and dates are written, and which to drop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ncdcli.data.table_columns import CellRules, as_features, common_styles, digest_column, is_identifier, is_numeric
from ncdcli.data.table_numbers import EITHER, PLAIN, Style
from ncdcli.errors import DataError
from ncdcli.words import either

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Advice:
    """Fields for the `source` section, and columns that are no features, by the reason."""

    style: Style = PLAIN
    dates: Mapping[str, str] = field(default_factory=dict)  # column -> format
    identifiers: tuple[str, ...] = ()  # text that differs in nearly every row
    counters: tuple[str, ...] = ()  # that count the rows
    repeated: Mapping[str, str] = field(default_factory=dict)  # column -> an earlier one with the same values

    @property
    def drop(self) -> tuple[str, ...]:
        """All columns that are no features."""
        return (*self.identifiers, *self.counters, *self.repeated)

    @property
    def fields(self) -> dict[str, Any]:
        """Fields of the `source` section besides `drop`, none that is at its default."""
        return {**self.style.fields, **({"dates": dict(self.dates)} if self.dates else {})}


def advise(frame: pd.DataFrame, names: Sequence[str], rules: CellRules) -> Advice:
    """What to say of the columns `names` of a table. DataError where its numbers can be read in two ways.

    The style is that of the numbers that cannot be read by `rules`: the table is to be read again with it.
    """
    kept = [name for name in names if name not in (rules.categorical or ()) and name not in (rules.dates or ())]
    styles = common_styles(frame, kept)
    if len(styles) > 1 and rules.style not in styles:
        ways = either(f"`--{name} {value}`" for style in EITHER for name, value in style.fields.items())
        message = "numbers such as `1,234` may be a little more than one, or more than a thousand"
        raise DataError(message, hint=f"say which: {ways}")
    style = rules.style if rules.style in styles or not styles else styles[0]
    features, _ = as_features(frame, names, replace(rules, style=style))
    identifiers = tuple(name for name in kept if name not in features.dates and is_identifier(features.frame[name]))
    counters = tuple(name for name in kept if name not in identifiers and _counts_rows(features.frame[name]))
    others = [name for name in kept if name not in identifiers and name not in counters]
    return Advice(style, features.dates, identifiers, counters, _repeated(features.frame, others))


def _counts_rows(column: pd.Series) -> bool:
    """Whether a column holds 0, 1, 2 … or 1, 2, 3 …: the number of the row, as exported tables have it."""
    if not is_numeric(column) or len(column) < 3:
        return False
    values = column.to_numpy(np.float64)
    return bool(values[0] in (0, 1) and np.array_equal(values, values[0] + np.arange(len(values))))


def _repeated(frame: pd.DataFrame, names: Sequence[str]) -> dict[str, str]:
    """Column -> the first one of which it is a copy."""
    first: dict[str, str] = {}
    copies = {}
    for name in names:
        digest = digest_column(frame[name])
        if digest in first and not _is_constant(frame[name]):
            copies[name] = first[digest]
        first.setdefault(digest, name)
    return copies


def _is_constant(column: pd.Series) -> bool:
    return bool(column.nunique(dropna=False) == 1)
