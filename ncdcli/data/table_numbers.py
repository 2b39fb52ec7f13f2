"""Numbers that are written with a decimal comma, or with marks between thousands."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

DECIMALS = {"point": ".", "comma": ","}
THOUSANDS = {"none": "", "comma": ",", "point": ".", "space": " \u00a0\u202f", "apostrophe": "'\u2019"}


class Style(NamedTuple):
    """How numbers are written: keys of DECIMALS and THOUSANDS."""

    decimal: str = "point"
    thousands: str = "none"

    @property
    def fields(self) -> dict[str, str]:
        """The fields of the `source` section that say so, without those that are at their default."""
        plain = Style()._asdict()
        return {name: value for name, value in self._asdict().items() if value != plain[name]}


PLAIN = Style()
LIKELY = 0.9  # share of cells that are numbers in a style, where the others are slips
STYLES = (
    Style("comma"), Style("point", "comma"), Style("point", "space"), Style("point", "apostrophe"),
    Style("comma", "point"), Style("comma", "space"), Style("comma", "apostrophe"),
)  # fmt: skip
EITHER = STYLES[:2]  # 1,234 is one and a bit, or more than a thousand


def styled_number(cell: str, style: Style) -> float | None:
    """The number that a cell is in a style, or None: marks between thousands stand where they should, or nowhere."""
    if not _pattern(style).fullmatch(cell):
        return None
    for mark in THOUSANDS[style.thousands]:
        cell = cell.replace(mark, "")
    return float(cell.replace(DECIMALS[style.decimal], "."))


def styled_numbers(cells: Iterable[Any], style: Style) -> NDArray[np.float64]:
    """(n,) numbers; NaN for cells that are missing or no numbers in this style."""
    known: dict[Any, float] = {}
    values = []
    for cell in cells:
        if cell not in known:
            number = styled_number(cell, style) if isinstance(cell, str) else None
            known[cell] = np.nan if number is None else number
        values.append(known[cell])
    return np.array(values, np.float64)


def fitting_styles(cells: Sequence[str]) -> list[Style]:
    """The styles in which nearly all of these cells are numbers; [] where they are texts, or numbers as usual."""
    counts = Counter(cells)
    least = LIKELY * len(cells)
    first = list(counts)[:50]
    likely = [style for style in STYLES if any(styled_number(cell, style) is not None for cell in first)]
    found = []
    for style in likely:
        fitting = sum(times for cell, times in counts.items() if styled_number(cell, style) is not None)
        if fitting >= least:
            found.append(style)
    return found


def common_style(columns: Sequence[Sequence[Style]]) -> list[Style]:
    """The simplest style that fits all of the columns; two where they can be read in either way; [] for none."""
    fitting = [style for style in STYLES if columns and all(style in styles for styles in columns)]
    return list(EITHER) if set(EITHER) <= set(fitting) else fitting[:1]


def _pattern(style: Style) -> re.Pattern[str]:
    if style not in _PATTERNS:
        mark, point = THOUSANDS[style.thousands], re.escape(DECIMALS[style.decimal])
        grouped = rf"|\d{{1,3}}(?:[{re.escape(mark)}]\d{{3}})+" if mark else ""
        _PATTERNS[style] = re.compile(rf"[+-]?(?:(?:\d+{grouped})(?:{point}\d*)?|{point}\d+)(?:[eE][+-]?\d+)?")
    return _PATTERNS[style]


_PATTERNS: dict[Style, re.Pattern[str]] = {}
