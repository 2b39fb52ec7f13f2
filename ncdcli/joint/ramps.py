"""Numbers that change with the epoch."""

from __future__ import annotations

from math import exp


def linear_ramp(first: float, last: float, *, epoch: int, epochs: int) -> float:
    """The value in an epoch, counted from 0: from `first` to `last` in `epochs` equal steps, then `last`.

    The last of the `epochs` has `last` already, as NumPy's `linspace` over them.
    """
    if epoch >= epochs - 1:
        return last
    return first + (last - first) * epoch / (epochs - 1)


def sigmoid_ramp(*, epoch: float, epochs: float) -> float:
    """exp(−5 (1 − t)²) with t from 0 to 1 over `epochs`, then 1 (Laine & Aila 2017, arXiv 1610.02242, section 3.1)."""
    if epochs <= 0:
        return 1.0
    rest = 1.0 - min(max(epoch / epochs, 0.0), 1.0)
    return exp(-5.0 * rest * rest)
