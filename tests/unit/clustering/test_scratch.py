"""Room that is used again: by the same thread only, and never smaller than asked for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ncdcli.clustering.scratch import Scratch


def test_the_same_room_serves_smaller_arrays_of_any_type():
    scratch = Scratch()
    large = scratch("rows", (10, 20), np.float64)
    small = scratch("rows", (3, 5), np.float32)
    assert small.shape == (3, 5)
    assert small.dtype == np.float32
    assert np.shares_memory(large, small)
    assert scratch("rows", (100, 20), np.float64).shape == (100, 20)
    assert scratch("rows", (0, 4), np.float32).size == 0


def test_names_and_threads_have_their_own():
    scratch = Scratch()
    here = scratch("rows", (50,), np.float64)
    assert not np.shares_memory(here, scratch("distances", (50,), np.float64))
    with ThreadPoolExecutor(1) as other:
        assert not np.shares_memory(here, other.submit(scratch, "rows", (50,), np.float64).result())
