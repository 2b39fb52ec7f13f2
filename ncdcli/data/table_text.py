"""Delimited text files: how one is laid out, and where its rows stand."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from ncdcli.data.table_open import check_text, open_text
from ncdcli.errors import DataError, Problem
from ncdcli.words import counted, did_you_mean

# In the order of preference.
SEPARATORS = {"tab": "\t", "semicolon": ";", "comma": ",", "pipe": "|", "space": " "}
SAMPLE_ROWS = 200
SHOWN = 5  # rows in an error


@dataclass(frozen=True)
class Layout:
    """How a table is written."""

    separator: str  # a key of SEPARATORS
    skip: int  # lines of the file before the first row of values: blank ones, `@` lines of KEEL and ARFF, a header
    header: bool
    columns: tuple[str, ...]  # names; "0", "1", … where there is no header


def detect_layout(
    path: Path, *, separator: str, header: bool | str, missing: Sequence[str], named: Iterable[str] = ()
) -> Layout:
    """The layout of a table, from its first rows. The whole file is read once, to see that it is text.

    `separator` and `header` may be "auto". A separator must cut all of these rows into the same number of cells, two
    at least. A header is a first row with text over a column of numbers, or, where all columns are text, with
    words that never occur below it; or one that holds a column that the recipe calls by name (`named`).
    """
    check_text(path)
    before, lines, complete = _first_lines(path)
    if not lines:
        raise DataError(f"`{path}` holds no row", hint="the table is empty")
    chosen = separator if separator != "auto" else _detect_separator(path, lines, complete)
    rows = [row for row, _ in islice(split_lines(path, lines, chosen), SAMPLE_ROWS) if not is_blank(row)]
    first = [cell.strip() for cell in rows[0]]
    if separator != "auto" and len(first) == 1:
        _check_separator(path, lines, complete, separator)
    has_header = header if isinstance(header, bool) else _looks_like_header(first, rows[1:], missing, named)
    columns = tuple(first) if has_header else tuple(str(number) for number in range(len(first)))
    _check_names(path, columns)
    skip = before + (next(split_lines(path, lines, chosen))[1] if has_header else 0)
    return Layout(chosen, skip, has_header, columns)


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


def split_lines(path: Path, lines: Iterable[str], separator: str) -> Iterator[tuple[list[str], int]]:
    """The cells of each row, and the number of its last line; a quoted cell may hold separators and line ends.

    DataError where a quote is never closed: such a cell goes on until it is longer than any reader takes.
    """
    if separator == "space":
        yield from ((line.split(), number) for number, line in enumerate(lines, 1))
        return
    reader = csv.reader(lines, delimiter=SEPARATORS[separator], skipinitialspace=True)
    last = 0
    try:
        for row in reader:
            yield row, reader.line_num
            last = reader.line_num
    except csv.Error as error:
        raise unclosed_quote(path, last + 1, str(error)) from error


def unclosed_quote(path: Path, line: int, why: str) -> DataError:
    """The error for a row that never ends."""
    problem = Problem(f"a quote is opened in this row and not closed ({why})", place=f"{path}:{line}")
    hint = 'close it; a quote that is part of a value is doubled, and its cell quoted: `"5"" disk"`'
    return DataError("a row of the table cannot be read", [problem], hint=hint)


def row_lines(path: Path, layout: Layout, rows: Iterable[int]) -> dict[int, int]:
    """Row -> the number of its first line in the file, both for rows of values from 0. Reads up to the last of them."""
    wanted = set(rows)
    found: dict[int, int] = {}
    with open_text(path) as file:
        start, number = layout.skip + 1, 0
        for row, last in split_lines(path, islice(file, layout.skip, None), layout.separator):
            if not is_blank(row):
                if number in wanted:
                    found[number] = start
                number += 1
            start = layout.skip + last + 1
            if len(found) == len(wanted):
                break
    return found


def is_blank(row: Sequence[str]) -> bool:
    """Whether a row is an empty line, or one of spaces: readers pass over it."""
    return not row or (len(row) == 1 and not row[0].strip())


def is_number(cell: str) -> bool:
    """Whether a cell reads as a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell  # Python reads 1_000


def uneven_rows(path: Path, layout: Layout) -> DataError | None:
    """The error that names the first rows with too many or too few cells, or None."""
    problems = []
    width, comment, start = len(layout.columns), False, 1
    with open_text(path) as file:
        for row, line in split_lines(path, islice(file, layout.skip, None), layout.separator):
            width, comment = width or len(row), comment or (not width and row[:1] != [] and row[0].startswith("#"))
            if len(row) != width and not is_blank(row):
                message = f"{counted(len(row), 'cell')}; the first row has {width}"
                if any("\n" in cell for cell in row):
                    message += "; a quote is opened in it and perhaps not closed"
                problems.append(Problem(message, place=f"{path}:{layout.skip + start}"))
            if len(problems) == SHOWN:
                break
            start = line + 1
    if not problems:
        return None
    hint = f"the separator read is `{layout.separator}`; quote cells that hold it, or set `separator`"
    if comment:
        hint = "remove the comment at the start: the first line holds the names of the columns, or values"
    return DataError("rows of the table have different numbers of cells", problems, hint=hint)


def _first_lines(path: Path) -> tuple[int, list[str], bool]:
    """Number of blank and `@` lines at the start, the lines after them, and whether these are all."""
    lines: list[str] = []
    before = 0
    with open_text(path) as file:
        for line in file:
            if not lines and (not line.strip() or line.startswith("@")):
                before += 1
                continue
            lines.append(line)
            if len(lines) == SAMPLE_ROWS * 2:
                break
        complete = next(file, None) is None
    return before, lines, complete


def _detect_separator(path: Path, lines: Sequence[str], complete: bool) -> str:
    if found := _fitting_separator(path, lines, complete):
        return found
    raise uneven_rows(path, Layout(_likely(path, lines), 0, False, ())) or DataError(
        f"`{path}` has one column, or is not a table: neither tab, semicolon, comma, pipe nor space cuts its rows",
        hint="set `separator`, and check that all rows have the same number of cells",
    )


def _fitting_separator(path: Path, lines: Sequence[str], complete: bool) -> str | None:
    for name in SEPARATORS:
        rows = [row for row, _ in split_lines(path, lines, name) if not is_blank(row)]
        # The last row of a sample may be cut off inside a quoted cell.
        widths = {len(row) for row in (rows if complete else rows[:-1])}
        if len(widths) == 1 and widths.pop() > 1:
            return name
    return None


def _check_separator(path: Path, lines: Sequence[str], complete: bool, separator: str) -> None:
    """DataError where the recipe's separator cuts nothing and another one would."""
    if (better := _fitting_separator(path, lines, complete)) is not None:
        problem = Problem(
            f"`{separator}` does not cut the rows of `{path}`; `{better}` does",
            place="data.source.separator",
            hint=f"set `separator: {better}`, or leave it out",
        )
        raise DataError("the table does not fit the recipe", [problem])


def _likely(path: Path, lines: Sequence[str]) -> str:
    """The separator that occurs most often in the first line."""
    counts = {name: len(next(split_lines(path, lines[:1], name), ([], 0))[0]) for name in SEPARATORS}
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
