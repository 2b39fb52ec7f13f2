"""Lloyd's iteration against a slow, obvious restatement from the same start."""

from itertools import pairwise

import numpy as np
import pytest

from ncdcli.clustering.descent import Pinned
from ncdcli.clustering.lloyd import lloyd, lloyds


def obvious_lloyd(rows, start, iterations, tolerance, pinned_rows, pinned_labels):
    """Every distance by subtraction, every mean by its definition, one row at a time."""
    centres = start.astype(np.float64).copy()
    k = len(centres)
    labels = None
    for _ in range(iterations):
        distances = np.array([[((row - centre) ** 2).sum() for centre in centres] for row in rows.astype(np.float64)])
        new = distances.argmin(axis=1)
        for cluster in range(k):
            if not (new == cluster).any() and not (pinned_labels == cluster).any():
                own = distances[np.arange(len(rows)), new]
                spare = [(new == c).sum() + (pinned_labels == c).sum() > 1 for c in new]
                new[np.where(spare, own, -1).argmax()] = cluster
                distances[new == cluster, :] = 0  # a row that was given away is not given again
        if labels is not None and (new == labels).all():
            break
        moved = np.array(
            [np.concatenate([rows[new == c], pinned_rows[pinned_labels == c]]).mean(axis=0, dtype=np.float64)
             for c in range(k)]
        )  # fmt: skip
        moves = sum(np.linalg.norm(a - b) for a, b in zip(moved, centres, strict=True))
        centres, labels = moved, new
        if moves**2 < tolerance:
            break
    distances = np.array([[((row - centre) ** 2).sum() for centre in centres] for row in rows.astype(np.float64)])
    inertia = distances.min(axis=1).sum() + ((pinned_rows - centres[pinned_labels]) ** 2).sum()
    return distances.argmin(axis=1), centres, inertia


def random_problem(seed):
    rng = np.random.default_rng(seed)
    n, m, d, k = rng.integers(20, 80), rng.integers(0, 30), rng.integers(1, 12), rng.integers(1, 9)
    middles = rng.normal(size=(k, d)) * rng.uniform(0.2, 3)
    rows = (middles[rng.integers(k, size=n)] + rng.normal(size=(n, d))).astype(np.float32)
    labels = rng.integers(max(k // 2, 1), size=m)
    pinned = (middles[labels] + rng.normal(size=(m, d))).astype(np.float32)
    start = rng.normal(size=(k, d)) * 2
    return rows, start, pinned, labels


@pytest.mark.parametrize("seed", range(50))
def test_same_partition_and_inertia_as_the_obvious_restatement(seed, way):
    rows, start, pinned, labels = random_problem(seed)
    tolerance = (0.0, 1e-4, 0.5)[seed % 3]
    expected_labels, expected_centres, expected = obvious_lloyd(rows, start, 60, tolerance, pinned, labels)
    found = lloyd(rows, start, iterations=60, tolerance=tolerance, pinned=Pinned.of(pinned, labels, len(start)))
    np.testing.assert_array_equal(found.labels, expected_labels)
    np.testing.assert_allclose(found.centres, expected_centres, rtol=1e-9, atol=1e-9)
    assert found.objective == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("spread", [1e-1, 1e-3, 1e-6])
def test_the_inertia_of_tight_clusters_far_from_the_origin(spread):
    rng = np.random.default_rng(0)
    classes = np.arange(400) % 4
    rows = (10 * rng.normal(size=(4, 6))[classes] + spread * rng.normal(size=(400, 6))).astype(np.float32)
    found = lloyd(rows, rows[:4], iterations=20)
    exact = rows.astype(np.float64)
    expected = sum(((exact[classes == c] - exact[classes == c].mean(axis=0)) ** 2).sum() for c in range(4))
    np.testing.assert_array_equal(found.labels, classes)
    assert found.objective == pytest.approx(expected, rel=1e-9)


def test_an_empty_cluster_gets_the_farthest_row():
    rows = np.array([[0.0], [1.0], [2.0], [50.0]], np.float32)
    found = lloyd(rows, np.array([[1.0], [1000.0]]), iterations=20)
    assert found.labels.tolist() == [0, 0, 0, 1]
    assert found.repaired == 1
    assert found.objective == pytest.approx(2.0)


def test_fewer_distinct_rows_than_clusters_leaves_finite_empty_clusters():
    rows = np.repeat(np.array([[0.1, 0.7], [3.3, 1.1]], np.float32), 10, axis=0)
    found = lloyd(rows, rows[[0, 10, 0, 1, 11]], iterations=50)
    assert np.isfinite(found.centres).all()
    assert found.converged
    assert found.objective == pytest.approx(0, abs=1e-9)
    assert len(set(found.labels[:10])) == len(set(found.labels[10:])) == 1
    assert found.labels[0] != found.labels[10]


def test_the_inertia_never_rises_with_more_iterations():
    rows, start, pinned, labels = random_problem(7)
    statistics = Pinned.of(pinned, labels, len(start))
    objectives = [lloyd(rows, start, iterations=i, pinned=statistics).objective for i in range(1, 15)]
    assert all(later <= earlier + 1e-9 for earlier, later in pairwise(objectives))


def test_every_row_ends_in_the_cluster_of_its_nearest_centre_even_when_stopped_early():
    rows, start, *_ = random_problem(3)
    found = lloyd(rows, start, iterations=1)
    distances = ((rows[:, None] - found.centres) ** 2).sum(axis=2)
    np.testing.assert_array_equal(found.labels, distances.argmin(axis=1))


def test_no_rows_gives_the_pinned_means():
    pinned = np.array([[1.0, 0.0], [3.0, 0.0], [5.0, 5.0]], np.float32)
    statistics = Pinned.of(pinned, np.array([0, 0, 1]), 2)
    found = lloyd(np.empty((0, 2), np.float32), np.zeros((2, 2)), iterations=5, pinned=statistics)
    np.testing.assert_allclose(found.centres, [[2, 0], [5, 5]])
    assert found.objective == pytest.approx(2.0)


def test_spherical_centres_have_unit_length():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 5)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    found = lloyd(rows, rows[:4], iterations=50, spherical=True)
    np.testing.assert_allclose(np.linalg.norm(found.centres, axis=1), 1)
    np.testing.assert_array_equal(found.labels, (rows @ found.centres.T).argmax(axis=1))


@pytest.mark.parametrize("case", ["plain", "spherical", "pinned", "tolerance", "few iterations", "empty clusters"])
def test_several_starts_end_where_each_ends_alone(case, way):  # narrow: side by side; else one after the other
    d = 4 if way.startswith("narrow") else 30
    rng = np.random.default_rng(0)
    rows = (rng.normal(size=(9, d))[rng.integers(9, size=3000)] * 2 + rng.normal(size=(3000, d))).astype(np.float32)
    starts = rows[rng.choice(3000, (5, 9))].astype(np.float64)
    options = {"iterations": 80}
    match case:
        case "spherical":
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
            options |= {"spherical": True}
        case "pinned":
            options |= {"pinned": Pinned.of(rows[:500], rng.integers(4, size=500), 9)}
        case "tolerance":
            options |= {"tolerance": 2.0}
        case "few iterations":
            options |= {"iterations": 3}
        case "empty clusters":
            starts[1:3, :4] += 1e3
    ticks = []
    together = lloyds(rows, starts, **options, tick=lambda: ticks.append(1))
    alone = [lloyd(rows, start, **options) for start in starts]
    assert len(ticks) == 5
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one.labels, other.labels)
        np.testing.assert_allclose(one.centres, other.centres, rtol=1e-12, atol=1e-12)
        assert one.objective == pytest.approx(other.objective, rel=1e-12)
        assert (one.iterations, one.repaired, one.converged) == (other.iterations, other.repaired, other.converged)
    if case in ("plain", "pinned"):  # they did not all end at once
        assert len({run.iterations for run in together}) > 1
    if case == "empty clusters":
        assert all(run.repaired > 0 for run in together[1:3])
