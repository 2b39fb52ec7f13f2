"""One BLAS thread where a second one costs more than it brings."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache

from threadpoolctl import ThreadpoolController

_SMALL = 3e7  # multiply-adds of one sweep, about a millisecond of one core


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def threads_for(values: int, k: int) -> AbstractContextManager[object]:
    """A context in which BLAS has one thread, where rows of `values` numbers in all meet few enough centres.

    Threads that wait for each other at thousands of small products made k-means of the 1,797 digits ten times slower
    on two busy cores. Larger problems keep the number of threads that is set.
    """
    return _controller().limit(limits=1, user_api="blas") if values * k < _SMALL else nullcontext()
