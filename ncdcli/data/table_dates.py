"""Dates in tables: found, read as days, and taken apart into what repeats by year, week and day."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncdcli.data.table_formats import ISO

SAMPLE = 300  # cells that a format is looked for in
MIXED = 40  # of them that are looked at where no format reads most
TRIED = 10  # of them, of which it reads one at least
LIKELY = 0.9  # share of them that a format reads, where the others are slips
PARTS = ("days", "year_sine", "year_cosine", "week_sine", "week_cosine", "day_sine", "day_cosine")
CYCLES: Mapping[str, float] = {"year": 365.25, "week": 7.0, "day": 1.0}  # days
MONDAY = 3  # 1970-01-01 was a Thursday

_DAYS = (
    ("year-month-day", ("%Y/%m/%d", "%Y.%m.%d", "%y-%m-%d", "%y/%m/%d", "%y.%m.%d")),
    ("day/month/year", ("%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%d/%m/%y", "%d.%m.%y", "%d-%m-%y")),
    ("month/day/year", ("%m/%d/%Y", "%m.%d.%Y", "%m-%d-%Y", "%m/%d/%y", "%m.%d.%y", "%m-%d-%y")),
    ("named month", ("%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%d %B %Y", "%d. %B %Y", "%b %d, %Y", "%B %d, %Y")),
)  # fmt: skip
_TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
_ORDERS = {ISO: "year-month-day"} | {
    day + time: order for (order, days), time in product(_DAYS, _TIMES) for day in days
}
_MAYBE = re.compile(r"\d.*[-/. T].*\d")  # two numbers and something between them


@dataclass(frozen=True)
class Found:
    """The formats that read the cells of a column: one, several that do not agree, or one with slips.

    None at all where each cell is read by some format, and no format reads them all.
    """

    formats: tuple[str, ...]
    slips: int = 0  # cells that the one format does not read


def find_date_formats(cells: Sequence[str]) -> Found | None:
    """The formats of a column of dates, given its cells; None where they are not dates.

    `iso` stands for all of ISO 8601: with or without a time, fractions of a second and an offset. Several formats are
    given where they put day and month in a different order, and every cell can be read in either.
    """
    sample = cells[:: max(1, len(cells) // SAMPLE)][:SAMPLE]
    if not sample or sum(_MAYBE.search(cell) is not None for cell in sample) < LIKELY * len(sample):
        return None
    names = [ISO, *(name for name in _ORDERS if name != ISO and any(_reads(name, cell) for cell in sample[:TRIED]))]
    likely = [name for name in names if np.isfinite(days_of(sample, name)).sum() >= LIKELY * len(sample)]
    if not likely:
        mixed = [any(np.isfinite(days_of([cell], name)).all() for name in names) for cell in sample[:MIXED]]
        return Found(()) if sum(mixed) >= LIKELY * len(mixed) else None
    counts = Counter(cells)
    different, times = list(counts), np.array(list(counts.values()))
    slips = {name: int(times[np.isnan(days_of(different, name))].sum()) for name in likely}
    best = min(likely, key=lambda name: slips[name])
    if slips[best]:
        return Found((best,), slips[best]) if slips[best] <= (1 - LIKELY) * len(cells) else None
    by_order: dict[str, str] = {}
    for name in likely:
        if slips[name] == 0:
            by_order.setdefault(_ORDERS[name], name)
    return Found(tuple(by_order.values()))


def _reads(name: str, cell: str) -> bool:
    try:
        datetime.strptime(cell, name)
    except ValueError:
        return False
    return True


def order_of(name: str) -> str:
    """What a format that was found takes first: "day/month/year"."""
    return _ORDERS.get(name, name)


def days_of(cells: Any, name: str) -> NDArray[np.float64]:
    """(n,) days since 1970-01-01, with fractions; NaN for cells that the format does not read, and for missing ones.

    Times with an offset are brought to UTC. `name`: `iso`, or a format of `strptime`.
    """
    import pandas as pd

    values = pd.Series(cells, dtype=object)
    times = pd.to_datetime(values, format="ISO8601" if name == ISO else name, utc=True, errors="coerce")
    return np.asarray((times - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(days=1), np.float64)


def iso_texts(days: NDArray[np.float64]) -> list[str | None]:
    """(n,) days since 1970-01-01 as ISO 8601, without the time where every value is a whole day; None for NaN."""
    known = days[np.isfinite(days)]
    unit = "D" if (known == np.floor(known)).all() else "us"
    micros = np.where(np.isfinite(days), np.round(days * 86_400e6), 0).astype("datetime64[us]")
    texts = np.asarray(micros.astype(f"datetime64[{unit}]").astype(str)).tolist()
    return [text if finite else None for text, finite in zip(texts, np.isfinite(days).tolist(), strict=True)]


def parts_worth(days: NDArray[np.float64]) -> tuple[str, ...]:
    """The parts of dates that can tell rows apart: the days, and each cycle that they go round once at least."""
    known = days[np.isfinite(days)]
    if not len(known):
        return ()
    span = float(known.max() - known.min())
    timed = bool((known != np.floor(known)).any())
    cycles = [name for name, length in CYCLES.items() if span >= length and (timed or name != "day")]
    return tuple(part for part in PARTS if part == "days" or part.split("_")[0] in cycles)


def date_part(days: NDArray[np.float64], part: str) -> NDArray[np.float64]:
    """(n,) one of PARTS: the days themselves, or sine or cosine of where they stand in the year, week or day."""
    if part == "days":
        return days
    cycle, wave = part.split("_")
    angle = 2 * np.pi * _turn(days, cycle)
    return np.sin(angle) if wave == "sine" else np.cos(angle)


def _turn(days: NDArray[np.float64], cycle: str) -> NDArray[np.float64]:
    """(n,) share of the cycle that has passed, in [0, 1); weeks begin on Monday."""
    if cycle == "day":
        return np.asarray(days % 1)
    if cycle == "week":
        return np.asarray((days + MONDAY) % 7 / 7)
    known = np.isfinite(days)
    whole = np.floor(np.where(known, days, 0)).astype("datetime64[D]")
    year = whole.astype("datetime64[Y]")
    first = year.astype("datetime64[D]")
    length = ((year + 1).astype("datetime64[D]") - first).astype(np.float64)
    return np.where(known, (days - first.astype(np.float64)) / length, np.nan)
