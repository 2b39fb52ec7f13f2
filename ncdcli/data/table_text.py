"""Delimited text files: how one is laid out, and its cells."""

from __future__ import annotations

import csv
from codecs import BOM_UTF16_BE as UTF_16_BE
from codecs import BOM_UTF16_LE as UTF_16_LE
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ncdcli.errors import DataError, MissingError, Problem
from ncdcli.words import counted, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

SEPARATORS = {"tab": "\t", "semicolon": ";", "comma": ",", "space": " "}  # in the order of preference
SAMPLE_ROWS = 200
ENCODING = "utf-8-sig"  # UTF-8, with or without a byte-order mark
BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class Layout:
    """How a table is written."""

    separator: str  # a key of SEPARATORS
    skip: int  # lines before the first row: a header of `@` lines, as KEEL and ARFF files have
    header: bool
    columns: tuple[str, ...]  # names; "0", "1", … where there is no header


def detect_layout(
    path: Path, *, separator: str, header: bool | str, missing: Sequence[str], named: Iterable[str] = ()
) -> Layout:
    """The layout of a table, from its first rows.

    `separator` and `header` may be "auto". A separator must cut all of these rows into the same number of cells, two
    at least. A header is a first row with text over a column of numbers, or, where all columns are text, with
    words that never occur below it; or one that holds a column that the recipe calls by name (`named`).
    """
    skip, lines, complete = _first_lines(path)
    if not lines:
        raise DataError(f"`{path}` holds no row", hint="the table is empty")
    chosen = separator if separator != "auto" else _detect_separator(path, lines, complete)
    rows = [row for row in islice(split_lines(lines, chosen), SAMPLE_ROWS) if row]
    first = [cell.strip() for cell in rows[0]]
    has_header = header if isinstance(header, bool) else _looks_like_header(first, rows[1:], missing, named)
    columns = tuple(first) if has_header else tuple(str(number) for number in range(len(first)))
    _check_names(path, columns)
    return Layout(chosen, skip, has_header, columns)


def read_cells(path: Path, layout: Layout, *, missing: Sequence[str], text: Sequence[str]) -> pd.DataFrame:
    """All cells; columns of numbers as numbers, NaN where a value is missing, the columns in `text` as text.

    DataError with the line of a row that has too many or too few cells.
    """
    import pandas as pd

    positions: dict[Any, type[str]] = {layout.columns.index(name): str for name in text}
    try:
        frame = pd.read_csv(
            path, header=None, skiprows=layout.skip + layout.header, skipinitialspace=True, encoding=ENCODING,
            keep_default_na=False, na_values=list(missing), dtype=positions, low_memory=False,
            sep=r"\s+" if layout.separator == "space" else SEPARATORS[layout.separator],
        )  # fmt: skip
    except pd.errors.EmptyDataError as error:
        raise DataError(f"`{path}` holds a header and no row", hint="add rows") from error
    except pd.errors.ParserError as error:
        raise _ragged(path, layout) or DataError(f"`{path}` cannot be read: {error}") from error
    except UnicodeDecodeError as error:
        raise not_utf8(path, error) from error
    # A row that is too short looks like one whose last cells are missing.
    suspicious = frame.shape[1] != len(layout.columns) or bool(frame.iloc[:, -1].isna().any())
    if suspicious and (fault := _ragged(path, layout)):
        raise fault
    frame.columns = pd.Index(layout.columns)
    return frame


def find_column(column: str | int, columns: Sequence[str], *, place: str) -> str:
    """The name of a column given by name or by number, -1 being the last; DataError with suggestions."""
    if isinstance(column, int):
        if -len(columns) <= column < len(columns):
            return columns[column]
        hint = f"columns are numbered from 0 to {len(columns) - 1}, or from the end by -1"
    elif column in columns:
        return column
    else:
        shown = ", ".join(f"`{name}`" for name in columns[:12]) + (", …" if len(columns) > 12 else "")
        hint = did_you_mean(column, columns, f"columns: {shown}")
    problem = Problem(f"the table has no column `{column}`", place=place, hint=hint)
    raise DataError("the table does not fit the recipe", [problem])


def split_lines(lines: Iterable[str], separator: str) -> Iterator[list[str]]:
    """The cells of each row; a quoted cell may hold separators and line ends."""
    if separator == "space":
        return (line.split() for line in lines)
    return csv.reader(lines, delimiter=SEPARATORS[separator], skipinitialspace=True)


def is_number(cell: str) -> bool:
    """Whether a cell reads as a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell  # Python reads 1_000


def not_utf8(path: Path, error: UnicodeDecodeError) -> DataError:
    """The error for a file in another encoding."""
    with open(path, "rb") as file:
        wide = file.read(2) in (UTF_16_LE, UTF_16_BE)
    name, condition = ("utf-16", "") if wide else ("latin1", ", if it is Latin-1")
    hint = f"`iconv -f {name} -t utf-8 {path.name} > utf8-{path.name}`{condition}"
    return DataError(f"`{path}` is not text in UTF-8 (byte {error.start})", hint=hint)


def _refuse_nul(path: Path) -> None:
    """Nothing, or DataError: no text holds the character U+0000, and no recipe could name a class that does."""
    before = 0
    with open(path, "rb") as file:
        while block := file.read(BLOCK_BYTES):
            at = block.find(b"\0")
            if at >= 0:
                hint = "it is damaged, or no text; a table in UTF-16 is turned into UTF-8 by `iconv -f utf-16 -t utf-8`"
                raise DataError(f"`{path}` holds the character U+0000 (byte {before + at})", hint=hint)
            before += len(block)


def _first_lines(path: Path) -> tuple[int, list[str], bool]:
    """Number of `@` lines at the start, the lines after them without blank ones, and whether these are all."""
    if not path.is_file():
        raise MissingError(f"the table `{path}` is not there", hint="check the path in the recipe's `data` section")
    try:
        with open(path, encoding=ENCODING, newline="") as file:
            lines = [line for line in islice(file, SAMPLE_ROWS * 2) if line.strip()]
            complete = next(file, None) is None
    except UnicodeDecodeError as error:
        raise not_utf8(path, error) from error
    _refuse_nul(path)
    skip = next((number for number, line in enumerate(lines) if not line.startswith("@")), len(lines))
    return skip, lines[skip:], complete


def _detect_separator(path: Path, lines: Sequence[str], complete: bool) -> str:
    for name in SEPARATORS:
        rows = [row for row in split_lines(lines, name) if row]
        # The last row of a sample may be cut off inside a quoted cell.
        widths = {len(row) for row in (rows if complete else rows[:-1])}
        if len(widths) == 1 and widths.pop() > 1:
            return name
    raise _ragged(path, Layout(_likely(lines), 0, False, ())) or DataError(
        f"`{path}` has one column, or is not a table: neither comma, tab, semicolon nor space cuts its rows",
        hint="set `separator`, and check that all rows have the same number of cells",
    )


def _likely(lines: Sequence[str]) -> str:
    """The separator that occurs most often in the first line."""
    counts = {name: len(next(split_lines(lines[:1], name), [])) for name in SEPARATORS}
    return max(counts, key=lambda name: counts[name])


def _looks_like_header(
    first: Sequence[str], body: Sequence[Sequence[str]], missing: Sequence[str], named: Iterable[str]
) -> bool:
    if any(name in first for name in named):
        return True
    columns = [[row[number].strip() for row in body if len(row) > number] for number in range(len(first))]
    values = [[cell for cell in column if cell not in missing] for column in columns]
    numeric = [bool(column) and all(map(is_number, column)) for column in values]
    if any(numeric):
        return any(
            is_column and not is_number(cell) and cell not in missing
            for is_column, cell in zip(numeric, first, strict=True)
        )
    if not body or len(set(first)) < len(first) or "" in first or any(map(is_number, first)):
        return False
    return not any(cell in column for cell, column in zip(first, columns, strict=True))


def _check_names(path: Path, columns: Sequence[str]) -> None:
    repeated = sorted({name for name in columns if columns.count(name) > 1})
    if repeated:
        names = ", ".join(f"`{name}`" for name in repeated)
        raise DataError(f"`{path}` has columns of the same name: {names}", hint="rename them, or set `header: false`")


def _ragged(path: Path, layout: Layout) -> DataError | None:
    """The error that names the first rows with too many or too few cells, or None."""
    problems = []
    width = len(layout.columns)
    with open(path, encoding=ENCODING, newline="") as file:
        reader = csv.reader(file, delimiter=SEPARATORS[layout.separator], skipinitialspace=True)
        rows: Iterable[tuple[int, list[str]]]
        if layout.separator == "space":
            rows = ((number, line.split()) for number, line in enumerate(file, 1))
        else:
            rows = ((reader.line_num, row) for row in reader)
        for line, row in islice(rows, layout.skip, None):
            width = width or len(row)
            if row and len(row) != width:
                problems.append(
                    Problem(f"{counted(len(row), 'cell')}; the first row has {width}", place=f"{path}:{line}")
                )
            if len(problems) == 5:
                break
    if not problems:
        return None
    hint = f"the separator read is `{layout.separator}`; quote cells that hold it, or set `separator`"
    return DataError("rows of the table have different numbers of cells", problems, hint=hint)
