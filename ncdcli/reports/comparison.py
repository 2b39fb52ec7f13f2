"""`ncd compare`: recipe fields that differ between runs, and scores with seeds grouped into mean ± sd."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ncdcli.reports.scores import SUBSETS, headline, numbers_by_path, read_metrics

LABELS = frozenset({"name", "description", "version", "seed"})  # say which run it is, not what it does
ABSENT = "–"


@dataclass(frozen=True)
class Entry:
    """One run: its recipe as a flat map, and its scores by path."""

    run: str
    name: str
    seed: int
    fields: Mapping[str, Any]
    scores: Mapping[str, float]
    headline: str  # "gcd_v2.unlabelled", or empty where the run is not scored
    selection: str


@dataclass(frozen=True)
class Spread:
    """Mean and standard deviation (n − 1) of a score over the runs of a group."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.values)

    @property
    def sd(self) -> float | None:
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    def as_json(self) -> dict[str, Any]:
        return {"mean": self.mean, "sd": self.sd, "n": len(self.values), "values": list(self.values)}


@dataclass(frozen=True)
class Group:
    """Runs of one recipe that differ in their seed only."""

    entries: tuple[Entry, ...]

    @property
    def name(self) -> str:
        return self.entries[0].name

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(entry.seed for entry in self.entries)

    @property
    def selection(self) -> str:
        """The rule by which epochs were chosen: `last`, `known-val`, …; several where its runs differ."""
        return ", ".join(sorted({entry.selection for entry in self.entries if entry.selection}))

    def spread(self, path: str) -> Spread | None:
        """The score over those runs that have it, None if none does."""
        values = [entry.scores[path] for entry in self.entries if not math.isnan(entry.scores.get(path, math.nan))]
        return Spread(tuple(values)) if values else None


@dataclass(frozen=True)
class Comparison:
    """Groups of runs, and the recipe fields in which the groups differ."""

    groups: tuple[Group, ...]
    differing: tuple[str, ...]

    def score_paths(self) -> tuple[str, ...]:
        """The headline scores, with protocol and split in their names, and the estimated number of classes."""
        entries = [entry for group in self.groups for entry in group.entries]
        headlines = list(dict.fromkeys(entry.headline for entry in entries if entry.headline))
        paths = [f"{headline}.{subset}" for headline in headlines for subset in SUBSETS]
        paths.append("k.estimated")
        return tuple(path for path in paths if any(path in entry.scores for entry in entries))

    def as_json(self) -> dict[str, Any]:
        paths = sorted({path for group in self.groups for entry in group.entries for path in entry.scores})
        return {"differing": list(self.differing), "groups": [self._group_json(group, paths) for group in self.groups]}

    def _group_json(self, group: Group, paths: Sequence[str]) -> dict[str, Any]:
        spreads = {path: group.spread(path) for path in paths}
        return {
            "name": group.name,
            "runs": [entry.run for entry in group.entries],
            "seeds": list(group.seeds),
            "fields": {path: group.entries[0].fields.get(path) for path in self.differing},
            "headline": group.entries[0].headline or None,
            "selection": group.selection or None,
            "scores": {path: spread.as_json() for path, spread in spreads.items() if spread is not None},
        }


def read_entry(folder: Path, recipe: Mapping[str, Any]) -> Entry:
    """The entry of a run folder whose recipe, as a JSON tree, is `recipe`. A run without scores has none."""
    metrics = read_metrics(folder)
    return Entry(
        run=str(folder),
        name=str(recipe["name"]),
        seed=int(recipe["seed"]),
        fields={path: value for path, value in flatten(recipe).items() if path not in LABELS},
        scores=numbers_by_path(metrics),
        headline=headline(metrics).get("name", ""),
        selection=str(metrics.get("selection", "")),
    )


def compare(entries: Sequence[Entry]) -> Comparison:
    """Entries grouped by recipe, seed apart; groups and runs keep the order given, seeds ascend within a group."""
    grouped: dict[str, list[Entry]] = {}
    for entry in entries:
        grouped.setdefault(json.dumps(entry.fields, sort_keys=True), []).append(entry)
    groups = tuple(Group(tuple(sorted(group, key=lambda entry: entry.seed))) for group in grouped.values())
    paths = dict.fromkeys(path for group in groups for path in group.entries[0].fields)
    differing = tuple(path for path in paths if len({_value(group, path) for group in groups}) > 1)
    return Comparison(groups, differing)


def _value(group: Group, path: str) -> str:
    """A field as comparable text; an absent field differs from every value, null included."""
    fields = group.entries[0].fields
    return json.dumps(fields[path], sort_keys=True) if path in fields else ""


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Leaves of a nested map by dotted path; lists are leaves."""
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            leaves |= flatten(value, f"{prefix}{key}.")
        else:
            leaves[f"{prefix}{key}"] = value
    return leaves


def score_table(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """Columns and rows for people: a row per group, scores in percent as mean ± sd.

    The selection rule is a column as soon as one is not `last`, so that no number goes without its stamp.
    """
    paths = comparison.score_paths()
    stamped = any(group.selection not in ("", "last") for group in comparison.groups)
    columns = ["recipe", "seeds", *(["selection"] if stamped else []), *paths]
    rows = []
    for name, group in zip(_names(comparison.groups), comparison.groups, strict=True):
        scores = [_spread_text(group.spread(path), percent=not path.startswith("k.")) for path in paths]
        selection = [group.selection or ABSENT] if stamped else []
        rows.append([name, _seeds_text(group.seeds), *selection, *scores])
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
    return ["recipe field", *_names(comparison.groups)], rows


def _names(groups: Sequence[Group]) -> list[str]:
    """Names of recipes, numbered where groups share one."""
    names = [group.name for group in groups]
    return [
        f"{name} #{names[: position + 1].count(name)}" if names.count(name) > 1 else name
        for position, name in enumerate(names)
    ]


def flat_rows(comparison: Comparison) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows for a CSV: a row per run, differing fields, every score as a fraction."""
    entries = [entry for group in comparison.groups for entry in group.entries]
    paths = sorted({path for entry in entries for path in entry.scores})
    columns = ["run", "recipe", "seed", *comparison.differing, *paths]
    rows = [
        [
            entry.run,
            entry.name,
            entry.seed,
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


def _seeds_text(seeds: tuple[int, ...]) -> str:
    """ "0–4" for consecutive seeds, "0, 2, 5" otherwise, with their number where there are several."""
    if len(seeds) == 1:
        return str(seeds[0])
    consecutive = seeds == tuple(range(seeds[0], seeds[0] + len(seeds)))
    text = f"{seeds[0]}–{seeds[-1]}" if consecutive else ", ".join(map(str, seeds))
    return f"{text} (n = {len(seeds)})"


def _spread_text(spread: Spread | None, *, percent: bool) -> str:
    if spread is None:
        return ABSENT
    scale = 100 if percent else 1
    mean = f"{scale * spread.mean:.1f}" if percent or spread.sd is not None else f"{spread.mean:.0f}"
    return mean if spread.sd is None else f"{mean} ± {scale * spread.sd:.1f}"
