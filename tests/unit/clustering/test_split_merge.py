"""The ratio against densities computed row by row, and what the known classes teach it."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.special import gammaln
from scipy.stats import multivariate_t

from ncdcli.clustering.split_merge import Judge, halves, make_judge, nearest_mean


def judge_of(rng, d, power=1.0):
    root = rng.normal(size=(d, d))
    return Judge(rng.normal(size=d), root @ root.T + np.eye(d), mean_strength=0.3, power=power)


def predictive(judge, points):
    """The log marginal likelihood as the product of each row's density given the rows before it."""
    d = judge.dimensions
    total, mean, strength, freedom, width = 0.0, judge.mean, judge.mean_strength, d + 2.0, judge.width
    for row in points[:, :d]:
        shape = width * (strength + 1) / (strength * (freedom - d + 1))
        total += multivariate_t(mean, shape, df=freedom - d + 1).logpdf(row)
        width = width + strength / (strength + 1) * np.outer(row - mean, row - mean)
        mean = (strength * mean + row) / (strength + 1)
        strength, freedom = strength + 1, freedom + 1
    return total


@pytest.mark.parametrize("seed", range(50))
def test_marginal_likelihood_is_the_product_of_predictive_densities(seed):
    rng = np.random.default_rng(seed)
    d = int(rng.integers(1, 6))
    judge = judge_of(rng, d)
    points = rng.normal(size=(int(rng.integers(1, 9)), d + 2)) * 3
    assert judge.log_likelihood(points) == pytest.approx(predictive(judge, points), rel=1e-9)


@pytest.mark.parametrize("seed", range(50))
def test_the_ratio_is_the_one_of_the_definition_and_turns_at_its_power(seed):
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(4, 3)), rng.normal(size=(6, 3)) + 3
    judge = judge_of(rng, 3, power=0.7)
    both = np.concatenate([first, second])
    evidence = predictive(judge, first) + predictive(judge, second) - predictive(judge, both)
    assert judge.gain(first, second) == pytest.approx(gammaln(4) + gammaln(6) - gammaln(10) + 0.7 * evidence, rel=1e-8)
    turn = judge.turning_power(first, second)
    if evidence <= 0:
        assert turn == np.inf
    else:
        at_turn = Judge(judge.mean, judge.width, judge.mean_strength, power=turn)
        assert at_turn.gain(first, second) == pytest.approx(0, abs=1e-8)


def test_one_gaussian_is_one_cluster_and_two_far_ones_are_two():
    rng = np.random.default_rng(0)
    one = rng.normal(size=(400, 4))
    judge = Judge(np.zeros(4), np.eye(4), mean_strength=0.1)
    second = halves(one, judge, rng)
    assert judge.gain(one[~second], one[second]) < 0
    assert judge.gain(one, one + np.array([8, 0, 0, 0])) > 0


def test_halves_are_those_of_two_means_and_never_small():
    rng = np.random.default_rng(0)
    judge = Judge(np.zeros(2), np.eye(2), mean_strength=0.1)
    points = np.concatenate([rng.normal(size=(20, 2)), rng.normal(size=(30, 2)) + 20])
    second = halves(points, judge, rng)
    assert sorted([second.sum(), (~second).sum()]) == [20, 30]
    assert len({*second[:20]}) == 1
    assert halves(points[:25], judge, rng) is None  # 20 and 5
    assert halves(points[:11], judge, rng) is None


def make_classes(rng, *, lobes, n=80, d=3):
    """Classes of two lobes each, which the plain ratio takes for two clusters."""
    groups = []
    for c in range(6):
        rows = rng.normal(size=(n, d))
        rows[:, 0] += lobes * (np.arange(n) % 2)
        rows[:, 1] += 12 * c
        groups.append(rows)
    return groups


def test_known_classes_of_two_lobes_lower_the_power_until_they_are_not_split():
    rng = np.random.default_rng(0)
    groups = make_classes(rng, lobes=7)
    points = np.concatenate(groups)
    plain = make_judge(points, groups, calibrate=False, dimensions=3, mean_strength=0.1, rng=rng)
    taught = make_judge(points, groups, calibrate=True, dimensions=3, mean_strength=0.1, rng=rng)
    parts = [(g[~h], g[h]) for g in groups if (h := halves(g, plain, rng)) is not None]
    assert all(plain.gain(*part) > 0 for part in parts)
    assert all(taught.gain(*part) < 0 for part in parts)
    assert all(taught.gain(a, b) > 0 for a, b in pairwise(groups))
    assert (plain.power, taught.power < 1) == (1, True)


def test_round_known_classes_leave_the_power_at_one():
    rng = np.random.default_rng(0)
    groups = make_classes(rng, lobes=0)
    taught = make_judge(np.concatenate(groups), groups, calibrate=True, dimensions=3, mean_strength=0.1, rng=rng)
    assert taught.power == 1


def test_the_number_of_components_is_the_one_that_tells_known_classes_apart():
    rng = np.random.default_rng(0)
    groups = [rng.normal(size=(60, 70)) for _ in range(6)]
    for c, group in enumerate(groups):
        group[:, 10 + c] += 9  # where they differ is beyond the first four and eight columns
    points = np.concatenate(groups)
    taught = make_judge(points, groups, calibrate=True, dimensions=None, mean_strength=0.1, rng=rng)
    assert taught.dimensions == 16


@pytest.mark.parametrize("groups", [0, 1])
def test_without_two_known_classes_nothing_is_learnt(groups):
    rng = np.random.default_rng(0)
    points = rng.normal(size=(50, 5))
    judge = make_judge(points, [points[:20]][:groups], calibrate=True, dimensions=None, mean_strength=0.1, rng=rng)
    assert judge.power == 1
    assert np.isfinite(judge.log_likelihood(points))


def test_nearest_mean_by_the_width_of_clusters():
    judge = Judge(np.zeros(2), np.diag([100.0, 1.0]), mean_strength=0.1)
    means = np.array([[0.0, 0], [15, 0], [0, 3]])
    assert nearest_mean(means, judge).tolist() == [1, 0, 0]
    barred = np.array([[True, True, False], [True, True, True], [False, True, True]])
    assert nearest_mean(means, judge, barred=barred).tolist() == [2, -1, 0]
