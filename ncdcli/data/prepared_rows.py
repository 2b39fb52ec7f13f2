"""The rows of a table that a card's `download` makes of what was downloaded, and what is checked of them."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import chain, count, islice
from math import isfinite, prod
from pathlib import Path
from typing import IO

from ncdcli.data.archives import Downloads
from ncdcli.data.digests import digest_lines
from ncdcli.data.download_kinds import PreparedTable, Rows
from ncdcli.data.kinds import Table
from ncdcli.data.table_open import ENCODING, open_text
from ncdcli.errors import MissingError

SEPARATORS = {"comma": ",", "tab": "\t", "semicolon": ";", "pipe": "|"}
IDX = b"\0\0\x08"  # how idx files of bytes start; then: number of dimensions, and each as four bytes
Row = list[str]


@dataclass
class Found:
    """What the rows were."""

    rows: int = 0
    columns: set[int] = field(default_factory=set)
    classes: Counter[str] = field(default_factory=Counter)
    lines: list[str] = field(default_factory=list)  # in the form that is digested, where that is wanted


def has_header(source: Table) -> bool:
    """Whether the first row of a downloaded file names the columns."""
    return source.header is True or isinstance(source.label, str)


def prepared_rows(table: PreparedTable, source: Table, downloads: Downloads) -> Iterator[Row]:
    """The rows of the table, its header first. MissingError where a member is absent or does not fit the others."""
    with ExitStack() as stack:
        parts = [_read(name, table, downloads, stack) for name in table.members]
        header: Row | None = None
        if has_header(source):
            header, *_ = [next(part, []) for part in parts]
        rows: Iterator[Row] = chain.from_iterable(parts)
        if table.beside:
            beside = [_read(name, table, downloads, stack) for name in table.beside]
            if header is not None:
                header += [cell for part in beside for cell in next(part, [])]
            rows = _side_by_side([rows, *beside], table)
        if table.class_every is not None:
            header = header and [*header, "class"]
            rows = _with_counted_class(rows, table.class_every)
        if table.first_column_last:
            header = header and [*header[1:], header[0]]
            rows = ([*row[1:], row[0]] for row in rows)
        if table.rows is not None:
            rows = islice(rows, *table.rows)
        if table.rows_of_each_class is not None:
            rows = _of_each_class(rows, label_column(source, header), table.rows_of_each_class)
        if header is not None:
            yield header
        yield from rows


def label_column(source: Table, header: Row | None) -> int:
    """The number of the column that holds the classes. MissingError where the header does not name it."""
    if isinstance(source.label, int):
        return source.label
    if header is None or source.label not in header:
        raise MissingError(f"no column is called `{source.label}` in what was downloaded")
    return header.index(source.label)


def write_rows(rows: Iterable[Row], file: IO[str], source: Table) -> None:
    """Write rows with the separator that the source reads: blanks, or what is quoted where it has to be."""
    if source.separator == "space":
        file.writelines(f"{' '.join(row)}\n" for row in rows)
    else:
        csv.writer(file, delimiter=SEPARATORS.get(source.separator, ","), lineterminator="\n").writerows(rows)


def watch(rows: Iterable[Row], found: Found, source: Table, *, digest: bool) -> Iterator[Row]:
    """The same rows; `found` says afterwards what they were."""
    rows = iter(rows)
    header = next(rows, None) if has_header(source) else None
    if header is not None:
        found.columns.add(len(header))
        yield header
    label = label_column(source, header)
    for row in rows:
        found.rows += 1
        found.columns.add(len(row))
        if -len(row) <= label < len(row):
            found.classes[canonical(row[label])] += 1
        if digest:
            found.lines.append(",".join(map(canonical, row)))
        yield row


def canonical(cell: str) -> str:
    """A cell without blanks around it; a number in one way of writing it."""
    try:
        value = float(cell)
    except ValueError:
        return cell.strip()
    if not isfinite(value):
        return cell.strip()
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


def rows_digest(found: Found) -> str:
    """SHA-256 of the rows, sorted, a line each: the same in whatever order and form they are written."""
    return digest_lines(sorted(found.lines))


def rows_of_file(path: Path, source: Table) -> Found:
    """What the rows of a table that is here are, with the lines to digest."""
    found = Found()
    with open_text(path) as file:
        for _ in watch(_lines_as_rows(file, source.separator), found, source, digest=True):
            pass
    return found


def _read(name: str, table: PreparedTable, downloads: Downloads, stack: ExitStack) -> Iterator[Row]:
    """The rows of a member."""
    content = stack.enter_context(downloads.open(downloads.find(name)))
    start = content.read(len(IDX))
    if start == IDX:
        return _idx_rows(content, name)
    text = io.TextIOWrapper(io.BufferedReader(_Continued(start, content)), encoding=ENCODING, newline="")
    return _lines_as_rows(text, table.separator)


class _Continued(io.RawIOBase):
    """The rest of a file, after its start, which has been read already."""

    def __init__(self, start: bytes, rest: IO[bytes]) -> None:
        self._start, self._rest = start, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        block, self._start = self._start or self._rest.read(len(buffer)), b""
        buffer[: len(block)] = block
        return len(block)


def _lines_as_rows(file: Iterable[str], separator: str) -> Iterator[Row]:
    """Lines as cells without blanks around them."""
    lines = iter(file)
    first = next((line for line in lines if line.strip() and not line.startswith("@")), None)
    if first is None:
        return iter(())
    if separator == "auto":
        separator = "comma" if "," in first else "space"
    lines = chain([first], lines)
    if separator == "space":
        return (line.split() for line in lines if line.strip())
    rows = csv.reader(lines, delimiter=SEPARATORS[separator], skipinitialspace=True)
    return ([cell.strip() for cell in row] for row in rows if row and (len(row) > 1 or row[0].strip()))


def _idx_rows(content: IO[bytes], name: str) -> Iterator[Row]:
    """The entries of an idx file of bytes, each as one row of numbers."""
    dimensions = [int.from_bytes(content.read(4), "big") for _ in range(ord(content.read(1) or b"\1"))]
    texts = [str(value) for value in range(256)]
    width = prod(dimensions[1:])
    for row in range(dimensions[0]):
        values = content.read(width)
        if len(values) < width:
            raise MissingError(f"`{name}` is cut off: {row} rows of {dimensions[0]}")
        yield [texts[value] for value in values]


def _side_by_side(parts: list[Iterator[Row]], table: PreparedTable) -> Iterator[Row]:
    for number in count():
        rows = [next(part, None) for part in parts]
        if None in rows:
            if any(row is not None for row in rows):
                names = ", ".join(f"`{name}`" for name in (*table.members, *table.beside))
                raise MissingError(f"{names} do not have as many rows: one ends after {number}")
            return
        yield [cell for row in rows if row is not None for cell in row]


def _with_counted_class(rows: Iterable[Row], every: int) -> Iterator[Row]:
    for number, row in enumerate(rows):
        yield [*row, str(number // every)]


def _of_each_class(rows: Iterable[Row], label: int, wanted: Rows) -> Iterator[Row]:
    first, last = wanted
    seen: Counter[str] = Counter()
    for row in rows:
        name = row[label] if -len(row) <= label < len(row) else ""
        if first <= seen[name] < last:
            yield row
        seen[name] += 1
