"""The threads that clustering uses: as many as BLAS is allowed, one where a second one costs more than it brings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from itertools import pairwise
from typing import TypeVar

from threadpoolctl import LibController, ThreadpoolController

T = TypeVar("T")
R = TypeVar("R")

_SMALL = 3e7  # multiply-adds of one sweep, about a millisecond of one core
_CHUNKS = 4  # that a thread gets, so that a late one holds nobody up for long
_pool: ContextVar[tuple[ThreadPoolExecutor, int] | None] = ContextVar("pool", default=None)


@cache
def _blas() -> list[LibController]:
    """The BLAS libraries in this process, looked for once: that takes as long as a small k-means."""
    return [library for library in ThreadpoolController().lib_controllers if library.user_api == "blas"]


def blas_threads() -> int:
    """Number of threads that BLAS may use now (`OMP_NUM_THREADS`, or an outer limit)."""
    return max((library.get_num_threads() for library in _blas()), default=1)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """A context in which every BLAS of the process computes in the thread that calls it."""
    before = [library.get_num_threads() for library in _blas()]
    for library in _blas():
        library.set_num_threads(1)
    try:
        yield
    finally:
        for library, count in zip(_blas(), before, strict=True):
            library.set_num_threads(count)


@contextmanager
def all_blas_threads() -> Iterator[None]:
    """A context in which BLAS computes with as many threads as `each` has in the context around, for large products.

    It parts a product of a few thousand rows better than blocks of rows by `each` do. With many more rows, `each` is as
    good, and does what comes after the product, too.
    """
    pool = _pool.get()
    if pool is None:
        yield
        return
    for library in _blas():
        library.set_num_threads(pool[1])
    try:
        yield
    finally:
        for library in _blas():
            library.set_num_threads(1)


@contextmanager
def threads_for(values: int, k: int) -> Iterator[None]:
    """A context in which `each` has as many threads as BLAS was allowed, and BLAS, called by these, one.

    With rows of `values` numbers in all and few enough centres there is one thread in all: threads that wait for each
    other at thousands of small products made k-means of the 1,797 digits ten times slower on two busy cores.
    """
    if _pool.get() is not None:
        yield
        return
    threads = 1 if values * k < _SMALL else blas_threads()
    with one_blas_thread():
        if threads == 1:
            yield
            return
        with ThreadPoolExecutor(threads) as executor:
            token = _pool.set((executor, threads))
            try:
                yield
            finally:
                _pool.reset(token)


def each(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """`[function(item) for item in items]`, by the threads of the context around."""
    pool = _pool.get()
    if pool is None or len(items) < 2:
        return [function(item) for item in items]
    executor, threads = pool
    chunks = min(threads * _CHUNKS, len(items))
    bounds = [len(items) * i // chunks for i in range(chunks + 1)]
    parts = [items[first:last] for first, last in pairwise(bounds)]
    return [result for part in executor.map(lambda part: [function(item) for item in part], parts) for result in part]
