"""Whether two methods differ over the same seeds: paired t-test and Wilcoxon signed-rank test, both two-sided."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

EXACT = 25  # pairs up to which the signed-rank distribution is counted out


@dataclass(frozen=True)
class Paired:
    """The difference of two methods over the seeds that both have."""

    n: int
    mean: float  # of `other − base`
    low: float  # 95 % confidence interval of the mean, by the t distribution
    high: float
    t_test: float  # p-value; 1 where all differences are zero, 0 where all are the same and not zero
    signed_rank: float  # p-value; its least possible value is 2 / 2ⁿ

    def as_json(self) -> dict[str, Any]:
        return {
            "n": self.n,
            "mean": self.mean,
            "interval": [self.low, self.high],
            "paired_t": self.t_test,
            "wilcoxon": self.signed_rank,
        }


def compare_paired(base: Mapping[int, float], other: Mapping[int, float]) -> Paired | None:
    """The tests over the seeds that both have; None with fewer than two of them."""
    seeds = sorted(base.keys() & other.keys())
    if len(seeds) < 2:
        return None
    differences = [other[seed] - base[seed] for seed in seeds]
    mean, error = statistics.fmean(differences), statistics.stdev(differences) / math.sqrt(len(seeds))
    half = _t_quantile(len(seeds) - 1) * error
    return Paired(
        len(seeds), mean, mean - half, mean + half, _paired_t(mean, error, len(seeds) - 1), signed_rank(differences)
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values corrected for their number, in their order (Holm 1979)."""
    order = sorted(range(len(p_values)), key=lambda position: p_values[position])
    corrected, least = [0.0] * len(p_values), 0.0
    for rank, position in enumerate(order):
        least = max(least, min(1.0, (len(p_values) - rank) * p_values[position]))
        corrected[position] = least
    return corrected


def signed_rank(differences: Sequence[float]) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test (1945): zeros are left out, ties get their mean rank.

    Counted out over all signs for up to 25 differences, by the normal approximation with tie correction above.
    """
    values = [value for value in differences if value != 0]
    n = len(values)
    if not n:
        return 1.0
    ranks = _ranks([abs(value) for value in values])
    above = sum(rank for rank, value in zip(ranks, values, strict=True) if value > 0)
    if n > EXACT:
        middle = n * (n + 1) / 4
        spread = math.sqrt(sum(rank**2 for rank in ranks) / 4)
        return math.erfc(abs(above - middle) / spread / math.sqrt(2))
    counts = {0.0: 1}  # sum of the ranks with a plus -> in how many ways
    for rank in ranks:
        grown = dict(counts)
        for total, ways in counts.items():
            grown[total + rank] = grown.get(total + rank, 0) + ways
        counts = grown
    extreme = min(above, sum(ranks) - above)
    tail = sum(ways for total, ways in counts.items() if total <= extreme + 1e-9)
    return min(1.0, 2 * tail / 2**n)


def _paired_t(mean: float, error: float, freedom: int) -> float:
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    from scipy.special import stdtr

    return float(2 * stdtr(freedom, -abs(mean / error)))


def _t_quantile(freedom: int) -> float:
    """The 97.5 % point of the t distribution."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 0.975))


def _ranks(values: Sequence[float]) -> list[float]:
    """Rank of each value from 1, equal values sharing their mean rank."""
    ordered = sorted(values)
    return [ordered.index(value) + (ordered.count(value) + 1) / 2 for value in values]
