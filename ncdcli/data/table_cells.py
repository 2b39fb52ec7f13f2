"""The cells of a delimited text file: numbers as float64, all others as the text that stands in the file.

Read block by block, so that no more than the columns themselves and one block are in memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ncdcli.data.table_numbers import DECIMALS
from ncdcli.data.table_open import open_text
from ncdcli.data.table_text import SEPARATORS, Layout, unclosed_quote, uneven_rows
from ncdcli.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

BLOCK_CELLS = 4_000_000
LONGEST_BLOCK = 262_144  # rows
BLOCK_CHARACTERS = 1 << 20
TRUTHS = {"true": 1.0, "false": 0.0}

# (b,) of one column in one block: float64; int8 where all are true (1), false (0) or missing (-1); str and NaN objects;
# or None where all are missing.
Part = Any


def read_cells(
    path: Path, layout: Layout, *, missing: Sequence[str], text: Sequence[str] = (), decimal: str = "point"
) -> pd.DataFrame:
    """All cells of a table: float64 columns of numbers (true and false are 1 and 0), text columns of str objects.

    A value is missing where its cell, without the spaces around it, is one of `missing`: NaN. A column is of numbers
    where every cell of the file is one, or missing; the columns in `text` are text in any case. `decimal` is a key of
    DECIMALS. DataError with the line of a row that has too many or too few cells.
    """
    import pandas as pd

    parts: list[list[Part]] = [[] for _ in layout.columns]
    sizes: list[int] = []
    last_is_missing = False
    for block in _blocks(path, layout, missing=missing, text=text, decimal=decimal):
        if block.shape[1] != len(layout.columns):
            raise uneven_rows(path, layout) or DataError(f"`{path}` cannot be read: its rows differ in length")
        sizes.append(len(block))
        for number, column in enumerate(parts):
            column.append(_part(block[number], missing))
        last_is_missing |= bool(block.iloc[:, -1].isna().any())
    # A row that is too short looks like one whose last cells are missing.
    if last_is_missing and not _is_full(path, layout, sum(sizes)) and (fault := uneven_rows(path, layout)):
        raise fault
    mixed = [number for number, column in enumerate(parts) if _is_mixed(column)]
    again = _texts(path, layout, mixed, missing) if mixed else {}
    columns = {}
    for number, name in enumerate(layout.columns):
        cells = again[number] if number in again else _joined(parts[number], sizes)
        columns[name] = cells if name in text else _truths(cells)
        parts[number] = []
    return pd.DataFrame(columns, copy=False)


def read_texts(path: Path, layout: Layout, name: str, missing: Sequence[str]) -> NDArray[np.object_]:
    """(n,) cells of one column as text, NaN where a value is missing."""
    number = layout.columns.index(name)
    return _texts(path, layout, [number], missing)[number]


def _blocks(
    path: Path, layout: Layout, *, missing: Sequence[str], text: Sequence[str], decimal: str
) -> Iterator[pd.DataFrame]:
    types = {layout.columns.index(name): str for name in text}
    rows = max(1, min(LONGEST_BLOCK, BLOCK_CELLS // len(layout.columns)))
    yield from _frames(path, layout, missing, rows, dtype=types, decimal=DECIMALS[decimal])


def _frames(path: Path, layout: Layout, missing: Sequence[str], rows: int, **options: Any) -> Iterator[pd.DataFrame]:
    """The table in blocks of `rows` rows, columns numbered from 0."""
    import pandas as pd

    with open_text(path) as file:
        for _ in islice(file, layout.skip):
            pass
        try:
            yield from pd.read_csv(
                file, header=None, skipinitialspace=True, keep_default_na=False, na_values=list(missing),
                low_memory=False, chunksize=rows,
                sep=r"\s+" if layout.separator == "space" else SEPARATORS[layout.separator], **options,
            )  # fmt: skip
        except pd.errors.EmptyDataError as error:
            raise DataError(f"`{path}` holds a header and no row", hint="add rows") from error
        except pd.errors.ParserError as error:
            raise _unparsed(path, layout, error) from error


def _is_full(path: Path, layout: Layout, rows: int) -> bool:
    """Whether no row can lack a cell: none has too many, and there are as many separators as full rows have.

    False for nothing certain: quoted cells may hold separators. Hundred times quicker than to look at each row.
    """
    if layout.separator == "space":
        return False
    count = 0
    with open_text(path) as file:
        for _ in islice(file, layout.skip):
            pass
        while block := file.read(BLOCK_CHARACTERS):
            if '"' in block:
                return False
            count += block.count(SEPARATORS[layout.separator])
    return count == rows * (len(layout.columns) - 1)


def _unparsed(path: Path, layout: Layout, error: Exception) -> DataError:
    if "EOF inside string" in str(error):
        return _open_quote(path, layout)
    return uneven_rows(path, layout) or DataError(f"`{path}` cannot be read: {error}")


def _open_quote(path: Path, layout: Layout) -> DataError:
    """The error for a table that ends within quotes: its last row is the one that does not end."""
    from ncdcli.data.table_text import split_lines

    start = last = 0
    with open_text(path) as file:
        for _, line in split_lines(path, islice(file, layout.skip, None), layout.separator):
            start, last = last, line
    return unclosed_quote(path, layout.skip + start + 1, "the table ends within it")


def _part(column: pd.Series, missing: Sequence[str]) -> Part:
    from pandas.api import types

    if types.is_bool_dtype(column):
        return column.to_numpy(np.int8)
    if types.is_numeric_dtype(column):
        numbers = column.to_numpy(np.float64)
        return None if np.isnan(numbers).all() else numbers
    cells = column.to_numpy(object)
    kind = types.infer_dtype(cells, skipna=True)
    if kind == "boolean":
        return np.fromiter((-1 if cell is np.nan else int(cell) for cell in cells), np.int8, len(cells))
    if kind in ("integer", "floating", "mixed-integer-float"):  # beyond 64 bits
        return cells.astype(np.float64)
    kept = _stripped(cells, missing)
    return kept if any(isinstance(cell, str) for cell in kept.tolist()) else None


def _truths(cells: NDArray[Any]) -> NDArray[Any]:
    """The cells; 1, 0 and NaN where all are true, false or missing: some of them have spaces around them."""
    if cells.dtype != object:
        return cells
    known = {cell for cell in cells.tolist() if isinstance(cell, str)}
    if not known or any(cell.lower() not in TRUTHS for cell in known):
        return cells
    return np.array([TRUTHS[cell.lower()] if isinstance(cell, str) else np.nan for cell in cells.tolist()])


def _stripped(cells: NDArray[np.object_], missing: Sequence[str]) -> NDArray[np.object_]:
    """The cells without spaces around them, NaN where what is left means no value."""
    gone = {*missing, ""}
    known: dict[Any, Any] = {}  # cell -> what becomes of it: equal ones share one object
    for cell in dict.fromkeys(cells.tolist()):
        bare = cell.strip() if isinstance(cell, str) else cell
        known[cell] = bare if isinstance(bare, str) and bare not in gone else np.nan
    kept = np.empty(len(cells), object)
    kept[:] = [known[cell] for cell in cells.tolist()]
    return kept


def _is_mixed(parts: Sequence[Part]) -> bool:
    """Whether blocks of a column were read as different things, so that the column is one of text."""
    return len({part.dtype for part in parts if part is not None}) > 1


def _joined(parts: list[Part], sizes: Sequence[int]) -> NDArray[Any]:
    """(n,) one column."""
    of_text = any(part is not None and part.dtype == object for part in parts)
    whole = np.empty(sum(sizes), object if of_text else np.float64)
    end = 0
    for number, size in enumerate(sizes):
        part, parts[number] = parts[number], None
        whole[end : end + size] = np.nan if part is None else part
        if part is not None and part.dtype == np.int8:
            whole[end : end + size][part < 0] = np.nan
        end += size
    return whole


def _texts(
    path: Path, layout: Layout, numbers: Sequence[int], missing: Sequence[str]
) -> dict[int, NDArray[np.object_]]:
    """Some columns as text, by their number."""
    blocks = _frames(path, layout, missing, LONGEST_BLOCK, dtype=str, usecols=list(numbers))
    parts: dict[int, list[NDArray[np.object_]]] = {number: [] for number in numbers}
    for block in blocks:
        for number in numbers:
            parts[number].append(_stripped(block[number].to_numpy(object), missing))
    return {number: np.concatenate(column) for number, column in parts.items()}
