"""Table rows as vectors: imputed, scaled, one-hot encoded, with statistics of the training rows only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncdcli.data.sources import TableInputs
from ncdcli.errors import DataError, Problem
from ncdcli.words import did_you_mean


@dataclass(frozen=True)
class NumericColumn:
    """How one column of numbers is encoded: (value or `fill` − `offset`) / `scale`."""

    name: str
    fill: float
    offset: float
    scale: float


@dataclass(frozen=True)
class CategoricalColumn:
    """How one column of texts is encoded: one 0/1 column for each text; a new or missing text is all zeros."""

    name: str
    categories: tuple[str, ...]


@dataclass(frozen=True)
class TableEncoder:
    """Encodes rows of a table as float32 vectors.

    Constant columns are dropped. One-hot columns are not scaled. Scaling is by mean and standard deviation (`zscore`)
    or by least and greatest value (`minmax`: new rows may lie outside 0..1).
    """

    columns: tuple[str, ...]  # all feature columns that rows must have
    numeric: tuple[NumericColumn, ...]
    categorical: tuple[CategoricalColumn, ...]
    dropped: tuple[str, ...] = ()

    @property
    def dim(self) -> int:
        """Length of an encoded row."""
        return len(self.numeric) + sum(len(column.categories) for column in self.categorical)

    @classmethod
    def fit(cls, inputs: TableInputs, rows: NDArray[np.int64]) -> TableEncoder:
        """The encoder whose statistics come from the given rows, and no others. DataError if no column varies."""
        frame = inputs.frame.iloc[rows]
        numeric = [
            _fit_numeric(str(name), frame[name].to_numpy(np.float64), inputs)
            for name in frame.columns
            if name not in inputs.categorical
        ]
        categorical = [_fit_categorical(name, frame[name]) for name in inputs.categorical]
        kept = [column for column in (*numeric, *categorical) if not isinstance(column, str)]
        dropped = tuple(column for column in (*numeric, *categorical) if isinstance(column, str))
        if not kept:
            raise DataError("no column of the table varies in the training rows", hint="check `label` and `drop`")
        return cls(
            tuple(str(name) for name in frame.columns),
            tuple(column for column in kept if isinstance(column, NumericColumn)),
            tuple(column for column in kept if isinstance(column, CategoricalColumn)),
            dropped,
        )

    def transform(self, inputs: TableInputs) -> NDArray[np.float32]:
        """(n, dim) vectors. DataError for missing or unknown columns, text in a column of numbers, or overflow."""
        self._check_columns([str(name) for name in inputs.frame.columns])
        blocks = []
        for column in self.numeric:
            values = self._numbers(inputs, column.name)
            filled = np.where(np.isnan(values), column.fill, values)
            blocks.append(((filled - column.offset) / column.scale)[:, None])
        for category in self.categorical:
            texts = inputs.frame[category.name].astype(object).map(_category, na_action="ignore").to_numpy()
            blocks.append(texts[:, None] == np.array(category.categories, dtype=object)[None])
        with np.errstate(over="ignore"):  # told below, with its row
            encoded = np.concatenate(blocks, axis=1, dtype=np.float32, casting="unsafe")
        if not np.isfinite(encoded).all():
            row, column_number = np.argwhere(~np.isfinite(encoded))[0].tolist()
            raise DataError(f"row {row} has a value too large to encode (encoded column {column_number})")
        return encoded

    def to_json(self) -> dict[str, Any]:
        """A JSON-able map; floats survive the round trip exactly."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> TableEncoder:
        """The encoder that `to_json` described."""
        return cls(
            tuple(content["columns"]),
            tuple(NumericColumn(**column) for column in content["numeric"]),
            tuple(CategoricalColumn(item["name"], tuple(item["categories"])) for item in content["categorical"]),
            tuple(content["dropped"]),
        )

    def _check_columns(self, present: Sequence[str]) -> None:
        missing = [name for name in self.columns if name not in present]
        unknown = [name for name in present if name not in self.columns]
        problems = [
            Problem(f"column `{name}` is missing", hint=did_you_mean(name, unknown, "the model was trained with it"))
            for name in missing
        ] + [
            Problem(f"column `{name}` is unknown", hint="the model was not trained with it: remove it")
            for name in unknown
        ]
        if problems:
            raise DataError("the table has other columns than the training data", problems)

    def _numbers(self, inputs: TableInputs, name: str) -> NDArray[np.float64]:
        column = inputs.frame[name]
        try:
            return column.to_numpy(np.float64, na_value=np.nan)
        except (TypeError, ValueError) as error:
            raise DataError(f"column `{name}` holds text; it was a column of numbers in training: {error}") from error


def _category(value: Any) -> str:
    """The text of a category; 1.0 and 1 are the same, as a column with missing values reads 1 as 1.0."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _fit_numeric(name: str, values: NDArray[np.float64], inputs: TableInputs) -> NumericColumn | str:
    """The encoding of a column, or its name where it is constant."""
    present = values[~np.isnan(values)]
    if len(present) == 0 or (present.min() == present.max() and len(present) == len(values)):
        return name
    fills = {"median": np.median(present), "mean": present.mean(), "zero": 0.0}
    fill = float(fills[inputs.impute])
    filled = np.where(np.isnan(values), fill, values)
    low, high = float(filled.min()), float(filled.max())
    if low == high:
        return name
    if inputs.scaling == "zscore":
        return NumericColumn(name, fill, float(filled.mean()), float(filled.std()))
    if inputs.scaling == "minmax":
        return NumericColumn(name, fill, low, high - low)
    return NumericColumn(name, fill, 0.0, 1.0)


def _fit_categorical(name: str, column: Any) -> CategoricalColumn | str:
    texts = column.astype(object).map(_category, na_action="ignore")
    categories = tuple(sorted(texts.dropna().unique().tolist()))
    if not categories or (len(categories) == 1 and not texts.isna().any()):
        return name
    return CategoricalColumn(name, categories)
