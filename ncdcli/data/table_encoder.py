"""Table rows as vectors: imputed, scaled, one-hot encoded, with statistics of the training rows only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncdcli.data.sources import TableInputs
from ncdcli.data.table_columns import as_dates, as_numbers, is_numeric
from ncdcli.data.table_dates import date_part, parts_worth
from ncdcli.data.table_numbers import PLAIN
from ncdcli.errors import DataError, Problem
from ncdcli.words import counted, did_you_mean

SHOWN = 3  # texts and columns in a note
LEAST_TURN = 0.05  # of sine or cosine: 1 June of one year and of another stand in nearly the same place


@dataclass(frozen=True)
class NumericColumn:
    """How one column of numbers is encoded, or one part of a column of dates.

    (value or `fill` − `offset`) / `scale`.
    """

    name: str
    fill: float
    offset: float
    scale: float
    part: str = ""  # one of `table_dates.PARTS` for dates

    def to_json(self) -> dict[str, Any]:
        """A JSON-able map, without a part where there is none."""
        content = asdict(self)
        if not self.part:
            del content["part"]
        return content


@dataclass(frozen=True)
class CategoricalColumn:
    """How one column of texts is encoded: one 0/1 column for each text; a new or missing text is all zeros."""

    name: str
    categories: tuple[str, ...]


@dataclass(frozen=True)
class TableEncoder:
    """Encodes rows of a table as float32 vectors.

    Constant columns are dropped. One-hot columns are not scaled. Scaling is by mean and standard deviation (`zscore`)
    or by least and greatest value (new rows may lie outside 0..1), of a column (`minmax`) or of all (`minmax_all`). A
    date becomes the days since the earliest one, and sine and cosine of where it stands in the year, the week and the
    day, as far as the training rows go round them.
    """

    columns: tuple[str, ...]  # all feature columns of the training rows
    numeric: tuple[NumericColumn, ...]
    categorical: tuple[CategoricalColumn, ...]
    dropped: tuple[str, ...] = ()  # those that are not encoded, and which new rows need not have
    dates: Mapping[str, str] = field(default_factory=dict)  # column -> format

    @property
    def dim(self) -> int:
        """Length of an encoded row."""
        return len(self.numeric) + sum(len(column.categories) for column in self.categorical)

    @property
    def one_hot(self) -> tuple[tuple[int, int], ...]:
        """(first, end) of the places in an encoded row that stand for the texts of one column."""
        ends = np.cumsum([len(self.numeric), *(len(column.categories) for column in self.categorical)]).tolist()
        return tuple(pairwise(ends))

    @classmethod
    def fit(cls, inputs: TableInputs, rows: NDArray[np.int64]) -> TableEncoder:
        """The encoder whose statistics come from the given rows, and no others. DataError if no column varies."""
        frame = inputs.frame
        names = [str(name) for name in frame.columns]
        numeric: list[NumericColumn] = []
        categorical: list[CategoricalColumn] = []
        dropped: list[str] = []
        for name in (name for name in names if name not in inputs.categorical):
            found = _fit_numbers(name, frame[name].to_numpy(np.float64)[rows], inputs)
            numeric += found
            dropped += [] if found else [name]
        if inputs.scaling == "minmax_all" and numeric:
            low = min(column.offset for column in numeric)
            high = max(column.offset + column.scale for column in numeric)
            numeric = [replace(column, offset=low, scale=high - low) for column in numeric]
        for name in inputs.categorical:
            categories = _fit_categories(frame[name].iloc[rows])
            categorical += [CategoricalColumn(name, categories)] if categories else []
            dropped += [] if categories else [name]
        if not numeric and not categorical:
            raise DataError("no column of the table varies in the training rows", hint="check `label` and `drop`")
        return cls(tuple(names), tuple(numeric), tuple(categorical), tuple(dropped), dict(inputs.dates))

    def transform(self, inputs: TableInputs) -> NDArray[np.float32]:
        """(n, dim) vectors. DataError for missing columns, cells that are no number or date, or overflow.

        Columns may stand in any order; those that the training rows did not have are passed over.
        """
        self._check_columns([str(name) for name in inputs.frame.columns])
        encoded = np.zeros((len(inputs), self.dim), np.float32)
        values: NDArray[np.float64] = np.empty(0)
        read = ""
        for number, column in enumerate(self.numeric):
            if column.name != read:
                values, read = self._numbers(inputs, column.name), column.name
            part = date_part(values, column.part) if column.part else values
            with np.errstate(over="ignore"):  # told below, with its row
                encoded[:, number] = (np.where(np.isnan(part), column.fill, part) - column.offset) / column.scale
        start = len(self.numeric)
        for category in self.categorical:
            codes = self._codes(inputs, category)
            rows = np.flatnonzero(codes >= 0)
            encoded[rows, start + codes[rows]] = 1
            start += len(category.categories)
        self._check_finite(encoded, inputs)
        return encoded

    def notes(self, inputs: TableInputs) -> list[str]:
        """What the model does not know of in new rows: columns that are passed over, texts that it has not seen."""
        extra = [str(name) for name in inputs.frame.columns if name not in self.columns]
        notes = [f"passed over, as the model was not trained with them: {_some(extra)}"] if extra else []
        for category in self.categorical:
            cells = _texts(inputs, category.name)
            known = {cell: _category_of(cell, category.categories) is not None for cell in set(cells) if cell == cell}
            unseen = [cell for cell, seen in known.items() if not seen]
            if unseen:
                rows = counted(sum(cell == cell and not known[cell] for cell in cells), "row")
                notes.append(
                    f"column `{category.name}`: {rows} with texts that training has not seen, encoded as none: "
                    f"{_some(sorted(map(str, unseen)))}"
                )
        return notes

    def to_json(self) -> dict[str, Any]:
        """A JSON-able map; floats survive the round trip exactly."""
        content = asdict(self) | {"numeric": [column.to_json() for column in self.numeric]}
        if not self.dates:
            del content["dates"]
        return content

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> TableEncoder:
        """The encoder that `to_json` described."""
        return cls(
            tuple(content["columns"]),
            tuple(NumericColumn(**column) for column in content["numeric"]),
            tuple(CategoricalColumn(item["name"], tuple(item["categories"])) for item in content["categorical"]),
            tuple(content["dropped"]),
            content.get("dates", {}),
        )

    def _check_columns(self, present: Sequence[str]) -> None:
        missing = [name for name in self.columns if name not in present and name not in self.dropped]
        unknown = [name for name in present if name not in self.columns]
        problems = [
            Problem(f"column `{name}` is missing", hint=did_you_mean(name, unknown, "the model was trained with it"))
            for name in missing
        ]
        if problems:
            also = f"; columns that it was not trained with: {_some(unknown)}" if unknown else ""
            raise DataError("the table lacks columns of the training data", problems, hint=f"rename or add them{also}")

    def _numbers(self, inputs: TableInputs, name: str) -> NDArray[np.float64]:
        """(n,) numbers of a column, or days of one of dates. DataError with the place of a cell that is neither."""
        column = inputs.frame[name]
        if name in inputs.dates or (name not in self.dates and is_numeric(column)):
            return np.asarray(column, np.float64)
        if name in self.dates:
            cells = inputs.origin.texts(name) if is_numeric(column) and inputs.origin is not None else column
            values, fault = as_dates(name, cells, self.dates[name])
        else:
            values, fault = as_numbers(name, column, PLAIN if inputs.origin is None else inputs.origin.style)
        if fault is None:
            return np.asarray(values, np.float64)
        place = inputs.origin.place(fault.row) if inputs.origin is not None and fault.row is not None else ""
        raise DataError(
            "the table does not fit the model",
            [Problem(fault.message, place=place, hint="correct it, or leave it empty")],
        )

    def _codes(self, inputs: TableInputs, column: CategoricalColumn) -> NDArray[np.int64]:
        """(n,) number of each row's category, -1 where it is missing or new."""
        if column.name in inputs.dates:
            hint = "train again (`--force`), or name it in `categorical`"
            raise DataError(f"column `{column.name}` holds dates; the model was trained with it as text", hint=hint)
        numbers = {category: number for number, category in enumerate(column.categories)}
        known: dict[Any, int] = {}
        codes = []
        for cell in _texts(inputs, column.name):
            if cell not in known:
                category = _category_of(cell, numbers)
                known[cell] = -1 if category is None else numbers[category]
            codes.append(known[cell])
        return np.array(codes, np.int64)

    def _check_finite(self, encoded: NDArray[np.float32], inputs: TableInputs) -> None:
        """DataError with the row of the first number that is too large for a vector."""
        finite = np.isfinite(encoded).all(axis=0)
        if finite.all():
            return
        number = int(np.flatnonzero(~finite)[0])
        row = int(np.flatnonzero(~np.isfinite(encoded[:, number]))[0])
        place = "" if inputs.origin is None else inputs.origin.place(row)
        message = f"row {row} has a value too large to encode in column `{self.numeric[number].name}`"
        raise DataError("the table cannot be encoded", [Problem(message, place=place)])


def _texts(inputs: TableInputs, name: str) -> list[Any]:
    """(n,) cells of a column that is one of texts in training: as they stand in the file where rows are new."""
    column = inputs.frame[name]
    if is_numeric(column) and inputs.origin is not None:
        return list(inputs.origin.texts(name).tolist())
    return list(column.astype(object).tolist())


def _category(value: Any) -> str:
    """The text of a category; 1.0 and 1 are the same, as a column with missing values reads 1 as 1.0."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _category_of(cell: Any, categories: Any) -> str | None:
    """The category of a cell: its text, or that of the number it is; None where it is missing or there is no such."""
    if cell is None or cell != cell:
        return None
    text = _category(cell)
    if text in categories or not isinstance(cell, str):
        return text if text in categories else None
    try:
        number = _category(float(cell))
    except ValueError:
        return None
    return number if number in categories else None


def _some(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names[:SHOWN]) + (f" and {len(names) - SHOWN} more" * (len(names) > SHOWN))


def _fit_numbers(name: str, values: NDArray[np.float64], inputs: TableInputs) -> list[NumericColumn]:
    """How a column of numbers is encoded, or each part of one of dates; nothing where it is constant."""
    if name not in inputs.dates:
        column = _fit_numeric(name, values, inputs)
        return [] if column is None else [column]
    columns = []
    for part in parts_worth(values):
        first = float(np.nanmin(values)) if part == "days" else 0.0
        numbers = date_part(values, part) - first
        if part != "days" and np.nanmax(numbers) - np.nanmin(numbers) < LEAST_TURN:
            continue
        column = _fit_numeric(name, numbers, inputs)
        if column is not None:
            columns.append(NumericColumn(name, column.fill + first, column.offset + first, column.scale, part))
    return columns


def _fit_numeric(name: str, values: NDArray[np.float64], inputs: TableInputs) -> NumericColumn | None:
    """The encoding of a column, or None where it is constant."""
    present = values[~np.isnan(values)]
    if len(present) == 0 or (present.min() == present.max() and len(present) == len(values)):
        return None
    fills = {"median": np.median(present), "mean": present.mean(), "zero": 0.0}
    fill = float(fills[inputs.impute])
    filled = np.where(np.isnan(values), fill, values)
    low, high = float(filled.min()), float(filled.max())
    if low == high:
        return None
    if inputs.scaling == "zscore":
        return NumericColumn(name, fill, float(filled.mean()), float(filled.std()))
    if inputs.scaling in ("minmax", "minmax_all"):
        return NumericColumn(name, fill, low, high - low)
    return NumericColumn(name, fill, 0.0, 1.0)


def _fit_categories(column: Any) -> tuple[str, ...]:
    """The texts of a column in order; none where it is constant."""
    texts = column.astype(object).map(_category, na_action="ignore")
    categories = tuple(sorted(texts.dropna().unique().tolist()))
    if len(categories) == 1 and not texts.isna().any():
        return ()
    return categories
