"""`--require 'gcd_v2.unlabelled.novel>=0.75'`, `--require expected`: bounds that the scores of a run must meet."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ncdcli.errors import RequirementError, UsageError
from ncdcli.reports.expected import Judged, missed_text
from ncdcli.reports.scores import numbers_by_path
from ncdcli.words import did_you_mean

EXPECTED = "expected"  # in place of a bound: what the recipe expects
OPERATORS = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}
_PATTERN = re.compile(r"\s*([\w.-]+?)\s*(>=|<=|==|>|<)\s*(\S+)\s*")


@dataclass(frozen=True)
class Requirement:
    """One bound on one score."""

    path: str  # protocol.split.subset, as in metrics.json
    operator: str
    bound: float

    def __str__(self) -> str:
        return f"{self.path}{self.operator}{self.bound:g}"


@dataclass(frozen=True)
class Outcome:
    """A requirement and the value that was measured."""

    requirement: Requirement
    value: float

    @property
    def met(self) -> bool:
        """Whether the value satisfies the bound; an undefined value satisfies none."""
        return bool(OPERATORS[self.requirement.operator](self.value, self.requirement.bound))

    def as_json(self) -> dict[str, Any]:
        required = self.requirement
        return {
            "path": required.path,
            "operator": required.operator,
            "bound": required.bound,
            "value": self.value,
            "met": self.met,
        }


def parse_requirement(text: str) -> Requirement:
    """`path op number`, with op one of >= <= == > <. UsageError for anything else."""
    match = _PATTERN.fullmatch(text)
    if match is None:
        raise UsageError(
            f"cannot read `--require {text}`", hint="write a score, one of >= <= == > <, and a number: 'k.error<=1'"
        )
    path, sign, number = match.groups()
    try:
        bound = float(number)
    except ValueError:
        raise UsageError(f"`--require {text}`: `{number}` is not a number") from None
    if not math.isfinite(bound):
        raise UsageError(f"`--require {text}`: the bound must be finite")
    return Requirement(path, sign, bound)


def check_requirements(requirements: Sequence[Requirement], metrics: Mapping[str, Any]) -> list[Outcome]:
    """Each requirement with its value. UsageError, naming the scores there are, for one that is not among them."""
    values = numbers_by_path(metrics)
    outcomes = []
    for required in requirements:
        if required.path not in values:
            near = did_you_mean(required.path, values)
            names = ", ".join(sorted(values))
            raise UsageError(
                f"no score is named `{required.path}`" + (f"; {near}" if near else ""), hint=f"the scores are: {names}"
            )
        outcomes.append(Outcome(required, values[required.path]))
    return outcomes


def raise_missed(outcomes: Sequence[Outcome], published: Sequence[Judged] = ()) -> None:
    """RequirementError that names value and bound of every requirement, and of every published figure, that is missed;
    nothing if there is none.
    """
    missed = [
        f"{outcome.requirement.path} is {outcome.value:.4g}, required "
        f"{outcome.requirement.operator} {outcome.requirement.bound:g}"
        for outcome in outcomes
        if not outcome.met
    ]
    missed += [missed_text(item) for item in published if not item.within]
    if missed:
        raise RequirementError("; ".join(missed))
