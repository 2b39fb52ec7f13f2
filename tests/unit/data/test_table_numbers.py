"""Numbers with decimal commas and marks between thousands."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ncdcli.data.table_numbers import PLAIN, STYLES, Style, common_style, fitting_styles, styled_number, styled_numbers

MARKS = {"none": "", "comma": ",", "point": ".", "space": " ", "apostrophe": "'"}
POINTS = {"point": ".", "comma": ","}


@given(st.integers(-(10**9), 10**9), st.integers(0, 999), st.sampled_from([PLAIN, *STYLES]))
def test_every_number_comes_back_from_its_style(whole, fraction, style):
    text = f"{whole:,}".replace(",", MARKS[style.thousands]) + POINTS[style.decimal] + f"{fraction:03d}"
    expected = float(f"{whole}.{fraction:03d}")
    assert styled_number(text, style) == expected


@pytest.mark.parametrize(
    ("cell", "style"),
    [("1,2", Style("point", "comma")), ("1,2345", Style("point", "comma")), ("1.234.5", Style("comma", "point")),
     ("1.5", Style("comma")), ("1 23", Style("point", "space")), ("", PLAIN), ("1_000", PLAIN), ("nan", PLAIN)],
)  # fmt: skip
def test_marks_in_other_places_make_no_number(cell, style):
    assert styled_number(cell, style) is None


def test_missing_cells_and_texts_are_nan():
    values = styled_numbers(["1,5", np.nan, "x", "1,5"], Style("comma"))
    np.testing.assert_array_equal(values, [1.5, np.nan, np.nan, 1.5])


@pytest.mark.parametrize(
    ("columns", "styles"),
    [
        ([["1,5", "2"]], [Style("comma")]),
        ([["1,234", "2,345"]], [Style("comma"), Style("point", "comma")]),  # either
        ([["1,234", "2,345"], ["0,5"]], [Style("comma")]),  # another column tells
        ([["1,234", "2,345"], ["1,234.5"]], [Style("point", "comma")]),
        ([["1.234,5", "3"]], [Style("comma", "point")]),
        ([["1'000", "2"]], [Style("point", "apostrophe")]),
        ([["1 000", "5,5"]], [Style("comma", "space")]),
        ([["1\u00a0000"]], [Style("point", "space")]),
        ([["red", "blue"]], []),
        ([], []),
    ],
)
def test_one_style_is_found_for_all_columns(columns, styles):
    found = [fitting_styles(cells) for cells in columns]
    assert common_style([one for one in found if one]) == styles


def test_slips_do_not_hide_a_style():
    assert Style("comma") in fitting_styles([*["1,5"] * 19, "n.a."])
    assert fitting_styles([*["1,5"] * 5, *["n.a."] * 5]) == []
