"""YAML 1.2 scalars: what a word without quotes means."""

from __future__ import annotations

import re
from typing import Any

# The core schema of YAML 1.2.2, section 10.3.2, but for one thing: `017` is neither 17 (YAML 1.2) nor 15 (YAML 1.1)
# but text, so that a class folder called `001` keeps its name and a number written so is asked about.
_NULLS = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_DECIMAL = r"[-+]?(?:0|[1-9][0-9]*)"
INTEGER = re.compile(rf"{_DECIMAL}|0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_LONGEST_INTEGER = 100  # digits; Python refuses to read more than 4,300


def read_scalar(text: str) -> Any:
    """The value of a plain scalar: None, a boolean, an integer, a float or the text itself.

    `1e-5` is a float; `no`, `off`, `1_000`, `12:30`, `2024-01-01` and `017` are text. ValueError for an integer too
    long to be one.
    """
    if text in _NULLS:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if INTEGER.fullmatch(text):
        if len(text) > _LONGEST_INTEGER:
            raise ValueError(f"a whole number of {len(text)} digits is too long")
        return int(text, 0)
    if FLOAT.fullmatch(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


def needs_quotes(text: str) -> bool:
    """Whether a text written without quotes would be read as something else."""
    return text in _NULLS or text in _BOOLEANS or bool(INTEGER.fullmatch(text) or FLOAT.fullmatch(text))
