import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from ncdcli.clustering.neighbours import nearest_neighbours
from ncdcli.clustering.rows import unit_rows


@pytest.mark.parametrize("offset", [0, 1000])
@pytest.mark.parametrize("seed", range(10))
def test_neighbours_and_distances_are_those_of_scikit_learn(seed, offset):
    rng = np.random.default_rng(seed)
    n, d, count = rng.integers(2, 700), rng.integers(1, 40), rng.integers(1, 20)
    rows = rng.normal(size=(n, d)).astype(np.float32) + np.float32(offset)
    found, squared = nearest_neighbours(rows, count)
    distances, theirs = NearestNeighbors(n_neighbors=min(count, n - 1), algorithm="brute").fit(rows).kneighbors()
    np.testing.assert_allclose(np.sqrt(squared), distances, rtol=1e-5, atol=1e-6)
    exact = np.linalg.norm(rows[:, None].astype(np.float64) - rows[found], axis=2)  # equally near ones may be exchanged
    np.testing.assert_allclose(exact, distances, rtol=1e-5, atol=1e-6)
    assert (found == theirs).mean() > 0.99


def test_neighbours_of_unit_rows_are_those_by_cosine():
    rows = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
    cosine = NearestNeighbors(n_neighbors=5, metric="cosine").fit(rows).kneighbors(return_distance=False)
    np.testing.assert_array_equal(nearest_neighbours(unit_rows(rows), 5)[0], cosine)


def test_some_rows_have_the_neighbours_that_they_have_among_all():
    rows = np.random.default_rng(0).normal(size=(80, 3)).astype(np.float32)
    some = np.array([7, 3, 50])
    for part, whole in zip(nearest_neighbours(rows, 4, of=some), nearest_neighbours(rows, 4), strict=True):
        np.testing.assert_array_equal(part, whole[some])


def test_equal_rows_are_neighbours_of_each_other_and_never_of_themselves():
    found, squared = nearest_neighbours(np.zeros((4, 3), np.float32), 10)
    assert found.tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]
    assert not squared.any()


def test_a_single_row_has_no_neighbour():
    found, squared = nearest_neighbours(np.ones((1, 3), np.float32), 4)
    assert found.shape == squared.shape == (1, 0)


def test_tiny_values_do_not_vanish():
    rows = np.array([[0.0], [1.0], [3.0], [7.0]], np.float32) * np.float32(1e-25)
    found, _ = nearest_neighbours(rows, 1)
    assert found.ravel().tolist() == [1, 0, 1, 2]
