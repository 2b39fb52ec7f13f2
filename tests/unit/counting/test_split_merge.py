from types import SimpleNamespace

import numpy as np
import pytest

from ncdcli.counting import split_merge
from ncdcli.counting.kinds import SplitMerge
from ncdcli.errors import RecipeError


def rng():
    return np.random.default_rng(0)


@pytest.fixture
def make_find_k(monkeypatch):
    """Replaces the mixture by one that ends at given numbers of clusters, and keeps what it was asked."""

    def make(*ends):
        asked = []

        def find_k(problem, config, stream, progress):
            asked.append((problem, config, stream.random()))
            end = ends[len(asked) - 1]
            return SimpleNamespace(k=end), [10, end]

        monkeypatch.setattr(split_merge, "find_k", find_k)
        return asked

    return make


def test_the_answer_is_the_median_of_the_runs(make_blobs, recorder, make_find_k):
    make_find_k(9, 7, 12, 8)
    answer = split_merge.estimate(make_blobs(), SplitMerge(restarts=4), rng(), recorder)
    assert answer.k == 8  # the lower of two middle ones
    assert answer.interval == (7, 12)
    assert answer.statistics["found"] == [9, 7, 12, 8]
    assert answer.statistics["rounds"] == [[10, 9], [10, 7], [10, 12], [10, 8]]
    assert answer.scores[8] == pytest.approx(-np.mean([1, 1, 4, 0]))
    assert list(answer.scores) == list(range(4, 23))
    assert answer.statistics["cost"] == {"rows": 240, "clusterings": 4, "distances": 240 * (4 * 10 + 9 + 7 + 12 + 8)}


def test_answers_outside_the_range_count_as_its_ends(make_blobs, recorder, make_find_k):
    make_find_k(40, 3, 50)
    answer = split_merge.estimate(make_blobs(), SplitMerge(low=5, high=12, restarts=3), rng(), recorder)
    assert (answer.k, answer.interval) == (12, (5, 12))
    assert any("outside the range 5 to 12: at [3, 40, 50] clusters" in note for note in recorder.notes)


def test_every_run_has_its_own_stream_and_no_k(make_blobs, recorder, make_find_k):
    asked = make_find_k(8, 8, 8)
    config = SplitMerge(restarts=3, start=6, rounds=4, explore=0.1)
    split_merge.estimate(make_blobs(novel_only=True), config, rng(), recorder)
    assert len({number for _, _, number in asked}) == 3
    for problem, section, _ in asked:
        assert (problem.k, problem.n_known, problem.novel_only) == (None, 4, True)
        assert (section.start, section.rounds, section.explore) == (6, 4, 0.1)


def test_bounds_that_make_no_sense_are_refused(make_blobs, recorder, make_find_k):
    make_find_k()
    with pytest.raises(RecipeError, match=r"`estimate_k.low` is 3, too few for 4 known classes"):
        split_merge.estimate(make_blobs(), SplitMerge(low=3), rng(), recorder)
