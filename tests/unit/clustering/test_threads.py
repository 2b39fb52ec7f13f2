import threading
from contextlib import suppress

import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from ncdcli.clustering.threads import all_blas_threads as many
from ncdcli.clustering.threads import blas_threads, each, threads_for


def all_blas_threads():
    np.ones((2, 2)) @ np.ones((2, 2))
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def workers():
    """How many threads take part in the work."""
    barrier = threading.Barrier(2, timeout=0.5)

    def meet(_: int) -> int:
        with suppress(threading.BrokenBarrierError):
            barrier.wait()
        return threading.get_ident()

    return len(set(each(meet, range(2))))


def test_small_problems_have_one_thread_and_large_ones_what_is_set():
    with threadpool_limits(2, user_api="blas"):
        with threads_for(1_797 * 64, 10):
            assert blas_threads() == 1
            assert workers() == 1
            with many():
                assert blas_threads() == 1
        assert all_blas_threads() == {2}
        with threads_for(50_000 * 768, 100):
            assert blas_threads() == 1  # its callers are two
            with many():
                assert blas_threads() == 2
            assert blas_threads() == 1
            assert workers() == 2
            with threads_for(1_797 * 64, 10):  # an inner one changes nothing
                assert workers() == 2
        assert all_blas_threads() == {2}


def test_answers_come_in_the_order_of_the_items():
    with threadpool_limits(2, user_api="blas"), threads_for(50_000 * 768, 100):
        assert each(lambda item: item * item, range(100)) == [item * item for item in range(100)]
