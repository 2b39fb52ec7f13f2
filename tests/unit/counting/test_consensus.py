from zlib import crc32

import numpy as np
import pytest

from ncdcli.counting import consensus
from ncdcli.counting.consensus import median_up, section_of
from ncdcli.counting.kinds import KINDS, SECTIONS, Consensus
from ncdcli.errors import DataError
from ncdcli.recipe.base import import_kind
from ncdcli.recipe.shape import kinds_of

CHEAP = ("ward_acc", "size_filter", "matched_size_filter")


def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize(
    ("estimates", "median"), [([7], 7), ([5, 9], 7), ([5, 8], 7), ([9, 2, 40], 9), ([1, 2, 3, 90], 3), ([4, 4, 9], 4)]
)
def test_the_median_of_an_even_number_is_rounded_up(estimates, median):
    assert median_up(estimates) == median


def test_every_criterion_counts_as_it_would_alone(make_blobs, recorder, key):
    problem = make_blobs(spread=4.0)
    answer = consensus.estimate(problem, Consensus(of=CHEAP, high=14), rng(), recorder)
    alone = {}
    for kind in CHEAP:
        config = section_of(kind, Consensus(high=14))
        assert config.high == 14
        stream = np.random.default_rng([key, crc32(kind.encode())])
        alone[kind] = import_kind(KINDS, kind)(problem, config, stream, recorder)
        assert answer.other_scores[kind] == alone[kind].scores
        assert answer.statistics["estimates"][kind] == alone[kind].k
        assert answer.statistics["intervals"][kind] == list(alone[kind].interval)
    estimates = [member.k for member in alone.values()]
    assert answer.k == sorted(estimates)[1]
    assert answer.statistics["spread"] == max(estimates) - min(estimates)
    holding = [first <= answer.k <= last for first, last in (member.interval for member in alone.values())]
    assert answer.statistics["agreement"] == np.mean(holding)
    costs = [member.statistics["cost"] for member in alone.values()]
    assert answer.statistics["cost"]["distances"] == sum(cost["distances"] for cost in costs)
    for k, score in answer.scores.items():
        assert score == pytest.approx(-np.mean([abs(k - estimate) for estimate in estimates]))
    assert list(answer.scores) == list(range(4, 15))
    assert answer.interval == (min(estimates), max(estimates))


def test_a_criterion_named_twice_counts_twice(make_blobs, recorder):
    problem = make_blobs(spread=4.0)
    once = consensus.estimate(problem, Consensus(of=CHEAP[1:], high=14), rng(), recorder)
    twice = consensus.estimate(problem, Consensus(of=(*CHEAP[1:], "size_filter"), high=14), rng(), recorder)
    counts = once.statistics["estimates"]
    assert twice.k == counts["size_filter"]
    assert once.k == median_up(list(counts.values()))


def test_bounds_go_to_the_criteria_that_have_them():
    config = Consensus(low=5, high=20)
    for kind, section in SECTIONS.items():
        given = section_of(kind, config).model_dump()
        assert given["high"] == 20
        assert given.get("low", 5) == 5
        assert {**given, "low": None, "high": None} == {**section().model_dump(), "low": None, "high": None}


def test_finds_the_number_of_separated_blobs_where_most_criteria_do(make_blobs, recorder):
    of = ("silhouette", "calinski_harabasz", "size_filter")
    answer = consensus.estimate(make_blobs(), Consensus(of=of, high=13), rng(), recorder)
    assert answer.k == 8


@pytest.mark.parametrize("n_known", [1, 4])
def test_the_default_criteria_count_whatever_has_labels(make_blobs, recorder, n_known):
    answer = consensus.estimate(make_blobs(n_known=n_known), Consensus(high=13), rng(), recorder)
    assert answer.interval[0] <= answer.k <= answer.interval[1]


def test_what_one_criterion_cannot_count_the_consensus_cannot(make_blobs, recorder):
    with pytest.raises(DataError, match="`dtc` guides by some known classes"):
        consensus.estimate(make_blobs(n_known=1), Consensus(of=("size_filter", "dtc")), rng(), recorder)


def test_every_criterion_but_the_given_and_the_combined_may_be_named():
    from ncdcli.counting.kinds import CountingConfig

    assert set(SECTIONS) == set(kinds_of(CountingConfig)) - {"fixed", "none", "consensus"}
    for kind in SECTIONS:
        assert Consensus(of=(kind, "silhouette")).of[0] == kind
