"""`ncd compare` as tables of text: scores, fields that differ, paired tests; and a row for each run as CSV."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ncdcli.reports.comparison import ABSENT, Comparison, Spread
from ncdcli.words import duration

COST = "cost.seconds"


def score_table(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Columns and rows for people: a row per group, scores in percent as mean ± sd.

    The selection rule is a column as soon as one is not `last`, so that no number goes without its stamp.
    """
    paths = comparison.score_paths()
    stamped = any(group.selection not in ("", "last") for group in comparison.groups)
    timed = any(group.spread(COST) for group in comparison.groups)
    columns = ["recipe", "seeds", *(["selection"] if stamped else []), *paths, *(["time"] if timed else [])]
    rows = []
    for name, group in zip(comparison.names(), comparison.groups, strict=True):
        scores = [spread_text(group.spread(path), percent=not path.startswith("k.")) for path in paths]
        selection = [group.selection or ABSENT] if stamped else []
        cost = group.spread(COST)
        time = [duration(cost.mean) if cost else ABSENT] if timed else []
        rows.append([name, seeds_text(group.seeds), *selection, *scores, *time])
    return columns, rows


def difference_table(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Columns and rows for people: a row per recipe field that differs, a column per group.

    Where the `kind` of a section differs, the fields that only some of the kinds have go without saying.
    """
    parents = [path.removesuffix("kind") for path in comparison.differing if path.endswith(".kind")]

    def goes_without_saying(path: str) -> bool:
        absent = any(path not in group.entries[0].fields for group in comparison.groups)
        return absent and any(path.startswith(parent) for parent in parents)

    paths = [path for path in comparison.differing if not goes_without_saying(path)]
    rows = [[path, *(_shown(group.entries[0].fields, path) for group in comparison.groups)] for path in paths]
    return ["recipe field", *comparison.names()], rows


def test_table(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Columns and rows for people: what each group gains over the first one on the same data, in points."""
    names = comparison.names()
    columns = ["score", "recipe", "over", "seeds", "difference", "95 % interval", "paired t", "corrected", "Wilcoxon"]
    rows = []
    for test in comparison.tests():
        paired = test.paired
        interval = f"{points(paired.low)} to {points(paired.high)}"
        values = [points(paired.mean), interval, *map(p_text, (paired.t_test, test.corrected))]
        rows.append(
            [test.path, names[test.other], names[test.base], str(paired.n), *values, p_text(paired.signed_rank)]
        )
    return columns, rows


def points(fraction: float) -> str:
    """A difference in per cent, with its sign: "+3.4", "-0.2", "0.0"."""
    value = round(100 * fraction, 1)
    return f"{value:+.1f}" if value else "0.0"


def p_text(value: float) -> str:
    """A p-value: "0.031", "< 0.001"."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def flat_rows(comparison: Comparison) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows for a CSV: a row per run, differing fields, every score as a fraction."""
    entries = [entry for group in comparison.groups for entry in group.entries]
    paths = sorted({path for entry in entries for path in entry.scores})
    stamped = any(entry.selection not in ("", "last") for entry in entries)
    columns = ["run", "recipe", "seed", *(["selection"] if stamped else []), *comparison.differing, *paths]
    rows = [
        [
            entry.run,
            entry.name,
            entry.seed,
            *([entry.selection] if stamped else []),
            *(_shown(entry.fields, path) for path in comparison.differing),
            *(entry.scores.get(path, "") for path in paths),
        ]
        for entry in entries
    ]
    return columns, rows


def _shown(fields: Mapping[str, Any], path: str) -> str:
    if path not in fields:
        return ABSENT
    value = fields[path]
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def seeds_text(seeds: tuple[int, ...]) -> str:
    """ "0–4" for consecutive seeds, "0, 2, 5" otherwise, with their number where there are several."""
    if len(seeds) == 1:
        return str(seeds[0])
    consecutive = seeds == tuple(range(seeds[0], seeds[0] + len(seeds)))
    text = f"{seeds[0]}–{seeds[-1]}" if consecutive else ", ".join(map(str, seeds))
    return f"{text} (n = {len(seeds)})"


def spread_text(spread: Spread | None, *, percent: bool) -> str:
    if spread is None:
        return ABSENT
    scale = 100 if percent else 1
    mean = f"{scale * spread.mean:.1f}" if percent or spread.sd is not None else f"{spread.mean:.0f}"
    return mean if spread.sd is None else f"{mean} ± {scale * spread.sd:.1f}"
