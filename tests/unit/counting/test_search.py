import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from ncdcli.counting.search import search_all, search_brent


class Counted:
    def __init__(self, score):
        self.score, self.asked = score, []

    def __call__(self, k):
        self.asked.append(k)
        return self.score(k)


@pytest.mark.parametrize("peak", [5, 6, 17, 42, 99, 104, 105])
@pytest.mark.parametrize(
    "shape",
    [lambda k, peak: -((k - peak) ** 2), lambda k, peak: -abs(k - peak), lambda k, peak: 1 / (1 + abs(k - peak))],
)
def test_finds_the_only_peak_without_asking_twice(shape, peak):
    score = Counted(lambda k: shape(k, peak))
    scores = search_brent(score, 5, 105)
    assert max(scores, key=scores.get) == peak
    assert len(score.asked) == len(set(score.asked)) <= 20
    assert all(5 <= k <= 105 for k in score.asked)


def test_asks_for_far_fewer_than_scipy_on_reals_cut_to_integers():
    def accuracy(k):  # rises to 200, then falls slowly, with ripples
        return 0.8 - 0.002 * abs(k - 200) ** 0.9 + 0.004 * np.sin(k)

    theirs = Counted(lambda k: accuracy(int(k)))
    minimize_scalar(lambda x: -theirs(int(x)), bounds=(100, 1000), method="bounded")
    ours = Counted(accuracy)
    scores = search_brent(ours, 100, 1000)
    assert len(ours.asked) < len(theirs.asked)
    assert max(scores.values()) >= max(accuracy(k) for k in theirs.asked) - 0.005


@pytest.mark.parametrize(("low", "high"), [(3, 3), (3, 4), (3, 5)])
def test_tiny_ranges_are_covered(low, high):
    assert sorted(search_brent(lambda k: 0.0, low, high)) == list(range(low, high + 1)) or low < high
    assert set(search_brent(lambda k: float(k), low, high)) >= {high}
    assert set(search_brent(lambda k: -float(k), low, high)) >= {low}


def test_every_candidate():
    assert search_all(lambda k: k / 2, 2, 4) == {2: 1.0, 3: 1.5, 4: 2.0}
