import numpy as np
import pytest

from ncdcli.clustering import semi_kmeans
from ncdcli.clustering.base import Problem
from ncdcli.clustering.kinds import Laplacian, SemiKMeans
from ncdcli.clustering.laplacian import cluster, neighbour_votes
from ncdcli.errors import DataError, RecipeError


def blobs(seed=0, *, k=5, each=30, d=6, spread=8.0):
    rng = np.random.default_rng(seed)
    classes = np.repeat(np.arange(k), each)
    rows = rng.normal(size=(k, d))[classes] * spread + rng.normal(size=(k * each, d))
    return rows.astype(np.float32), classes


def half_labelled(classes, n_known):
    labels = np.where(classes < n_known, classes, -1)
    labels[::2] = -1
    return labels


def solve(problem, silent, seed=0, **fields):
    return cluster(problem, Laplacian(**{"restarts": 3, **fields}), np.random.default_rng(seed), silent)


def slow_votes(rows, count):
    """Who is among whose nearest, in a matrix, scaled by both degrees; half of it, and half of the identity."""
    n = len(rows)
    graph = np.zeros((n, n))
    for i in range(n):
        near = sorted((float(np.square(rows[i] - rows[j], dtype=np.float64).sum()), j) for j in range(n) if j != i)
        for _, j in near[:count]:
            graph[i, j] += 0.5
            graph[j, i] += 0.5
    degrees = graph.sum(axis=1)
    return np.array([[0.5 * graph[i, j] / np.sqrt(degrees[i] * degrees[j]) for j in range(n)] for i in range(n)]) + (
        0.5 * np.eye(n)
    )


def solve_slowly(problem, config, centres):
    """The objective of the docstring, minimised sample by sample; the objectives and the clusters."""
    rows, labels, k = problem.embeddings.astype(np.float64), problem.labels, problem.k
    n, first = len(rows), problem.n_known if problem.novel_only else 0
    votes = slow_votes(problem.embeddings, config.neighbours)
    centres = centres.astype(np.float64)

    def cost(i, c):
        return np.square(rows[i] - centres[c]).sum()

    free = [i for i in range(n) if labels[i] < 0]
    unit = np.mean([np.subtract(*sorted((cost(i, c) for c in range(first, k)), reverse=True)[-2:]) for i in free])

    def soft(y, with_votes):
        new = y.copy()
        for i in free:
            for c in range(k):
                vote = config.weight * sum(votes[i, j] * y[j, c] for j in range(n)) if with_votes else 0
                new[i, c] = np.exp((vote - cost(i, c) / unit) / config.temperature) if c >= first else 0
            new[i] /= new[i].sum()
        return new

    def objective(y):
        total = sum(y[i, c] * cost(i, c) / unit for i in range(n) for c in range(k))
        total -= config.weight / 2 * sum(votes[i, j] * (y[i] @ y[j]) for i in range(n) for j in range(n))
        return total + config.temperature * sum(p * np.log(p) for p in y.ravel() if p > 0)

    y = np.zeros((n, k))
    for i in range(n):
        if labels[i] >= 0:
            y[i, labels[i]] = 1
    y = soft(y, with_votes=False)
    objectives = [objective(y)]
    for _ in range(config.iterations):
        y = soft(y, with_votes=True)
        for c in range(k):
            if y[:, c].sum() > 0:
                centres[c] = sum(y[i, c] * rows[i] for i in range(n)) / y[:, c].sum()
        objectives.append(objective(y))
        if objectives[-2] - objectives[-1] <= config.tolerance * n:
            break
    return objectives, y.argmax(axis=1)


@pytest.mark.parametrize("seed", range(50))
def test_objectives_and_clusters_are_those_of_the_slow_definition(silent, seed):
    rng = np.random.default_rng(seed)
    rows, classes = blobs(seed, k=3, each=8, d=3, spread=1.5)
    novel_only = bool(seed % 3 == 0)
    labels = np.where(classes == 0, 0, -1) if novel_only else half_labelled(classes, 2)
    problem = Problem(rows, labels, int(labels.max()) + 1, 4, novel_only)
    config = Laplacian(
        weight=float(rng.uniform(0, 5)), temperature=float(rng.uniform(0.2, 1)), neighbours=3, iterations=4, restarts=2
    )
    start = semi_kmeans.cluster(problem, SemiKMeans(restarts=2), np.random.default_rng(seed), silent)
    answer = cluster(problem, config, np.random.default_rng(seed), silent)
    objectives, clusters = solve_slowly(problem, config, start.centroids)
    np.testing.assert_allclose(answer.statistics["objectives"], objectives, rtol=1e-3)  # start.centroids are float32
    np.testing.assert_array_equal(answer.assignments, clusters)
    assert answer.objective == answer.statistics["objectives"][-1]


@pytest.mark.parametrize("seed", range(20))
def test_the_objective_never_rises(silent, seed):
    rng = np.random.default_rng(seed)
    rows, classes = blobs(seed, k=6, each=20, spread=float(rng.uniform(0.5, 3)))
    fields = {"weight": float(10 ** rng.uniform(-1, 2)), "temperature": float(10 ** rng.uniform(-2, 1))}
    neighbours = int(rng.integers(1, 30))
    problem = Problem(rows, half_labelled(classes, 3), 3, 7)
    values = solve(problem, silent, seed, **fields, neighbours=neighbours, tolerance=0).statistics["objectives"]
    assert len(values) > 1
    assert (np.diff(values) <= 1e-9 * np.abs(values[:-1])).all()


@pytest.mark.parametrize("neighbours", [1, 4, 100])
def test_votes_are_symmetric_and_positive_semidefinite(neighbours):
    rows = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    votes = neighbour_votes(rows, neighbours).toarray()
    np.testing.assert_allclose(votes, votes.T)
    np.testing.assert_allclose(votes, slow_votes(rows, neighbours), atol=1e-12)
    values = np.linalg.eigvalsh(votes)
    assert values.min() >= -1e-12
    assert values.max() <= 1 + 1e-12


@pytest.mark.parametrize("seed", range(5))
def test_hard_memberships_without_votes_stay_where_semi_kmeans_ended(silent, seed):
    rows, classes = blobs(seed, spread=1.0)
    problem = Problem(rows, half_labelled(classes, 3), 3, 5)
    start = semi_kmeans.cluster(problem, SemiKMeans(restarts=3, tolerance=0), np.random.default_rng(seed), silent)
    answer = solve(problem, silent, seed, weight=0.0, temperature=1e-6, tolerance=0.0)
    np.testing.assert_array_equal(answer.assignments, start.assignments)
    np.testing.assert_allclose(answer.centroids, start.centroids, atol=1e-3)
    np.testing.assert_array_equal(answer.matched, start.matched)


def two_arcs():
    """Two half circles that reach into each other, and four labels."""
    rng = np.random.default_rng(0)
    angles, classes = rng.uniform(0, np.pi, 400), np.arange(400) % 2
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    rows[classes == 1] = [1, 0.5] - rows[classes == 1]
    rows += rng.normal(size=rows.shape) * 0.05
    return rows.astype(np.float32), classes


def test_neighbours_carry_labels_round_a_bend(silent):
    rows, classes = two_arcs()
    labels = np.where(np.arange(400) < 40, classes, -1)
    problem = Problem(rows, labels, 2, 2)
    alone = solve(problem, silent, weight=0.0, temperature=10.0)
    together = solve(problem, silent, weight=20.0, temperature=10.0)
    assert (alone.assignments == classes).mean() < 0.85
    np.testing.assert_array_equal(together.assignments, classes)


@pytest.mark.parametrize("novel_only", [False, True])
def test_labelled_rows_keep_their_class_and_the_pool_its_clusters(silent, novel_only):
    rows, classes = blobs(2, spread=1.0)
    labels = np.where(classes < 2, classes, -1) if novel_only else half_labelled(classes, 2)
    answer = solve(Problem(rows, labels, 2, 5, novel_only), silent)
    assert (answer.assignments[labels >= 0] == labels[labels >= 0]).all()
    assert answer.matched.tolist() == [0, 1, -1, -1, -1]
    if novel_only:
        assert answer.assignments[labels < 0].min() >= 2


def test_large_offsets_do_not_drown_the_distances(silent):
    rows, classes = blobs()
    labels = half_labelled(classes, 3)
    far = rows.astype(np.float64) + 1e5
    answer = solve(Problem(far, labels, 3, 5), silent)
    assert len(set(zip(answer.assignments, classes, strict=True))) == 5
    np.testing.assert_allclose(answer.centroids[0], far[classes == 0].mean(axis=0), rtol=1e-5)


def test_one_row_equal_rows_and_no_pool_have_an_answer(silent):
    single = solve(Problem(np.array([[2.0, 1.0]]), np.array([-1]), 0, 1), silent)
    assert single.assignments.tolist() == [0]
    equal = solve(Problem(np.zeros((6, 3)), np.array([0, 0, -1, -1, -1, -1]), 1, 3), silent)
    assert np.isfinite(equal.centroids).all()
    rows, classes = blobs(k=2)
    all_known = solve(Problem(rows, classes, 2, 2), silent)
    np.testing.assert_array_equal(all_known.assignments, classes)


def test_bad_input_is_refused(silent):
    rows, classes = blobs()
    labels = half_labelled(classes, 3)
    with pytest.raises(RecipeError, match="too few for 3 known classes"):
        solve(Problem(rows, labels, 3, 2), silent)
    rows[7] = np.nan
    with pytest.raises(DataError, match="row 7 of 150"):
        solve(Problem(rows, labels, 3, 5), silent)
