"""Columns of a table: numbers or text, and what makes one unusable as a feature."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ncdcli.data.digests import digest_lines
from ncdcli.errors import Problem
from ncdcli.words import counted

if TYPE_CHECKING:
    import pandas as pd

MANY_TEXTS = 100  # a text column with more different texts than this, and ...
MOSTLY_DIFFERENT = 0.2  # ... more than this share of its rows, is an identifier and not a category
TYPO_SHARE = 0.1  # a column with fewer texts than this share of its cells is one of numbers with slips


def is_numeric(column: pd.Series) -> bool:
    """Whether a column was read as numbers (or as true and false)."""
    from pandas.api import types

    return bool(types.is_numeric_dtype(column))


def column_fault(name: str, column: pd.Series, *, texts_allowed: bool) -> Problem | None:
    """What makes a feature column unusable: infinite values, slips in a column of numbers, identifiers."""
    import pandas as pd

    if is_numeric(column):
        infinite = np.flatnonzero(np.isinf(column.to_numpy(np.float64)))
        if len(infinite) == 0:
            return None
        hint = "correct them, or list `inf` and `-inf` in `missing`"
        return Problem(
            f"column `{name}`: {counted(len(infinite), 'infinite value')}, first in row {infinite[0]} (from 0)",
            hint=hint,
        )
    present = column.dropna().astype(str)
    slips = present[pd.to_numeric(present, errors="coerce").isna()]
    if len(slips) < TYPO_SHARE * len(present) or not texts_allowed:
        hint = "correct them, list them in `missing`, or name the column in `categorical`"
        first = f"first in row {slips.index[0]} (from 0): `{slips.iloc[0]}`" if len(slips) else ""
        return Problem(f"column `{name}`: {len(slips)} of {len(present)} cells are not numbers, {first}", hint=hint)
    if is_identifier(column):
        different = present.nunique()
        hint = "list it in `drop`, use it as `id`, or name it in `categorical` to encode it all the same"
        return Problem(f"column `{name}`: {different} different texts in {len(present)} rows", hint=hint)
    return None


def is_identifier(column: pd.Series) -> bool:
    """Whether a column holds texts of which too many are different to be categories."""
    import pandas as pd

    if is_numeric(column):
        return False
    present = column.dropna().astype(str)
    different = present.nunique()
    slips = pd.to_numeric(present, errors="coerce").isna().sum()
    many = different > MANY_TEXTS and different > MOSTLY_DIFFERENT * len(present)
    return bool(many and slips >= TYPO_SHARE * len(present))


def digest_column(column: pd.Series) -> str:
    """SHA-256 of a column's values."""
    if is_numeric(column):
        return digest_lines([column.to_numpy(np.float64).tobytes().hex()])
    return digest_lines("" if missing else f"={text}" for text, missing in zip(column, column.isna(), strict=True))
