"""Columns of a table as features: numbers, dates or text, and what makes one unusable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncdcli.data.digests import digest_lines
from ncdcli.data.table_dates import days_of, find_date_formats, order_of
from ncdcli.data.table_numbers import PLAIN, Style, common_style, fitting_styles, styled_numbers
from ncdcli.words import counted, either

if TYPE_CHECKING:
    import pandas as pd

MANY_TEXTS = 100  # a text column with more different texts than this, and ...
MOSTLY_DIFFERENT = 0.2  # ... more than this share of its rows, is an identifier and not a category
TYPO_SHARE = 0.1  # a column with fewer texts than this share of its cells is one of numbers with slips
SHOWN = 40  # characters of a cell in a message


@dataclass(frozen=True)
class Fault:
    """What makes a column unusable, and the row of its first such cell where there is one."""

    message: str
    hint: str
    row: int | None = None


@dataclass(frozen=True)
class CellRules:
    """What a recipe says of the cells of feature columns."""

    categorical: tuple[str, ...] | None = None  # None: those that hold text
    dates: Mapping[str, str] | None = None  # column -> format; None: those that read as dates
    style: Style = PLAIN


@dataclass(frozen=True)
class Features:
    """Feature columns: float64 ones, of which those in `dates` hold days since 1970-01-01, and text."""

    frame: pd.DataFrame  # n rows
    categorical: tuple[str, ...]
    dates: dict[str, str] = field(default_factory=dict)  # column -> format


def is_numeric(column: Any) -> bool:
    """Whether a column was read as numbers (or as true and false)."""
    from pandas.api import types

    return bool(types.is_numeric_dtype(column))


def as_features(frame: pd.DataFrame, names: Sequence[str], rules: CellRules) -> tuple[Features, list[Fault]]:
    """The feature columns `names` of a table, and what is wrong with them."""
    import pandas as pd

    columns: dict[str, Any] = {}
    faults: list[Fault] = []
    dates: dict[str, str] = {}
    for name in names:
        columns[name], found, fault = _feature(name, frame[name], rules)
        if found is not None:
            dates[name] = found
        if fault is not None:
            faults.append(fault)
    categorical = rules.categorical
    if categorical is None:
        categorical = tuple(name for name in names if not is_numeric(columns[name]))
    return Features(pd.DataFrame(columns, copy=False), categorical, dates), faults


def as_features_like(
    frame: pd.DataFrame, like: Features, rules: CellRules, texts: Callable[[str], NDArray[np.object_]]
) -> tuple[Features, list[Fault]]:
    """The same columns of another file, read as they were in the first. `texts` gives a column's cells as text."""
    import pandas as pd

    columns: dict[str, Any] = {}
    faults: list[Fault] = []
    for name in map(str, like.frame.columns):
        column, was = frame[name], like.frame[name]
        if name in like.dates:
            cells = texts(name) if is_numeric(column) else column
            columns[name], fault = as_dates(name, cells, like.dates[name])
        elif not is_numeric(was):
            columns[name], fault = (texts(name) if is_numeric(column) else column), None
        elif was.isna().all() and not is_numeric(column):
            columns[name], fault = np.full(len(frame), np.nan), None
        else:
            columns[name], fault = as_numbers(name, column, rules.style)
        if fault is not None:
            faults.append(fault)
    return Features(pd.DataFrame(columns, copy=False), like.categorical, like.dates), faults


def as_numbers(name: str, column: pd.Series, style: Style = PLAIN) -> tuple[Any, Fault | None]:
    """The numbers of a column, and the fault of a cell that is none, or is infinite."""
    if is_numeric(column):
        return column, _infinite(name, column.to_numpy(np.float64))
    numbers = _numbers(column, style)
    slips = np.flatnonzero(np.isnan(numbers) & column.notna().to_numpy())
    if len(slips):
        return column, _slip(name, column, slips, "a number", "")
    return numbers, _infinite(name, numbers)


def as_dates(name: str, column: Any, form: str) -> tuple[Any, Fault | None]:
    """The days since 1970-01-01 of a column of dates, and the fault of a cell that its format does not read."""
    import pandas as pd

    cells = pd.Series(column)
    days = days_of(cells, form)
    slips = np.flatnonzero(np.isnan(days) & cells.notna().to_numpy())
    if len(slips):
        return cells, _slip(name, cells, slips, f"a date as `{form}` reads them", ", or set the format in `dates`")
    return days, None


def common_styles(frame: pd.DataFrame, names: Sequence[str]) -> list[Style]:
    """How the numbers of a table are written that do not read as numbers; two ways where both are possible."""
    found = [fitting_styles(_present(frame[name])) for name in names if not is_numeric(frame[name])]
    return common_style([styles for styles in found if styles])


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


def _feature(name: str, column: pd.Series, rules: CellRules) -> tuple[Any, str | None, Fault | None]:
    """The column as a feature, the format of its dates, and what is wrong with it."""
    if rules.categorical is not None and name in rules.categorical:
        return column, None, None
    if rules.dates is not None and name in rules.dates:
        days, fault = as_dates(name, column, rules.dates[name])
        return days, rules.dates[name], fault
    if is_numeric(column):
        return column, None, _infinite(name, column.to_numpy(np.float64))
    numbers = _numbers(column, rules.style)
    slips = np.flatnonzero(np.isnan(numbers) & column.notna().to_numpy())
    if not len(slips):
        return numbers, None, _infinite(name, numbers)
    count = int(column.notna().sum())
    if len(slips) < TYPO_SHARE * count:
        return column, None, _slip(name, column, slips, "a number", ", or name the column in `categorical`")
    if rules.dates is None and (found := find_date_formats(_present(column))) is not None:
        if not found.formats:
            return column, None, _several_formats(name, column)
        if len(found.formats) > 1:
            return column, None, _ambiguous(name, column, found.formats)
        days, fault = as_dates(name, column, found.formats[0])
        return days, found.formats[0], fault
    return column, None, _text_fault(name, column, slips, rules)


def _text_fault(name: str, column: pd.Series, slips: NDArray[np.int64], rules: CellRules) -> Fault | None:
    """What keeps a column that holds neither numbers nor dates from being one of categories."""
    if styles := common_style([fitting_styles(_present(column))]):
        ways = either(f"`{_setting(style)}`" for style in styles)
        row = int(slips[0])
        return Fault(
            f"column `{name}`: `{column.iloc[row]}` is not a number as the recipe says that they are written",
            f"set {ways} in the source of the data, or name the column in `categorical`",
            row,
        )
    if rules.categorical is not None:
        return _slip(name, column, slips, "a number", ", or name the column in `categorical`")
    if is_identifier(column):
        present = column.dropna()
        return Fault(
            f"column `{name}`: {present.nunique()} different texts in {len(present)} rows",
            "list it in `drop`, use it as `id`, or name it in `categorical` to encode it all the same; "
            "dates in a format of their own are told by `dates`",
        )
    return None


def _ambiguous(name: str, column: pd.Series, formats: Sequence[str]) -> Fault:
    row = int(np.flatnonzero(column.notna())[0])
    orders = either(order_of(form) for form in formats)
    ways = either(f"`dates: {{{name}: '{form}'}}`" for form in formats)
    return Fault(
        f"column `{name}`: `{column.iloc[row]}` and all other dates of it may be {orders}",
        f"say which, by {ways} in the source of the data (`--date '{name}={formats[0]}'` of `ncd init table`)",
        row,
    )


def _several_formats(name: str, column: pd.Series) -> Fault:
    return Fault(
        f"column `{name}` holds dates in several formats",
        "write them in one, year-month-day for the best; or list the column in `drop` or `categorical`",
        int(np.flatnonzero(column.notna())[0]),
    )


def _slip(name: str, column: pd.Series, slips: NDArray[np.int64], what: str, other: str) -> Fault:
    cell = str(column.iloc[slips[0]])
    shown = cell if len(cell) <= SHOWN else f"{cell[:SHOWN]}…"
    count = counted(int(column.notna().sum()), "cell")
    are = "is" if len(slips) == 1 else "are"
    hint = f"correct them, or list them in `missing`{other}"
    return Fault(f"column `{name}`: `{shown}` is not {what} ({len(slips):,} of {count} {are} not)", hint, int(slips[0]))


def _infinite(name: str, numbers: NDArray[np.float64]) -> Fault | None:
    infinite = np.flatnonzero(np.isinf(numbers))
    if not len(infinite):
        return None
    message = f"column `{name}`: `{numbers[infinite[0]]}` ({counted(len(infinite), 'infinite value')})"
    return Fault(message, "correct them, or list `inf` and `-inf` in `missing`", int(infinite[0]))


def _numbers(column: pd.Series, style: Style) -> NDArray[np.float64]:
    """(n,) the cells as numbers, NaN where they are missing or none."""
    import pandas as pd

    if style != PLAIN:
        return styled_numbers(column, style)
    return pd.to_numeric(column, errors="coerce").to_numpy(np.float64)


def _present(column: pd.Series) -> list[str]:
    return [str(cell) for cell in column.dropna()]


def _setting(style: Style) -> str:
    return ", ".join(f"{name}: {value}" for name, value in style.fields.items())
