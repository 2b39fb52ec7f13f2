from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ncdcli.recipe.scalars import read_scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-5), ("5E+3", 5000.0), ("1.", 1.0), (".5", 0.5), ("-0.25", -0.25),
        ("0", 0), ("-17", -17), ("+3", 3), ("0o17", 15), ("0x1F", 31),
        ("true", True), ("FALSE", False), ("null", None), ("~", None), ("", None),
    ],
)  # fmt: skip
def test_reads_the_core_schema_of_yaml_1_2(text: str, value: object) -> None:
    assert read_scalar(text) == value
    assert type(read_scalar(text)) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "yes",
        "on",
        "off",
        "y",
        "N",
        "1_000",
        "12:30",
        "2024-01-01",
        "017",
        "007",
        "00.5",
        "0b11",
        "1e",
        "e5",
        "tRue",
    ],
)
def test_leaves_the_rest_text(text: str) -> None:
    assert read_scalar(text) == text


def test_reads_infinity_and_not_a_number() -> None:
    assert read_scalar(".inf") == math.inf
    assert read_scalar("-.Inf") == -math.inf
    assert math.isnan(read_scalar(".NaN"))


@given(st.integers())
def test_reads_every_integer_as_python_writes_it(number: int) -> None:
    assert read_scalar(str(number)) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_reads_every_float_as_python_writes_it(number: float) -> None:
    assert read_scalar(repr(number)) == number
