"""Runs side by side: recipe fields that differ, scores with seeds grouped into mean ± sd, and paired tests."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from ncdcli.pipeline.spec import BY_NAME, ORACLE
from ncdcli.reports.scores import SUBSETS, headline, numbers_by_path, read_metrics, rule_text
from ncdcli.reports.significance import Paired, compare_paired, holm
from ncdcli.run.folder import RunFolder

LABELS = frozenset({"name", "description", "version", "seed", "expected"})  # say which run it is, not what it does
LOOKS = ("report.", "tune")  # fields that no number depends on
DATA = "data."
SCORING = ("evaluate", "report")  # stages that are no part of what a method costs
ABSENT = "–"


@dataclass(frozen=True)
class Entry:
    """One run: its recipe as a flat map, and its scores by path."""

    run: str
    name: str
    seed: int
    fields: Mapping[str, Any]
    scores: Mapping[str, float]
    headline: str  # "gcd_v2.unlabelled", or empty where there is no truth to score with
    selection: str

    @property
    def scored(self) -> bool:
        """Whether the run has been evaluated."""
        return any(not path.startswith("cost.") for path in self.scores)


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

    @property
    def by_oracle(self) -> bool:
        """Whether any of its epochs was chosen by looking at novel labels."""
        return any(entry.selection == ORACLE for entry in self.entries)

    def by_seed(self, path: str) -> dict[int, float]:
        """Seed -> the score, for those runs that have it."""
        return {
            entry.seed: entry.scores[path] for entry in self.entries if not math.isnan(entry.scores.get(path, math.nan))
        }

    def spread(self, path: str) -> Spread | None:
        """The score over those runs that have it, None if none does."""
        values = [entry.scores[path] for entry in self.entries if not math.isnan(entry.scores.get(path, math.nan))]
        return Spread(tuple(values)) if values else None


@dataclass(frozen=True)
class Test:
    """One paired test: a score of one group against that of the first group on the same data."""

    __test__: ClassVar[bool] = False  # pytest would take it for one of its own

    path: str
    base: int  # positions of the groups
    other: int
    paired: Paired
    corrected: float = 1.0  # the t-test's p-value for all the tests of this score


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
        return tuple(path for path in paths if any(group.spread(path) is not None for group in self.groups))

    def names(self) -> list[str]:
        """What the groups are called: by their recipe, numbered where groups share one."""
        names = [group.name for group in self.groups]
        return [
            f"{name} #{names[: position + 1].count(name)}" if names.count(name) > 1 else name
            for position, name in enumerate(names)
        ]

    def by_data(self) -> dict[str, list[int]]:
        """Data set -> positions of the groups that ran on it, in the order given."""
        found: dict[str, list[int]] = {}
        for position, group in enumerate(self.groups):
            fields = group.entries[0].fields
            key = json.dumps({path: value for path, value in fields.items() if path.startswith(DATA)}, sort_keys=True)
            found.setdefault(key, []).append(position)
        return dict(zip(self._data_names(list(found)), found.values(), strict=True))

    def methods(self) -> list[str]:
        """What each group does, told apart by the kinds it names; recipes' names where that says nothing."""
        kinds = [path for path in self.differing if path.endswith(".kind") and not path.startswith(DATA)]
        texts = []
        for group in self.groups:
            fields = group.entries[0].fields
            texts.append(" + ".join(str(fields[path]) for path in kinds if fields.get(path) not in (None, "none")))
        by_data = self.by_data().values()
        apart = all(len({texts[position] for position in positions}) == len(positions) for positions in by_data)
        return texts if apart and all(texts) else self.names()

    def tests(self) -> list[Test]:
        """Paired tests of every headline score: each group against the first one on the same data, over their seeds.

        p-values are corrected for their number within a score by Holm's method (1979).
        """
        found: list[Test] = []
        for path in self.score_paths():
            of_path = []
            for positions in self.by_data().values():
                base = self.groups[positions[0]].by_seed(path)
                for position in positions[1:]:
                    paired = compare_paired(base, self.groups[position].by_seed(path))
                    if paired is not None and not path.startswith("k."):
                        of_path.append(Test(path, positions[0], position, paired))
            corrected = holm([test.paired.t_test for test in of_path])
            found += [replace(test, corrected=p) for test, p in zip(of_path, corrected, strict=True)]
        return found

    def _data_names(self, keys: Sequence[str]) -> list[str]:
        trees = [json.loads(key) for key in keys]
        first = [str(tree.get("data.card") or tree.get("data.source.kind") or "data") for tree in trees]
        differing = [
            path
            for path in dict.fromkeys(p for tree in trees for p in tree)
            if len({json.dumps(t.get(path)) for t in trees}) > 1
        ]
        return [
            name
            if first.count(name) == 1
            else f"{name} ({', '.join(f'{path.removeprefix(DATA)}={tree.get(path)}' for path in differing)})"
            for name, tree in zip(first, trees, strict=True)
        ]

    def as_json(self) -> dict[str, Any]:
        paths = sorted({path for group in self.groups for entry in group.entries for path in entry.scores})
        names = self.names()
        return {
            "differing": list(self.differing),
            "groups": [self._group_json(group, paths) for group in self.groups],
            "tests": [
                {"score": test.path, "base": names[test.base], "other": names[test.other], **test.paired.as_json()}
                | {"paired_t_corrected": test.corrected}
                for test in self.tests()
            ],
        }

    def stamp(self) -> str:
        """What is to be said of the groups whose epochs were chosen by looking at novel labels; empty: of none."""
        names = [name for name, group in zip(self.names(), self.groups, strict=True) if group.by_oracle]
        return f"{', '.join(names)}: selection rule {rule_text(ORACLE)}" if names else ""

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
        fields={
            path: value for path, value in flatten(recipe).items() if path not in LABELS and not path.startswith(LOOKS)
        },
        scores=numbers_by_path(metrics) | read_cost(folder),
        headline=headline(metrics).get("name", ""),
        selection=str(metrics.get("selection", "")),
    )


def read_cost(folder: Path) -> dict[str, float]:
    """Seconds of the stages up to the clusters, as they took when they were made, and the greatest memory of any."""
    run = RunFolder(folder)
    manifests = [found for stage in BY_NAME if stage not in SCORING and (found := run.manifest(stage)) is not None]
    if not manifests:
        return {}
    memory = max(manifest.peak_memory_bytes or 0 for manifest in manifests)
    return {
        "cost.seconds": round(sum(manifest.seconds for manifest in manifests), 3),
        **({"cost.peak_memory_bytes": float(memory)} if memory else {}),
    }


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
