"""Paired tests, against scipy's."""

import numpy as np
import pytest
from scipy import stats

from ncdcli.reports.significance import compare_paired, holm, signed_rank


@pytest.mark.parametrize("n", [2, 3, 5, 10, 24])
def test_both_tests_are_those_of_scipy(n):
    rng = np.random.default_rng(n)
    base, other = rng.normal(size=n), rng.normal(0.4, size=n)
    paired = compare_paired(dict(enumerate(base)), dict(enumerate(other)))
    expected = stats.ttest_rel(other, base)
    assert paired.t_test == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval(0.95)
    assert (paired.low, paired.high) == pytest.approx((interval.low, interval.high))
    assert paired.signed_rank == pytest.approx(stats.wilcoxon(other, base, method="exact").pvalue)


def test_many_pairs_take_the_normal_approximation():
    values = np.random.default_rng(0).normal(0.2, size=60)
    expected = stats.wilcoxon(values, method="approx", correction=False).pvalue
    assert signed_rank(values.tolist()) == pytest.approx(expected)


def test_ties_share_their_ranks_and_zeros_are_left_out():
    """Counted by hand: ranks 1.5, 1.5 and 3."""
    assert signed_rank([1.0, 1.0, -2.0, 0.0]) == 1.0
    assert signed_rank([1.0, 1.0, 2.0]) == 0.25
    assert signed_rank([0.0, 0.0]) == 1.0


def test_the_same_difference_in_every_seed():
    assert compare_paired({0: 0.1, 1: 0.2}, {0: 0.1, 1: 0.2}).t_test == 1.0
    assert compare_paired({0: 0.25, 1: 0.5}, {0: 0.5, 1: 0.75}).t_test == 0.0


def test_only_seeds_that_both_have_count():
    paired = compare_paired({0: 0.1, 1: 0.2, 2: 0.9}, {0: 0.2, 1: 0.4, 3: 0.0})
    assert (paired.n, paired.mean) == (2, pytest.approx(0.15))
    assert compare_paired({0: 0.1}, {0: 0.2}) is None


def test_holm_multiplies_the_smallest_by_most():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []
