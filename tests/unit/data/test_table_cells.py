"""Cells read block by block are those of the whole file, whatever the blocks; rows are found by their lines."""

from __future__ import annotations

import csv
import io
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ncdcli.data import table_cells
from ncdcli.data.table_cells import read_cells, read_texts
from ncdcli.data.table_text import Layout, detect_layout, row_lines
from ncdcli.errors import DataError

MISSING = ("", "NA")
CELL = st.sampled_from(["1", "-2.5", "1e3", "007", "true", "False", "NA", "", " NA ", "red", " red ", "a,b", 'a"b',
                        "x\ny", "123456789012345678901234567890", "18446744073709551615", "-1"])  # fmt: skip


def read(path, text, **options) -> pd.DataFrame:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    layout = detect_layout(path, separator="auto", header=True, missing=MISSING)
    return read_cells(path, layout, missing=MISSING, **options)


def column_of(cells: list[str]) -> list[object]:
    """What a column must hold: numbers where all cells are, or all are true or false; else text."""
    present = [cell.strip() for cell in cells if cell.strip() not in MISSING]
    truths = {"true": 1.0, "false": 0.0}
    if all(cell.lower() in truths for cell in present):
        return [truths.get(cell.strip().lower()) for cell in cells]
    if all(is_plain(cell) for cell in present) and not any(cell.strip() != cell for cell in cells):
        return [None if cell in MISSING else float(cell) for cell in cells]
    return [None if cell.strip() in MISSING else cell.strip() for cell in cells]


def is_plain(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def as_plain(column: pd.Series) -> list[object]:
    """The column with None for missing ones; text that is all numbers as numbers: features are read so."""
    cells = [None if cell != cell else cell for cell in column.to_numpy(object).tolist()]
    present = [cell for cell in cells if cell is not None]
    if all(is_plain(cell) for cell in present):
        return [None if cell is None else float(cell) for cell in cells]
    return cells


@settings(deadline=None, max_examples=60)
@given(rows=st.lists(st.tuples(CELL, CELL), min_size=1, max_size=9), block=st.sampled_from([2, 4, 6, 1000]))
def test_cells_are_those_of_a_slow_reader_in_blocks_of_any_size(rows, block, tmp_path_factory):
    path = tmp_path_factory.mktemp("cells") / "t.csv"
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_MINIMAL).writerows([["p", "q"], *rows])
    path.write_text(text.getvalue(), newline="")
    before, table_cells.BLOCK_CELLS = table_cells.BLOCK_CELLS, block
    try:
        frame = read_cells(path, Layout("comma", 1, True, ("p", "q")), missing=MISSING)
    finally:
        table_cells.BLOCK_CELLS = before
    for number, name in enumerate(("p", "q")):
        expected = column_of([row[number] for row in rows])
        if all(cell is None or is_plain(str(cell)) for cell in expected):
            expected = [None if cell is None else float(cell) for cell in expected]
        assert as_plain(frame[name]) == expected


def test_true_and_false_are_numbers_also_where_some_are_missing(tmp_path):
    frame = read(tmp_path / "t.csv", "a,b,c\ntrue,TRUE,1\nfalse,,2\nTrue,False,3\n")
    np.testing.assert_array_equal(frame["a"], [1, 0, 1])
    np.testing.assert_array_equal(frame["b"], [1, np.nan, 0])


def test_a_column_of_numbers_with_one_text_keeps_all_cells_as_they_stand(tmp_path, monkeypatch):
    monkeypatch.setattr(table_cells, "BLOCK_CELLS", 4)
    frame = read(tmp_path / "t.csv", "a,b\n007,1\n1.50,2\n3,3\n4,4\nL,5\n")
    assert frame["a"].tolist() == ["007", "1.50", "3", "4", "L"]
    assert frame["b"].dtype == np.float64


def test_texts_of_one_column(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\n007,1\n NA,2\n 8 ,3\n")
    layout = Layout("comma", 1, True, ("a", "b"))
    assert [cell for cell in read_texts(path, layout, "a", MISSING).tolist() if cell == cell] == ["007", "8"]


@pytest.mark.parametrize("decimal", ["comma", "point"])
def test_a_decimal_comma_is_read_where_it_is_said(tmp_path, decimal):
    frame = read(tmp_path / "t.csv", "a;b\n1,5;2\n2,25;3\n", decimal=decimal)
    assert frame["a"].tolist() == ([1.5, 2.25] if decimal == "comma" else ["1,5", "2,25"])


def test_lines_of_rows_with_line_ends_in_quotes_and_blank_lines(tmp_path):
    text = '\n\n"a\nname",b\n1,2\n\n"x\ny",4\n   \n,\r\n5,"z"\r6,7\n'
    frame = read(tmp_path / "t.csv", text)
    assert frame.columns.tolist() == ["a\nname", "b"]
    layout = detect_layout(tmp_path / "t.csv", separator="auto", header=True, missing=MISSING)
    assert row_lines(tmp_path / "t.csv", layout, [0, 1, 2, 3, 4]) == {0: 5, 1: 7, 2: 10, 3: 11, 4: 12}
    assert len(frame) == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('a,b\n1,2\n3,"4\n5,6\n', r"t\.csv:3: a quote is opened in this row and not closed"),
        ("a,b,c\n1,2,3\n4,5\n6,7,\n", r"t\.csv:3: 2 cells; the first row has 3"),
        ('a,b\n"1,0",2\n4\n6,\n', r"t\.csv:3: 1 cell; the first row has 2"),  # separators within quotes
        ("a,b\n1,2\n4\n6,7,8\n", r"t\.csv:3: 1 cell"),
    ],
)
def test_rows_that_do_not_fit_are_named(tmp_path, text, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_cells(tmp_path / "t.csv", Layout("comma", 1, True, tuple("abc"[: text.split("\n")[0].count(",") + 1])),
                   missing=MISSING)  # fmt: skip


def test_empty_last_cells_are_no_short_rows(tmp_path):
    assert read(tmp_path / "t.csv", "a,b\n1,\n2,\n3,x\n")["b"].isna().tolist() == [True, True, False]


def test_no_more_than_the_columns_and_a_block_is_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(table_cells, "BLOCK_CELLS", 20_000)
    rows, columns = 10_000, 20
    values = np.random.default_rng(0).integers(0, 1000, (rows, columns))
    path = tmp_path / "t.csv"
    np.savetxt(path, values, fmt="%d", delimiter=",")
    layout = detect_layout(path, separator="comma", header=False, missing=MISSING)
    read_cells(path, layout, missing=MISSING)  # imports
    tracemalloc.start()
    frame = read_cells(path, layout, missing=MISSING)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(frame.to_numpy(), values)
    assert peak < 8 * rows * columns + 3 * 8 * 20_000 + 1_000_000  # the columns, a block read, parsed and converted
