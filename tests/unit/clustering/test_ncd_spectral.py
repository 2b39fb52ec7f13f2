"""NCD spectral clustering: the search sees labelled rows alone, and what it finds is what it clusters by."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from ncdcli.clustering import ncd_spectral
from ncdcli.clustering.base import Problem
from ncdcli.clustering.kinds import NcdSpectral
from ncdcli.clustering.lloyd import lloyd


def rings(n=600, seed=0, *, novel_only=True):
    """Two pairs of rings far from each other; the first pair is known."""
    rng = np.random.default_rng(seed)
    classes, angles = np.arange(n) % 4, rng.random(n) * 2 * np.pi
    radius = 1 + 2 * (classes % 2) + 0.1 * rng.normal(size=n)
    rows = np.stack([radius * np.cos(angles) + 12 * (classes // 2), radius * np.sin(angles)], axis=1)
    labels = np.where(classes < 2, classes, -1)
    if not novel_only:
        labels[rng.random(n) < 0.5] = -1
    return Problem(rows.astype(np.float32), labels, 2, 4, novel_only), classes


@pytest.mark.parametrize("novel_only", [True, False])
@pytest.mark.parametrize("search_samples", [300, 5000])
def test_known_rings_show_how_to_find_the_novel_ones(silent, search_samples, novel_only):
    given, classes = rings(novel_only=novel_only)
    config = NcdSpectral(similarities=8, trials=3, restarts=5, max_components=20, search_samples=search_samples)
    answer = ncd_spectral.cluster(given, config, np.random.default_rng(0), silent)
    assert adjusted_rand_score(answer.assignments, classes) == 1
    assert answer.assignments[:2].tolist() == [0, 1]
    trials = answer.statistics["trials"]
    assert len(trials) == 24
    assert len({trial["similarity"] for trial in trials}) == 8
    assert {trial["components"] for trial in trials} <= set(range(1, 21))
    best = max(trials, key=lambda trial: trial["score"])
    assert answer.statistics["score"] == best["score"] > 0.99
    assert (answer.statistics["similarity"], answer.statistics["components"]) == tuple(best.values())[:2]


@pytest.mark.parametrize("convention", ["paper", "released"])
@pytest.mark.parametrize("seed", range(25))
def test_a_given_pair_is_used_without_a_search(silent, seed, convention):
    given, _ = rings(n=60, seed=seed)
    config = NcdSpectral(similarity=0.3, components=4, sigma_convention=convention)
    answer = ncd_spectral.cluster(given, config, np.random.default_rng(0), silent)
    assert "trials" not in answer.statistics
    # The coordinates, restated from all rows; then k-means of the pool rows among them.
    rows = given.embeddings.astype(np.float64)
    distances = np.linalg.norm(rows[:, None] - rows, axis=2)
    reach = np.unique(distances)  # the least threshold that joins all rows is the longest edge of the spanning tree
    low, high = 0, len(reach) - 1
    while low < high:
        middle = (low + high) // 2
        steps = np.linalg.matrix_power((distances <= reach[middle]).astype(float) / 60, 60)
        low, high = (low, middle) if (steps > 0).all() else (middle + 1, high)
    sigma = reach[low] / np.sqrt(-(2 if convention == "paper" else 1) * np.log(0.3))
    affinity = np.exp(-(distances**2) / (2 * sigma**2)) - np.eye(60)
    roots = np.sqrt(affinity.sum(axis=1))
    _, vectors = np.linalg.eigh(np.eye(60) - affinity / np.outer(roots, roots))
    points = (vectors[:, 1:5] * np.sqrt(60))[given.labels < 0].astype(np.float32)
    found = answer.assignments[given.labels < 0] - 2
    start = np.stack([points[found == c].mean(axis=0) for c in range(2)])
    settled = lloyd(points, start, iterations=1)
    np.testing.assert_array_equal(found, settled.labels)
    assert answer.objective == pytest.approx(np.linalg.norm(points - start[found], axis=1).sum(), rel=1e-4)


def test_one_of_the_two_is_searched_where_the_other_is_given(silent):
    given, _ = rings(n=200)
    config = NcdSpectral(components=3, similarities=4, restarts=2)
    trials = ncd_spectral.cluster(given, config, np.random.default_rng(0), silent).statistics["trials"]
    assert ([t["components"] for t in trials], len({t["similarity"] for t in trials})) == ([3] * 4, 4)
    config = NcdSpectral(similarity=0.5, trials=6, restarts=2)
    trials = ncd_spectral.cluster(given, config, np.random.default_rng(0), silent).statistics["trials"]
    assert ({t["similarity"] for t in trials}, len({t["components"] for t in trials})) == ({0.5}, 6)


def test_without_labelled_rows_it_is_the_untuned_baseline(silent):
    given, _ = rings(n=200)
    alone = Problem(given.embeddings, np.full(200, -1), 0, 4)
    statistics = ncd_spectral.cluster(alone, NcdSpectral(), np.random.default_rng(0), silent).statistics
    assert (statistics["similarity"], statistics["components"]) == (0.6, 4)
    assert "trials" not in statistics


def test_few_labelled_rows_are_all_in_the_search(silent):
    given, classes = rings(n=3000, novel_only=False)
    labels = np.full(3000, -1)
    labels[:40] = np.where(classes[:40] < 2, classes[:40], -1)
    config = NcdSpectral(similarities=15, trials=3, restarts=5, max_components=20, max_samples=1200, search_samples=400)
    answer = ncd_spectral.cluster(Problem(given.embeddings, labels, 2, 4), config, np.random.default_rng(0), silent)
    shown = ("rows_in_graph", "rows_in_search", "labelled_in_search")
    assert [answer.statistics[name] for name in shown] == [1200, 400, 20]
