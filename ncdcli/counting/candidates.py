"""Which numbers of classes are tried, and which of them cannot be told from the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.checks import check_k
from ncdcli.errors import DataError, RecipeError


def candidate_range(
    low: int | None, high: int | None, *, default: tuple[int, int], most: int, n_known: int, novel_only: bool
) -> tuple[int, int]:
    """Least and greatest k to try: the recipe's where given, `default` otherwise, never above `most` (too few rows).

    Raises RecipeError for bounds that cross or leave no room for the known classes, DataError where the rows are too
    few for the least k.
    """
    if low is not None:
        check_k(low, n_known=n_known, novel_only=novel_only, name="estimate_k.low")
    if high is not None:
        check_k(high, n_known=n_known, novel_only=novel_only, name="estimate_k.high")
    first = default[0] if low is None else low
    if low is None and high is not None:
        first = min(first, high)
    last = max(default[1], first) if high is None else high
    if first > last:
        raise RecipeError(
            f"`estimate_k.low` is {first}, above `estimate_k.high`, {last}",
            hint="k counts known and novel classes together; give low ≤ high, or leave them out",
        )
    if first > most:
        raise DataError(
            f"{first} clusters, the least number to try, cannot be made of these samples (at most {max(most, 0)})",
            hint="give more samples, or a smaller `estimate_k.low`",
        )
    return first, min(last, most)


def best_candidate(scores: Mapping[int, float]) -> int:
    """The candidate with the greatest score, the smallest of equal ones."""
    return min(scores, key=lambda k: (-scores[k], k))


def indistinct(scores: Mapping[int, float], sd: float) -> tuple[int, int]:
    """Least and greatest candidate whose score is within one standard deviation `sd` of the best score."""
    top = max(scores.values())
    near = [k for k, score in scores.items() if score >= top - sd]
    return min(near), max(near)


def near_best(scores: Mapping[int, float], resampled: Mapping[int, NDArray[np.float64]]) -> tuple[int, int]:
    """Least and greatest candidate that falls short of the best by no more than the shortfall's standard deviation.

    `resampled` holds each candidate's score in the same resamples, so that what moves all candidates alike does not
    count: the deviation is that of the difference.
    """
    best = best_candidate(scores)
    near = [k for k in scores if scores[best] - scores[k] <= _deviation(resampled[best] - resampled[k])]
    return min(near), max(near)


def middle_of(estimates: Sequence[int], k: int, *, share: float = 0.9) -> tuple[int, int]:
    """Least and greatest of the middle `share` of repeated estimates, reaching as far as k itself."""
    tail = 50 * (1 - share)
    first, last = np.percentile(estimates, tail, method="lower"), np.percentile(estimates, 100 - tail, method="higher")
    return min(int(first), k), max(int(last), k)


def nearness(found: Sequence[int], low: int, high: int) -> dict[int, float]:
    """Minus the mean distance of every integer in low … high to the numbers found: greatest at their median."""
    values = np.array(found)
    return {k: float(-np.abs(values - k).mean()) for k in range(low, high + 1)}


def _deviation(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def stratified_rows(labels: NDArray[np.int64], size: int | None, rng: np.random.Generator) -> NDArray[np.int64]:
    """Ascending row numbers of a sample of about `size` rows: every label (-1 among them) in its share, at least one.

    All rows where there are no more than `size`, or `size` is None.
    """
    if size is None or len(labels) <= size:
        return np.arange(len(labels))
    rows = []
    for label in np.unique(labels):
        of_label = np.flatnonzero(labels == label)
        rows.append(rng.choice(of_label, max(1, round(size * len(of_label) / len(labels))), replace=False))
    return np.sort(np.concatenate(rows))
