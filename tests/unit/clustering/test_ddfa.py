import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from ncdcli.clustering import kmeans
from ncdcli.clustering.base import Problem
from ncdcli.clustering.ddfa import adjust, anchors, cluster, domain_probabilities, factorise
from ncdcli.clustering.kinds import Ddfa, KMeans
from ncdcli.errors import DataError, RecipeError
from ncdcli.metrics.contingency import contingency
from ncdcli.metrics.matching import match_clusters, matched_counts
from ncdcli.metrics.scores import adjusted_rand
from ncdcli.pipeline.context import SilentProgress


def shifted(seed=0, *, k=4, domains=6, n=3000):
    """Classes apart in one direction each, but far less than everything is in two others; domains differ in shares."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.full(k, 0.3), size=domains)
    shares[:k] = 0.8 * np.eye(k) + 0.2 * shares[:k]
    domain = rng.integers(domains, size=n)
    classes = np.array([rng.choice(k, p=shares[each]) for each in domain])
    rows = rng.normal(size=(n, k + 2))
    rows[np.arange(n), classes] += 10
    rows[:, -2:] += 40 * rng.choice([-1, 1], size=(n, 2))
    return rows.astype(np.float32), classes, domain, shares


def accuracy(clusters, classes):
    counts = contingency(clusters, classes).counts
    return matched_counts(counts, match_clusters(counts)).sum() / len(classes)


def silent_tick(*_, **__):
    pass


def solve(problem, silent, seed=0, **fields):
    return cluster(problem, Ddfa(**{"restarts": 5, **fields}), np.random.default_rng(seed), silent)


@pytest.mark.parametrize(
    ("seed", "classifier", "least"),
    [(0, "logistic", 0.98), (1, "logistic", 0.98), (2, "logistic", 0.98), (1, "mlp", 0.9)],
)
def test_shares_tell_classes_apart_that_k_means_cannot(silent, seed, classifier, least):
    rows, classes, domains, _ = shifted(seed)
    problem = Problem(rows, np.full(len(rows), -1), 0, 4, domains=domains)
    answer = solve(problem, silent, classifier=classifier)
    plain = kmeans.cluster(problem, KMeans(restarts=2), np.random.default_rng(0), silent)
    assert accuracy(plain.assignments, classes) < 0.4
    assert accuracy(answer.assignments, classes) > least
    for c in range(4):
        np.testing.assert_allclose(answer.centroids[c], rows[answer.assignments == c].mean(axis=0), rtol=1e-3)


@pytest.mark.parametrize("seed", range(50))
def test_adjustment_is_that_of_the_slow_definition(seed):
    """Bayes' rule row by row; the mixture of classes that explains p(d | x) by least squares."""
    rng = np.random.default_rng(seed)
    k = int(rng.integers(2, 5))
    count = k + int(rng.integers(0, 4))
    shares = rng.dirichlet(np.ones(k), size=count)
    domains = np.concatenate([np.arange(count), rng.integers(count, size=20)])
    probabilities = rng.dirichlet(np.ones(count), size=len(domains))
    found = adjust(probabilities, domains, shares)
    size = [np.mean(domains == d) for d in range(count)]
    for row, own in enumerate(domains):
        of_class = np.array(
            [[shares[d, y] * size[d] / sum(shares[e, y] * size[e] for e in range(count)) for y in range(k)]
             for d in range(count)]
        )  # fmt: skip
        given_x = np.linalg.lstsq(of_class, probabilities[row], rcond=None)[0]
        expected = [given_x[y] * of_class[own, y] for y in range(k)]
        np.testing.assert_allclose(found[row], expected, atol=1e-9)
        assert found[row].argmax() == int(np.argmax(expected))


def mixture(seed, k=3):
    """Shares of classes in 6 domains, and of cells in classes: one cell of each class alone, two of several."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.ones(k), size=6)
    cells = np.concatenate([np.eye(k), rng.random((k, 2))], axis=1)[:, rng.permutation(k + 2)]
    cells *= rng.uniform(0.5, 2, size=cells.shape[1])
    return shares, cells / cells.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("seed", range(20))
def test_shares_are_found_where_each_class_has_a_cell_of_its_own(seed):
    shares, cells = mixture(seed)
    found = factorise(shares @ cells, 3, iterations=1000)
    own = [np.flatnonzero((np.count_nonzero(cells, axis=0) == 1) & (cells[y] > 0))[0] for y in range(3)]
    order = [int(found.cells_of_class[:, m].argmax()) for m in own]
    assert sorted(order) == [0, 1, 2]
    np.testing.assert_allclose(found.classes_of_domain[:, order], shares, atol=1e-3)
    np.testing.assert_allclose(found.cells_of_class[order], cells, atol=1e-3)
    assert found.error < 1e-3


@pytest.mark.parametrize("seed", range(20))
def test_anchors_are_the_corners(seed):
    rng = np.random.default_rng(seed)
    corners = rng.dirichlet(np.ones(8), size=4).T
    inside = corners @ rng.dirichlet(np.ones(4), size=10).T
    order = rng.permutation(14)
    profiles = np.concatenate([corners, inside], axis=1)[:, order]
    assert set(order[anchors(profiles, 4)]) == {0, 1, 2, 3}


def test_no_row_is_scored_by_a_classifier_that_it_trained():
    rows, _, domains, _ = shifted(n=200)
    config = Ddfa(folds=4)
    found = domain_probabilities(rows, domains, config, np.random.default_rng(3), silent_tick)
    fold = np.empty(200, np.int64)
    fold[np.lexsort((np.random.default_rng(3).random(200), domains))] = np.arange(200) % 4
    for number in range(4):
        out = fold == number
        assert len(set(np.bincount(domains[~out], minlength=6) > 0)) == 1  # every domain is trained on
        scaler = StandardScaler().fit(rows[~out])
        engine = LogisticRegression(max_iter=500).fit(scaler.transform(rows[~out]), domains[~out])
        np.testing.assert_allclose(found[out], engine.predict_proba(scaler.transform(rows[out])), atol=1e-6)


def test_known_classes_are_the_first_clusters_and_labels_change_nothing_else(silent):
    rows, classes, domains, _ = shifted()
    labels = np.where((classes < 2) & (np.arange(len(rows)) % 2 == 0), classes, -1)
    answer = solve(Problem(rows, labels, 2, 4, domains=domains), silent)
    assert (answer.assignments[classes < 2] == classes[classes < 2]).mean() > 0.97
    assert answer.matched.tolist() == [0, 1, -1, -1]
    without = solve(Problem(rows, np.full(len(rows), -1), 0, 4, domains=domains), silent)
    assert adjusted_rand(contingency(answer.assignments, without.assignments).counts) == 1


def test_in_the_ncd_setting_the_pool_is_divided_by_its_domains(silent):
    rows, classes, domains, _ = shifted(1, k=5, domains=7, n=5000)
    labels = np.where(classes < 2, classes, -1)
    answer = solve(Problem(rows, labels, 2, 5, novel_only=True, domains=domains), silent)
    assert (answer.assignments[classes < 2] == classes[classes < 2]).all()
    novel = classes >= 2
    assert set(answer.assignments[novel]) == {2, 3, 4}
    assert accuracy(answer.assignments[novel], classes[novel]) > 0.97


def test_the_same_seed_gives_the_same_answer(silent):
    rows, _, domains, _ = shifted(n=600)
    problem = Problem(rows, np.full(600, -1), 0, 3, domains=domains)
    one, two = solve(problem, silent, 4), solve(problem, silent, 4)
    np.testing.assert_array_equal(one.assignments, two.assignments)
    np.testing.assert_array_equal(one.centroids, two.centroids)


@pytest.mark.parametrize("domains", [None, np.array([0, 1, 2, -1] * 5)])
def test_rows_without_a_domain_are_refused(silent, domains):
    rows = np.random.default_rng(0).normal(size=(20, 3))
    with pytest.raises(DataError, match="`ddfa` needs a domain for every sample") as caught:
        solve(Problem(rows, np.full(20, -1), 0, 3, domains=domains), silent)
    assert "data.source" in caught.value.hint


def test_fewer_domains_than_classes_are_refused(silent):
    rows, classes, domains, _ = shifted(n=300)
    with pytest.raises(DataError, match="3 domains for 4 clusters"):
        solve(Problem(rows, np.full(300, -1), 0, 4, domains=domains % 3), silent)
    labels = np.where(classes == 0, 0, -1)  # three novel classes in three domains are enough
    assert solve(Problem(rows, labels, 1, 4, novel_only=True, domains=domains % 3), silent).k <= 4


def test_domains_that_do_not_differ_are_told_of():
    rng = np.random.default_rng(0)
    notes = []
    problem = Problem(rng.normal(size=(500, 3)), np.full(500, -1), 0, 2, domains=rng.integers(4, size=500))
    solve(problem, SilentProgress(notes.append))
    assert len(notes) == 1
    assert notes[0].startswith("domains can hardly be told apart")


def test_small_and_degenerate_problems_have_an_answer(silent):
    one = solve(Problem(np.ones((5, 2)), np.full(5, -1), 0, 1, domains=np.zeros(5, np.int64)), silent)
    assert one.assignments.tolist() == [0] * 5
    each = solve(Problem(np.eye(5), np.full(5, -1), 0, 3, domains=np.arange(5)), silent)
    assert np.isfinite(each.centroids).all()
    equal = solve(Problem(np.zeros((40, 2)), np.full(40, -1), 0, 2, domains=np.arange(40) % 3), silent)
    assert np.isfinite(equal.centroids).all()


@pytest.mark.parametrize("novel_only", [False, True])
@pytest.mark.parametrize("rows", [np.ones((40, 3)), np.diag(np.arange(5.0))], ids=["equal", "five"])
def test_shares_that_are_singular_have_no_condition_number(silent, rows, novel_only):
    """With one row for a domain, or rows all alike, two classes have the same shares in every domain."""
    labels = np.full(len(rows), -1)
    if novel_only:
        labels[0] = 0
    problem = Problem(rows, labels, int(novel_only), 4, novel_only, domains=np.arange(len(rows)) % 4)
    answer = solve(problem, silent)
    assert np.isfinite(answer.centroids).all()
    json.dumps(dict(answer.statistics), allow_nan=False)
    condition = answer.statistics["condition"]
    assert novel_only or condition is None or condition > 1e12


def test_the_condition_number_is_that_of_the_shares(silent):
    rows, _, domains, _ = shifted(n=600)
    answer = solve(Problem(rows, np.full(600, -1), 0, 3, domains=domains), silent)
    assert 1 < answer.statistics["condition"] < 1e6


def test_bad_input_is_refused(silent):
    rows, classes, domains, _ = shifted(n=150)
    labels = np.where(classes < 3, classes, -1)
    with pytest.raises(RecipeError, match="too few for 3 known classes"):
        solve(Problem(rows, labels, 3, 2, domains=domains), silent)
    rows[7] = np.nan
    with pytest.raises(DataError, match="row 7 of 150"):
        solve(Problem(rows, labels, 3, 4, domains=domains), silent)
