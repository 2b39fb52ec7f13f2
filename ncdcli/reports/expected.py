"""Ours beside the published figures that a recipe names, and whether it lies near enough."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ncdcli.recipe.schema import Expected
    from ncdcli.reports.comparison import Group

ROUNDING = 1e-9  # 72.3 − 70.3 is above 2


@dataclass(frozen=True)
class Judged:
    """A published figure and ours, in the unit of the recipe: percent for scores, a number for k."""

    expected: Expected
    ours: float | None  # None: there is no such score
    seeds: int = 1

    @property
    def tolerance(self) -> float:
        return self.expected.allowed

    @property
    def within(self) -> bool:
        """Whether ours is no further from the published figure than is allowed, on either side."""
        return self.ours is not None and abs(self.ours - self.expected.mean) <= self.tolerance + ROUNDING

    def as_json(self) -> dict[str, Any]:
        content = self.expected.model_dump(mode="json")
        return {**content, "tolerance": self.tolerance, "ours": self.ours, "seeds": self.seeds, "within": self.within}


def judge(expected: Sequence[Expected], scores: Mapping[str, float]) -> list[Judged]:
    """The figures beside the scores of one run, given by path and as fractions."""
    return [Judged(figure, _in_unit(figure, scores.get(figure.metric, math.nan))) for figure in expected]


def judge_group(expected: Sequence[Expected], group: Group) -> list[Judged]:
    """The figures beside the means over the seeds of a group."""
    judged = []
    for figure in expected:
        spread = group.spread(figure.metric)
        mean = math.nan if spread is None else spread.mean
        judged.append(Judged(figure, _in_unit(figure, mean), 0 if spread is None else len(spread.values)))
    return judged


def expected_table(judged: Sequence[Judged]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows for people."""
    rows = [
        [
            item.expected.metric,
            "–" if item.ours is None else f"{item.ours:.1f}",
            published_text(item.expected),
            f"± {item.tolerance:.1f}",
            "yes" if item.within else "no",
            item.expected.source,
        ]
        for item in judged
    ]
    return ["metric", "ours", "published", "tolerance", "within", "source"], rows


def published_text(figure: Expected) -> str:
    """ "62.4 ± 2.0"."""
    return f"{figure.mean:.1f}" if figure.sd is None else f"{figure.mean:.1f} ± {figure.sd:.1f}"


def missed_text(item: Judged) -> str:
    """ "gcd_v2.unlabelled.all is 60.0, expected 73.0 within 2.0"."""
    ours = "not there" if item.ours is None else f"{item.ours:.1f}"
    return f"{item.expected.metric} is {ours}, expected {item.expected.mean:.1f} within {item.tolerance:.1f}"


def _in_unit(figure: Expected, value: float) -> float | None:
    return None if math.isnan(value) else value * (1 if figure.metric.startswith("k.") else 100)
