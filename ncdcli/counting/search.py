"""The integer with the greatest score, found without scoring them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping

Search = Callable[[Callable[[int], float], int, int], dict[int, float]]

_GOLDEN = (3 - 5**0.5) / 2


def search_all(score: Callable[[int], float], low: int, high: int) -> dict[int, float]:
    """The score of every integer in low … high."""
    return {k: score(k) for k in range(low, high + 1)}


def search_patiently(patience: int) -> Search:
    """A search of every integer from low on that ends after `patience` integers whose scores are no new best."""

    def search(score: Callable[[int], float], low: int, high: int) -> dict[int, float]:
        scores = {low: score(low)}
        best = low
        for k in range(low + 1, high + 1):
            if k - best > patience:
                break
            scores[k] = score(k)
            best = k if scores[k] > scores[best] else best
        return scores

    return search


def search_brent(score: Callable[[int], float], low: int, high: int) -> dict[int, float]:
    """The scores of the integers that a bounded Brent search visits in low … high; each is scored once.

    Golden-section steps, and parabolic ones where three scores fit a parabola (Brent 1973, chapter 5), on integers: a
    proposed point is rounded to the nearest integer in the bracket that has no score yet, and the search ends when
    the bracket holds none. GCD's released code runs the same search on real numbers cut to integers, with no memory.
    """
    scores: dict[int, float] = {}

    def cost(k: int) -> float:
        scores[k] = -score(k)
        return scores[k]

    a, b = low - 1, high + 1  # the bracket, ends excluded: they are outside or have been beaten
    best = _new_integer(a + _GOLDEN * (b - a), a, b, scores)
    if best is None:
        return {}
    second = third = best
    cost(best)
    while (target := _new_integer(_propose(scores, best, second, third, a, b), a, b, scores)) is not None:
        value = cost(target)
        if value <= scores[best]:
            a, b = (best, b) if target > best else (a, best)
            best, second, third = target, best, second
        else:
            a, b = (a, target) if target > best else (target, b)
            if value <= scores[second] or second == best:
                second, third = target, second
            elif value <= scores[third] or third in (best, second):
                third = target
    return {k: -value for k, value in sorted(scores.items())}


def _propose(costs: dict[int, float], x: int, w: int, v: int, a: int, b: int) -> float:
    """The bottom of the parabola through three points where there is one inside the bracket, else a golden step."""
    if len({x, w, v}) == 3:
        r = (x - w) * (costs[x] - costs[v])
        q = (x - v) * (costs[x] - costs[w])
        denominator = 2 * (q - r)
        if denominator != 0:
            bottom = x - ((x - v) * q - (x - w) * r) / denominator
            if a < bottom < b and abs(bottom - x) <= (b - a) / 2:
                return bottom
    return x + _GOLDEN * ((b - x) if x < (a + b) / 2 else (a - x))


def _new_integer(target: float, a: int, b: int, scored: dict[int, float]) -> int | None:
    """The integer strictly between a and b nearest to `target` that has no score yet; the smaller of two."""
    candidates = (k for k in range(a + 1, b) if k not in scored)
    return min(candidates, key=lambda k: (abs(k - target), k), default=None)


SEARCHES: Mapping[str, Search] = {"all": search_all, "brent": search_brent}
