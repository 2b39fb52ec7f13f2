"""What a sweep found: a row for each point of its grid, scores as mean ± sd over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ncdcli.pipeline.spec import ORACLE
from ncdcli.reports.comparison import ABSENT, Group, Spread, read_entry
from ncdcli.reports.scores import SUBSETS, rule_text
from ncdcli.sweep.load import Point, Sweep, SweepRun, text_of

PROTOCOL = "protocol.split"  # a column


@dataclass(frozen=True)
class Row:
    """One point of the grid, over those of its seeds that are done."""

    point: Point
    group: Group

    @property
    def headline(self) -> str:
        """ "gcd_v2.unlabelled"; empty where there is no truth to score with."""
        return self.group.entries[0].headline

    def score(self, subset: str) -> Spread | None:
        """The headline over the seeds, as fractions."""
        return self.group.spread(f"{self.headline}.{subset}")

    @property
    def k(self) -> Spread | None:
        """The number of classes over the seeds, as estimated or as given."""
        return self.group.spread("k.estimated")

    @property
    def k_is_given(self) -> bool:
        """Whether that number is the recipe's own, which every seed kept."""
        fields = self.group.entries[0].fields
        given = fields.get("estimate_k.k") if fields.get("estimate_k.kind") == "fixed" else None
        return given is not None and self.k is not None and set(self.k.values) == {float(given)}

    @property
    def seconds(self) -> Spread | None:
        """What the stages up to the clusters took when they were made, those linked from other runs included."""
        return self.group.spread("cost.seconds")

    def as_json(self) -> dict[str, Any]:
        spreads = {subset: self.score(subset) for subset in SUBSETS} | {"k": self.k, "seconds": self.seconds}
        return {
            "point": dict(self.point),
            "seeds": list(self.group.seeds),
            "headline": self.headline or None,
            "selection": self.group.selection or None,
            "k_is_given": self.k_is_given,
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
    by_seed = sorted(runs, key=lambda run: run.recipe.seed)
    entries = [read_entry(sweep.folder(run), run.recipe.model_dump(mode="json")) for run in by_seed]
    return Row(runs[0].point, Group(tuple(entries)))


def summary_table(rows: Sequence[Row], fields: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows for people: the grid's fields, seeds, the headline in percent, k, seconds, as mean ± sd.

    The protocol is a column of its own where the rows do not share one. A k that was given says so.
    """
    mixed = len({row.headline for row in rows}) > 1
    columns = [*fields, "seeds", *([PROTOCOL] if mixed else []), *(f"{subset} %" for subset in SUBSETS)]
    lines = []
    for row in rows:
        cells = [text_of(row.point[field]) for field in fields]
        cells.append(str(len(row.group.seeds)))
        cells += [row.headline or ABSENT] if mixed else []
        cells += [mean_sd(row.score(subset), scale=100) for subset in SUBSETS]
        lines.append([*cells, _k_text(row), mean_sd(row.seconds)])
    return [*columns, "k̂", "seconds"], lines


def _k_text(row: Row) -> str:
    """ "10.3 ± 0.6", and "10 (given)" where nothing was estimated."""
    if row.k is not None and row.k_is_given:
        return f"{row.k.mean:.0f} (given)"
    return mean_sd(row.k)


def explanation(rows: Sequence[Row]) -> str:
    """What the numbers of the table are, in a line."""
    headlines = {row.headline for row in rows} - {""}
    told = [f"scores: {headlines.pop()}"] if len(headlines) == 1 else []
    if len(headlines) > 1:
        told = ["scores of different protocols do not compare"]
    stamp = [f"selection rule {rule_text(ORACLE)}"] if any(row.group.by_oracle for row in rows) else []
    return "; ".join([*stamp, *told, "mean ± sd over seeds; seconds: up to the clusters, shared stages included"])


def mean_sd(spread: Spread | None, *, scale: float = 1) -> str:
    """ "62.4 ± 2.0", "62.4" for a single value, "–" for none."""
    if spread is None:
        return ABSENT
    mean = f"{scale * spread.mean:.1f}"
    return mean if spread.sd is None else f"{mean} ± {scale * spread.sd:.1f}"


def rows_json(rows: Sequence[Row]) -> list[Mapping[str, Any]]:
    """The same rows for programs, scores as fractions."""
    return [row.as_json() for row in rows]
