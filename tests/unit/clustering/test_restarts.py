"""How several restarts become one answer."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from ncdcli.clustering.base import Problem
from ncdcli.clustering.kinds import KMeans, SemiKMeans
from ncdcli.clustering.kmeans import cluster as kmeans
from ncdcli.clustering.lloyd import lloyd
from ncdcli.clustering.restarts import NestedFits, best_of, by_objective, fit, seeding_sample, settle
from ncdcli.clustering.seeding import plus_plus
from ncdcli.clustering.semi_kmeans import cluster as semi_kmeans
from ncdcli.errors import RecipeError

RULES = ("consensus", "lowest_objective", "medoid", "held_out")


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    return (rng.normal(size=(12, 4))[rng.integers(12, size=300)] + 0.7 * rng.normal(size=(300, 4))).astype(np.float32)


@pytest.fixture
def partitions(rows):
    return fit(rows, 8, restarts=7, iterations=50, rng=np.random.default_rng(1))


def never(centres):
    raise AssertionError("only consensus starts again")


def test_equal_objectives_keep_the_order_of_the_restarts(partitions) -> None:
    values = [3.0, 2.0 + 1e-12, 5.0, 2.0, 3.0 - 1e-11, 2.1, 2.0]
    some = [replace(partition, objective=value) for partition, value in zip(partitions, values, strict=True)]
    assert by_objective(some).tolist() == [1, 3, 6, 5, 0, 4, 2]
    assert best_of(some) == 1


def test_lowest_objective(rows, partitions) -> None:
    settled = settle(partitions, "lowest_objective", rows, again=never)
    assert settled.partition.objective == min(p.objective for p in partitions)


def test_medoid_is_the_one_most_like_the_others(rows, partitions) -> None:
    scores = np.zeros(len(partitions))
    for a, b in combinations(range(len(partitions)), 2):
        scores[[a, b]] += adjusted_rand_score(partitions[a].labels, partitions[b].labels)
    assert settle(partitions, "medoid", rows, again=never).statistics["best_restart"] == scores.argmax()


def test_held_out_weighs_accuracy_and_objective_alike(rows, partitions) -> None:
    accuracies = [0.1, 0.2, 0.9, 0.3, 0.1, 0.2, 0.1]
    objectives = np.array([p.objective for p in partitions])
    z = (np.array(accuracies) - np.mean(accuracies)) / np.std(accuracies)
    z -= (objectives - objectives.mean()) / objectives.std()
    settled = settle(partitions, "held_out", rows, again=never, held_out=lambda: accuracies)
    assert settled.statistics["best_restart"] == z.argmax()


def test_held_out_without_known_classes_is_refused(rows, partitions) -> None:
    with pytest.raises(RecipeError, match="held_out"):
        settle(partitions, "held_out", rows, again=never)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("method", "config"), [(kmeans, KMeans), (semi_kmeans, SemiKMeans)])
def test_every_rule_gives_nearest_centres_and_the_same_answer_twice(method, config, rule, rows, silent) -> None:
    labels = np.where(np.arange(300) % 3 == 0, np.arange(300) // 3 % 4, -1)
    problem = Problem(rows, labels, 4, 8)
    answers = [
        method(problem, config(restarts_rule=rule, restarts=5), np.random.default_rng(3), silent) for _ in range(2)
    ]
    np.testing.assert_array_equal(answers[0].assignments, answers[1].assignments)
    assert answers[0].statistics["rule"] == rule
    distances = np.linalg.norm(rows[:, None] - answers[0].centroids[None], axis=2)
    free = labels < 0 if config is SemiKMeans else slice(None)
    np.testing.assert_array_equal(answers[0].assignments[free], distances.argmin(axis=1)[free])


def test_held_out_rows_are_not_pinned_when_they_score(silent) -> None:
    """Two starts: in one, the free cluster sits on known class 1, whose held-out rows it takes away."""
    rng = np.random.default_rng(0)
    middles = np.array([[0, 0], [10, 0], [5, 9]], np.float32)
    truth = np.repeat([0, 1, 2], 40)
    rows = (middles[truth] + rng.normal(size=(120, 2))).astype(np.float32)
    labels = np.where((truth < 2) & (np.arange(120) % 2 == 0), truth, -1)
    config = SemiKMeans(init="gcd", restarts=6, restarts_rule="held_out")
    answer = semi_kmeans(Problem(rows, labels, 2, 3), config, np.random.default_rng(0), silent)
    np.testing.assert_array_equal(answer.assignments, truth)


@pytest.mark.parametrize("init", ["matched", "gcd", "greedy", "mixed"])
def test_every_start_finds_clear_clusters(init, silent) -> None:
    rng = np.random.default_rng(0)
    middles = 12 * rng.normal(size=(6, 5))
    truth = rng.integers(6, size=400)
    rows = (middles[truth] + rng.normal(size=(400, 5))).astype(np.float32)
    labels = np.where((truth < 3) & (rng.random(400) < 0.5), truth, -1)
    answer = semi_kmeans(Problem(rows, labels, 3, 6), SemiKMeans(init=init), np.random.default_rng(0), silent)
    assert len(set(zip(answer.assignments.tolist(), truth.tolist(), strict=True))) == 6
    np.testing.assert_array_equal(answer.assignments[truth < 3], truth[truth < 3])


def test_starts_are_drawn_from_a_sample_of_the_rows_or_all() -> None:
    rows = np.arange(1000, dtype=np.float32)[:, None]
    sample = seeding_sample(rows, 50, 8, np.random.default_rng(0))
    assert len(np.unique(sample)) == 50
    assert np.isin(sample, rows).all()
    assert len(seeding_sample(rows, 50, 80, np.random.default_rng(0))) == 80  # at least one for each centre
    assert seeding_sample(rows, None, 8, np.random.default_rng(0)) is rows


def test_nested_fits_start_from_the_first_rows_that_were_drawn(rows) -> None:
    fits = NestedFits(rows, 9, 3, 50, np.random.default_rng(5))
    drawn = plus_plus(rows, 9, rngs=np.random.default_rng(5).spawn(3), greedy=True)
    for k in (4, 9, 2):
        for ours, start in zip(fits(k), drawn, strict=True):
            alone = lloyd(rows, rows[start[:k]], iterations=50)
            np.testing.assert_array_equal(ours.labels, alone.labels)
            assert ours.objective == alone.objective
