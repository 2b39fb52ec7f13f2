import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits

from ncdcli.clustering.threads import threads_for


def blas_threads():
    np.ones((2, 2)) @ np.ones((2, 2))
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def test_small_problems_have_one_thread_and_large_ones_what_is_set():
    with threadpool_limits(2, user_api="blas"):
        with threads_for(1_797 * 64, 10):
            assert blas_threads() == {1}
        assert blas_threads() == {2}
        with threads_for(50_000 * 768, 100):
            assert blas_threads() == {2}
