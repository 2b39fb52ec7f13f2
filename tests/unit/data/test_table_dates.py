"""Dates found in text, read as days, and taken apart into what repeats."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ncdcli.data.table_dates import Found, date_part, days_of, find_date_formats, iso_texts, parts_worth
from ncdcli.data.table_formats import format_fault


@pytest.mark.parametrize(
    ("cells", "formats"),
    [
        (["2024-01-31", "2024-02-01"], ("iso",)),
        (["2024-01-31T10:00:00Z", "2024-01-31 11:00", "2024-01-31T10:00+02:00"], ("iso",)),
        (["2024-03", "2024-04"], ("iso",)),
        (["2024.01.31", "2024/02/01"], ("iso",)),
        (["31/12/2024", "01/02/2024"], ("%d/%m/%Y",)),
        (["12/31/2024", "01/02/2024"], ("%m/%d/%Y",)),
        (["31.12.2024", "1.2.2024"], ("%d.%m.%Y",)),
        (["31.12.2024 10:11"], ("%d.%m.%Y %H:%M",)),
        (["1/2/2024 3:04 PM", "1/13/2024 3:04 AM"], ("%m/%d/%Y %I:%M %p",)),
        (["3 May 2024", "4 Jun 2024"], ("%d %b %Y",)),
        (["May 3, 2024", "March 4, 2024"], ("%B %d, %Y",)),
        (["31/12/99"], ("%d/%m/%y",)),
        (["01/02/2024", "03/04/2024"], ("%d/%m/%Y", "%m/%d/%Y")),  # either way
        (["05/05/2024"], ("%d/%m/%Y", "%m/%d/%Y")),  # the same day, but the next file may hold others
        (["24-01-31"], ("%y-%m-%d", "%d-%m-%y")),
        (["31.1.2024", "2024-01-31"] * 20, ()),  # each is a date, and no format reads both
    ],
)
def test_formats_are_found_and_doubtful_ones_told(cells, formats):
    assert find_date_formats(cells) == Found(formats)


@pytest.mark.parametrize(
    "cells",
    [["red", "blue"], ["1.2.3", "4.5.6"], ["192.168.1.1"], ["10:30", "11:20"], ["A1-B2", "A2-B4"], ["row 1-2"], [],
     ["+49 30 1234-56"], ["2-4 years", "5-7 years"]],
)  # fmt: skip
def test_other_texts_are_no_dates(cells):
    assert find_date_formats(cells) is None


def test_a_few_slips_are_counted_and_many_make_a_text_of_it():
    days = [f"2024-01-{day:02d}" for day in range(1, 29)]
    assert find_date_formats([*days, "2024-02-31", "soon"]) == Found(("iso",), 2)
    assert find_date_formats([*days, *["soon"] * 10]) is None


@given(st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)))
def test_days_are_those_of_the_calendar(moment):
    moment = moment.replace(microsecond=0)
    expected = (moment - datetime(1970, 1, 1)) / timedelta(days=1)
    assert days_of([moment.isoformat(), None, "no date"], "iso")[0] == pytest.approx(expected, abs=1e-9)
    assert np.isnan(days_of([None, "no date"], "iso")).all()


def test_offsets_are_brought_to_utc():
    assert days_of(["1970-01-02T01:00+02:00"], "iso")[0] == pytest.approx(23 / 24)


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)))
def test_parts_stand_where_the_calendar_says(day):
    days = np.array([float((day - date(1970, 1, 1)).days), np.nan])
    length = (date(day.year + 1, 1, 1) - date(day.year, 1, 1)).days
    year, week = (day - date(day.year, 1, 1)).days / length, day.weekday() / 7
    for part, turn in (("year", year), ("week", week), ("day", 0.0)):
        assert date_part(days, f"{part}_sine")[0] == pytest.approx(math.sin(2 * math.pi * turn), abs=1e-9)
        assert date_part(days, f"{part}_cosine")[0] == pytest.approx(math.cos(2 * math.pi * turn), abs=1e-9)
        assert np.isnan(date_part(days, f"{part}_sine")[1])


@pytest.mark.parametrize(
    ("days", "cycles"),
    [([0, 3], set()), ([0, 10], {"week"}), ([0, 400], {"year", "week"}), ([0, 0.5, 3], {"day"}), ([0, 0.5], set())],
)
def test_a_cycle_counts_once_the_dates_go_round_it(days, cycles):
    parts = parts_worth(np.array([*days, np.nan]))
    assert parts[0] == "days"
    assert {part.split("_")[0] for part in parts[1:]} == cycles


def test_dates_are_written_as_iso():
    assert iso_texts(np.array([0, np.nan, 19782])) == ["1970-01-01", None, "2024-02-29"]
    assert iso_texts(np.array([0.5, np.nan]))[0].startswith("1970-01-01T12:00:00")


@pytest.mark.parametrize(
    ("form", "fault"),
    [("iso", ""), ("%d/%m/%Y", ""), ("%Y-%m-%d %H:%M:%S", ""), ("dd/mm/yyyy", "has no year"), ("%d/%m", "no year"),
     ("%Y-%Q", "`%Q` is no part of a date"), ("", "has no year")],
)  # fmt: skip
def test_formats_that_cannot_be_are_told(form, fault):
    assert fault in format_fault(form)
    assert bool(fault) == bool(format_fault(form))
