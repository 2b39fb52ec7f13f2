"""What a recipe is told about the columns of a table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ncdcli.data.table_advice import advise
from ncdcli.data.table_columns import CellRules
from ncdcli.data.table_numbers import Style
from ncdcli.errors import DataError

NUMBERS = np.arange(120) % 7 / 2


PLAIN = CellRules()


def advice(rules=PLAIN, **columns):
    return advise(pd.DataFrame(columns), list(columns), rules)


def test_names_counters_and_copies_are_no_features():
    found = advice(
        row=np.arange(120.0), x=NUMBERS, who=[f"person {n}" for n in range(120)], same=NUMBERS, c=["u", "v"] * 60,
        one=[1.0] * 120, two=[1.0] * 120, number=np.arange(1.0, 121),
    )  # fmt: skip
    assert found.identifiers == ("who",)
    assert found.counters == ("row", "number")
    assert found.repeated == {"same": "x"}
    assert found.drop == ("who", "row", "number", "same")
    assert found.fields == {}


def test_columns_that_are_named_stay():
    found = advice(CellRules(categorical=("who",)), x=NUMBERS, who=[f"person {n}" for n in range(120)])
    assert found.drop == ()


def test_dates_are_no_identifiers():
    days = [f"{year}-{month:02d}-03" for year in range(2000, 2010) for month in range(1, 13)]
    found = advice(when=days, x=NUMBERS)
    assert (found.fields, found.drop) == ({"dates": {"when": "iso"}}, ())


def test_the_style_of_numbers_is_that_of_all_columns():
    found = advice(a=["1,234", "2,345"], b=["0,5", "0,25"])
    assert found.style == Style("comma")
    assert found.fields == {"decimal": "comma"}
    with pytest.raises(DataError, match="more than a thousand") as raised:
        advice(a=["1,234", "2,345"], b=["u", "v"])
    assert "`--decimal comma` or `--thousands comma`" in raised.value.hint
