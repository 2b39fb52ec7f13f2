import numpy as np
import pytest

from ncdcli.clustering.assign import margins, nearest


def test_nearest_centroid_and_margin_equal_their_definition():
    rng = np.random.default_rng(0)
    rows, centroids = rng.normal(size=(2500, 7)).astype(np.float32), rng.normal(size=(6, 7)).astype(np.float32)
    distances = np.sqrt(((rows[:, None].astype(np.float64) - centroids) ** 2).sum(axis=2))
    first, second = np.sort(distances, axis=1)[:, :2].T
    clusters, margin = nearest(rows, centroids)
    np.testing.assert_array_equal(clusters, distances.argmin(axis=1))
    np.testing.assert_allclose(margin, (second - first) / second, atol=1e-6)
    np.testing.assert_allclose(margins(rows, centroids, clusters=clusters), margin, atol=1e-7)


def test_allowed_centroids_keep_their_numbers():
    centroids = np.array([[0.0], [1.0], [5.0], [9.0]])
    clusters, margin = nearest(np.array([[0.1], [8.0]]), centroids, allowed=np.array([2, 3]))
    assert clusters.tolist() == [2, 3]
    assert margin == pytest.approx([(8.9 - 4.9) / 8.9, 2 / 3])


def test_margin_is_negative_where_another_centroid_is_nearer():
    assert margins(np.array([[1.0]]), np.array([[0.0], [4.0]]), clusters=np.array([1])) == pytest.approx([-2 / 3])


def test_margin_edges():
    centroids = np.array([[0.0], [2.0], [2.0]])
    clusters, margin = nearest(np.array([[0.0], [1.0], [2.0]]), centroids)
    assert clusters.tolist() == [0, 0, 1]
    assert margin.tolist() == [1, 0, 0]
    assert nearest(np.array([[7.0]]), centroids[:1])[1].tolist() == [1]
    assert nearest(np.empty((0, 1)), centroids)[0].shape == (0,)
