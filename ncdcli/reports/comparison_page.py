"""The page that compares several runs: methods × data sets × seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from ncdcli import __version__
from ncdcli.reports.comparison import ABSENT, Comparison, Group, Spread
from ncdcli.reports.comparison_tables import COST, difference_table, seeds_text, spread_text, test_table
from ncdcli.reports.page import render
from ncdcli.reports.scores import SUBSETS
from ncdcli.words import counted, duration

MEMORY = "cost.peak_memory_bytes"


@dataclass(frozen=True)
class Cell:
    """A score of a group: as text, and where its runs lie on the common scale."""

    text: str
    score: str  # protocol.split.subset
    mean: float  # per cent of the scale
    dots: tuple[float, ...]
    title: str


def render_comparison(comparison: Comparison) -> str:
    """The page. Scores are on one scale, from the lowest of all runs to the highest, by steps of five points."""
    paths = [path for path in comparison.score_paths() if not path.startswith("k.")]
    low, high = _scale(comparison, paths)
    methods, names = comparison.methods(), comparison.names()
    groups = [
        _group(group, name, method, paths, (low, high))
        for group, name, method in zip(comparison.groups, names, methods, strict=True)
    ]
    by_data = comparison.by_data()
    test_columns, tests = test_table(comparison)
    field_columns, fields = difference_table(comparison)
    entries = [entry for group in comparison.groups for entry in group.entries]
    return render(
        "comparison.html",
        scripts=("page.js",),
        title=f"Comparison of {counted(len(entries), 'run')}",
        version=__version__,
        made=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        counted=counted,
        groups=groups,
        by_data=by_data,
        paths=paths,
        low=low,
        high=high,
        single=[name for name, group in zip(names, comparison.groups, strict=True) if len(group.entries) == 1],
        stamped=any(group.selection not in ("", "last") for group in comparison.groups),
        stamp=comparison.stamp(),
        matrices=_matrices(comparison, groups, by_data),
        test_columns=test_columns,
        tests=tests,
        field_columns=field_columns,
        fields=fields,
        runs=[
            {
                "run": entry.run,
                "name": entry.name,
                "seed": entry.seed,
                "scores": [_percent(entry.scores.get(path)) for path in paths],
                "k": _whole(entry.scores.get("k.estimated")),
            }
            for entry in entries
        ],
    )


def _scale(comparison: Comparison, paths: Sequence[str]) -> tuple[int, int]:
    values = [
        100 * value
        for group in comparison.groups
        for path in paths
        if (spread := group.spread(path)) is not None
        for value in spread.values
    ]
    if not values:
        return 0, 100
    low = int(min(values) // 5 * 5)
    return low, min(100, max(int(-(-max(values) // 5) * 5), low + 5))


def _group(group: Group, name: str, method: str, paths: Sequence[str], scale: tuple[int, int]) -> dict[str, Any]:
    cost, memory = group.spread(COST), group.spread(MEMORY)
    error = group.spread("k.error")
    found = group.spread("k.estimated")
    true = group.spread("k.true")
    return {
        "name": name,
        "method": method,
        "seeds": seeds_text(group.seeds),
        "selection": group.selection or ABSENT,
        "cells": {path: _cell(spread, path, scale) for path in paths if (spread := group.spread(path)) is not None},
        "k": ABSENT if found is None else ", ".join(f"{value:.0f}" for value in found.values),
        "true_k": ABSENT if true is None else ", ".join(sorted({f"{value:.0f}" for value in true.values})),
        "k_error": ABSENT if error is None else f"{error.mean:+.1f}",
        "time": ABSENT if cost is None else duration(cost.mean),
        "memory": ABSENT if memory is None else f"{max(memory.values) / 1e6:,.0f} MB",
    }


def _cell(spread: Spread, path: str, scale: tuple[int, int]) -> Cell:
    low, high = scale

    def at(value: float) -> float:
        return 2 + 96 * (100 * value - low) / (high - low)

    each = ", ".join(f"{100 * value:.1f}" for value in spread.values)
    text = spread_text(spread, percent=True)
    return Cell(text, path, at(spread.mean), tuple(map(at, spread.values)), f"{path}: {text} ({each})")


def _matrices(
    comparison: Comparison, groups: Sequence[dict[str, Any]], by_data: dict[str, list[int]]
) -> list[tuple[str, list[tuple[str, list[Cell | None]]]]]:
    """For all, known and novel: (method, a cell for each data set) by the headline of each run."""
    methods = list(dict.fromkeys(group["method"] for group in groups))
    found = []
    for subset in SUBSETS:
        rows = []
        for method in methods:
            row: list[Cell | None] = []
            for positions in by_data.values():
                position = next((p for p in positions if groups[p]["method"] == method), None)
                headline = comparison.groups[position].entries[0].headline if position is not None else ""
                row.append(None if position is None else groups[position]["cells"].get(f"{headline}.{subset}"))
            rows.append((method, row))
        if any(cell is not None for _, row in rows for cell in row):
            found.append((f"{subset} classes" if subset != "all" else "all samples", rows))
    return found


def _percent(value: float | None) -> str:
    return ABSENT if value is None or value != value else f"{100 * value:.1f}"


def _whole(value: float | None) -> str:
    return ABSENT if value is None or value != value else f"{value:.0f}"
