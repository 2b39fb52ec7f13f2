"""What a sweep found: a row for each point of its grid, scores as mean ± sd over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ncdcli.pipeline.spec import BY_NAME
from ncdcli.reports.comparison import ABSENT, Entry, Group, Spread, read_entry
from ncdcli.reports.scores import SUBSETS
from ncdcli.run.folder import RunFolder
from ncdcli.sweep.load import Point, Sweep, SweepRun, text_of


@dataclass(frozen=True)
class Row:
    """One point of the grid, over those of its seeds that are done."""

    point: Point
    group: Group
    seconds: Spread  # that the stages took when they were made, those linked from other runs included

    @property
    def headline(self) -> str:
        """ "gcd_v2.unlabelled"; empty where there is no truth to score with."""
        return self.group.entries[0].headline

    def score(self, subset: str) -> Spread | None:
        """The headline over the seeds, as fractions."""
        return self.group.spread(f"{self.headline}.{subset}")

    @property
    def k(self) -> Spread | None:
        """The estimated number of classes over the seeds."""
        return self.group.spread("k.estimated")

    def as_json(self) -> dict[str, Any]:
        spreads = {subset: self.score(subset) for subset in SUBSETS} | {"k": self.k, "seconds": self.seconds}
        return {
            "point": dict(self.point),
            "seeds": list(self.group.seeds),
            "headline": self.headline or None,
            **{name: None if spread is None else spread.as_json() for name, spread in spreads.items()},
        }


def rows_of(sweep: Sweep, names: Sequence[str]) -> list[Row]:
    """A row for each point that has a run among `names`, those that are done."""
    groups: dict[str, list[SweepRun]] = {}
    for run in sweep.runs:
        if run.name in names:
            groups.setdefault(run.label, []).append(run)
    return [_row(sweep, runs) for runs in groups.values()]


def _row(sweep: Sweep, runs: Sequence[SweepRun]) -> Row:
    entries: list[Entry] = []
    seconds: list[float] = []
    for run in sorted(runs, key=lambda run: run.recipe.seed):
        folder = sweep.folder(run)
        entry = read_entry(folder, run.recipe.model_dump(mode="json"))
        entries.append(entry)
        seconds.append(_seconds(RunFolder(folder)))
    return Row(runs[0].point, Group(tuple(entries)), Spread(tuple(seconds)))


def _seconds(folder: RunFolder) -> float:
    manifests = [folder.manifest(stage) for stage in BY_NAME]
    return sum(manifest.seconds for manifest in manifests if manifest is not None)


def summary_table(rows: Sequence[Row], fields: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows for people: the grid's fields, seeds, the headline in percent, k, seconds.

    The protocol is a column of its own where the rows do not share one.
    """
    mixed = len({row.headline for row in rows}) > 1
    columns = [*fields, "seeds", *(["protocol.split"] if mixed else []), *(f"{subset} %" for subset in SUBSETS)]
    lines = []
    for row in rows:
        cells = [text_of(row.point[field]) for field in fields]
        cells.append(str(len(row.group.seeds)))
        cells += [row.headline or ABSENT] if mixed else []
        cells += [mean_sd(row.score(subset), scale=100) for subset in SUBSETS]
        lines.append([*cells, mean_sd(row.k), mean_sd(row.seconds)])
    return [*columns, "k", "seconds"], lines


def mean_sd(spread: Spread | None, *, scale: float = 1) -> str:
    """ "62.4 ± 2.0", "62.4" for a single value, "–" for none."""
    if spread is None:
        return ABSENT
    mean = f"{scale * spread.mean:.1f}"
    return mean if spread.sd is None else f"{mean} ± {scale * spread.sd:.1f}"


def rows_json(rows: Sequence[Row]) -> list[Mapping[str, Any]]:
    """The same rows for programs, scores as fractions."""
    return [row.as_json() for row in rows]
