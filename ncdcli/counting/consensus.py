"""The median of several estimates of the number of classes, and how far they agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

import numpy as np

from ncdcli.counting.base import CountEstimate, CountProblem
from ncdcli.counting.candidates import nearness
from ncdcli.counting.kinds import KINDS, SECTIONS, Consensus
from ncdcli.pipeline.context import Progress
from ncdcli.recipe.base import Section, import_kind


def estimate(problem: CountProblem, config: Consensus, rng: np.random.Generator, progress: Progress) -> CountEstimate:
    """The median of the estimates of the criteria in `config.of`, each run with its defaults and the range given.

    Why the median of the estimates, and not their mean, the best mean rank of the candidates, or a weighted median:
    criteria fail wildly, not slightly (Davies-Bouldin and the elbow run away with k, others stop at the known
    classes), and a median bears anything that less than half of them do; ranks need every criterion to score the same
    candidates, which a search or a count does not; and the widths of intervals, which are from resamples of different
    kinds, are no common weight. Of an even number the mean of the two middle ones is rounded up: clustering with 20 %
    too many classes costs less than half of what 20 % too few do (NC-GCD, table 10).

    `scores` of the candidates are minus their mean distance to the estimates; those of the criteria are in
    `other_scores`. The interval holds the middle half of the estimates (all of fewer than four). `statistics` has
    every criterion's estimate and interval, the `spread` between the least and the greatest estimate, and the
    `agreement`: the share of criteria whose own interval holds the answer.

    Every criterion has a random stream of its own, by its name: its estimate does not depend on the others. Its
    errors are not hidden: a criterion that cannot count these data makes the consensus fail.
    """
    key = int(rng.integers(2**63))
    members: dict[str, CountEstimate] = {
        kind: import_kind(KINDS, kind)(
            problem, section_of(kind, config), np.random.default_rng([key, crc32(kind.encode())]), progress
        )
        for kind in dict.fromkeys(config.of)
    }
    estimates = [_found(members[kind]) for kind in config.of]
    k = median_up(estimates)
    ranges = [member.statistics["range"] for member in members.values()]
    low, high = min(first for first, _ in ranges), max(last for _, last in ranges)
    return CountEstimate(
        k,
        "consensus",
        nearness(estimates, low, high),
        _middle_half(estimates, k),
        _statistics(members, config.of, k, [low, high]),
        {kind: member.scores for kind, member in members.items()},
    )


def section_of(kind: str, config: Consensus) -> Section:
    """The section of a criterion: its defaults, within the bounds that `config` gives."""
    section = SECTIONS[kind]
    bounds = {"low": config.low, "high": config.high}
    return section(**{name: bound for name, bound in bounds.items() if name in section.model_fields})


def median_up(estimates: Sequence[int]) -> int:
    """The median; the mean of two middle numbers is rounded up."""
    ordered = sorted(estimates)
    lower, upper = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return -(-(lower + upper) // 2)


def _middle_half(estimates: Sequence[int], k: int) -> tuple[int, int]:
    """Least and greatest of the middle half of the estimates, quartiles being rounded outward."""
    first = int(np.percentile(estimates, 25, method="lower"))
    last = int(np.percentile(estimates, 75, method="higher"))
    return min(first, k), max(last, k)


def _found(member: CountEstimate) -> int:
    assert member.k is not None  # every criterion that may be named gives a number
    return member.k


def _holds(member: CountEstimate, k: int) -> bool:
    return member.interval is not None and member.interval[0] <= k <= member.interval[1]


def _statistics(members: Mapping[str, CountEstimate], of: Sequence[str], k: int, limits: list[int]) -> dict[str, Any]:
    estimates = [_found(members[kind]) for kind in of]
    holding = [_holds(members[kind], k) for kind in of]
    costs = [member.statistics["cost"] for member in members.values()]
    return {
        "range": limits,
        "spread": max(estimates) - min(estimates),
        "agreement": sum(holding) / len(holding),
        "estimates": {kind: member.k for kind, member in members.items()},
        "intervals": {kind: list(member.interval or ()) for kind, member in members.items()},
        "cost": {
            "rows": max(cost["rows"] for cost in costs),
            "clusterings": sum(cost["clusterings"] for cost in costs),
            "distances": sum(cost["distances"] for cost in costs),
        },
    }
