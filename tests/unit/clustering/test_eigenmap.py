"""The similarity graph and its eigenvectors, against scipy's and against naive loops."""

import numpy as np
import pytest
from scipy.sparse.csgraph import connected_components, laplacian, minimum_spanning_tree
from scipy.spatial.distance import cdist
from sklearn.neighbors import kneighbors_graph

from ncdcli.clustering.eigenmap import eigenmap, framed, gaussian, gaussian_width, longest_edge, squared_distances
from ncdcli.clustering.neighbour_graph import joined_to, neighbour_graph


def rows_of(seed, n=40, d=3):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


@pytest.mark.parametrize("seed", range(10))
def test_longest_edge_of_the_spanning_tree(seed):
    rows = rows_of(seed, n=int(np.random.default_rng(seed).integers(2, 60)))
    rows = np.concatenate([rows, rows[:3]])  # scipy reads a distance of 0 as no edge: the longest one is the same
    expected = minimum_spanning_tree(cdist(rows, rows)).max()
    assert longest_edge(squared_distances(rows)) == pytest.approx(expected, rel=1e-6)


def test_longest_edge_of_equal_rows_and_of_one_row():
    assert longest_edge(squared_distances(np.ones((4, 2), np.float32))) == 0
    assert longest_edge(np.zeros((1, 1))) == 0


def test_width_of_the_gaussian_in_both_conventions():
    rows = rows_of(1)
    squared = squared_distances(rows)
    longest = longest_edge(squared)
    end = np.unravel_index(np.abs(np.sqrt(squared) - longest).argmin(), squared.shape)
    assert gaussian(squared, gaussian_width(longest, 0.3, "paper"))[end] == pytest.approx(0.3)
    assert gaussian(squared, gaussian_width(longest, 0.3, "released"))[end] == pytest.approx(np.sqrt(0.3))
    assert (gaussian(np.zeros((2, 2)), gaussian_width(0.0, 0.3, "paper")) == 1).all()


@pytest.mark.parametrize("seed", range(10))
def test_eigenvectors_are_those_of_the_normalised_laplacian(seed):
    squared = squared_distances(rows_of(seed))
    affinity = gaussian(squared, gaussian_width(longest_edge(squared), 0.1 + 0.08 * seed, "paper"))
    values, vectors = np.linalg.eigh(laplacian(affinity * (1 - np.eye(len(affinity))), normed=True))
    found = eigenmap(affinity, 5)
    np.testing.assert_allclose(found.values, 1 - values[1:6], atol=1e-10)
    np.testing.assert_allclose(np.abs((found.vectors * vectors[:, 1:6]).sum(axis=0)), 1, atol=1e-6)


@pytest.mark.parametrize("graph", ["gaussian", "knn"])
def test_few_eigenvectors_of_many_are_those_of_the_full_decomposition(graph):
    rows = rows_of(0, n=400)
    squared = squared_distances(rows)
    affinity = gaussian(squared, longest_edge(squared)) if graph == "gaussian" else neighbour_graph(rows, 8)[0]
    few, all_of_them = eigenmap(affinity, 4), eigenmap(affinity, 200)
    np.testing.assert_allclose(few.values, all_of_them.values[:4], atol=1e-10)
    overlap = np.abs((few.vectors * all_of_them.vectors[:, :4]).sum(axis=0))
    np.testing.assert_allclose(overlap, 1, atol=1e-6)


def test_the_trivial_eigenvector_is_not_among_them_however_many_are_asked_for():
    affinity = np.ones((6, 6))  # all other eigenvalues are negative
    found = eigenmap(affinity, 5)
    np.testing.assert_allclose(found.values, -0.2, atol=1e-12)
    np.testing.assert_allclose(found.vectors.sum(axis=0), 0, atol=1e-12)


def test_a_graph_in_two_pieces_is_told_apart_by_its_first_component():
    affinity = np.kron(np.eye(2), np.ones((5, 5)))
    found = eigenmap(affinity, 1)
    assert found.values == pytest.approx([1])
    assert len(set(np.sign(found.vectors[:5, 0]))) == len(set(np.sign(found.vectors[5:, 0]))) == 1
    assert found.vectors[0, 0] * found.vectors[5, 0] < 0


def test_neighbour_graph_is_that_of_scikit_learn_where_it_is_in_one_piece():
    rows = rows_of(3, n=80)
    one_way = kneighbors_graph(rows, 6, include_self=False).toarray()
    graph, radii = neighbour_graph(rows, 6)
    np.testing.assert_array_equal(graph.toarray(), 0.5 * (one_way + one_way.T))
    np.testing.assert_allclose(radii, np.sort(cdist(rows, rows), axis=1)[:, 6] ** 2, rtol=1e-5)


def test_pieces_are_joined_by_their_nearest_rows():
    rows = np.concatenate([rows_of(s, n=20) * 0.1 + 10 * s for s in range(4)] + [np.full((1, 3), 200)] * 8)
    graph, _ = neighbour_graph(rows.astype(np.float32), 3)
    assert connected_components(graph)[0] == 1
    np.testing.assert_array_equal(graph.toarray(), graph.toarray().T)
    between = graph.toarray()[:20, 20:40]
    distances = cdist(rows[:20], rows[20:40])
    assert np.argwhere(between).tolist() == [list(np.unravel_index(distances.argmin(), distances.shape))]


def test_joining_the_rows_of_a_graph_again_gives_its_weights():
    rows = rows_of(5, n=60)
    graph, radii = neighbour_graph(rows, 5)
    dense = graph.toarray()
    for row in range(60):  # without itself, which would be its own nearest row
        others = np.arange(60) != row
        weights = joined_to(rows[others], rows[row : row + 1], radii=radii[others] * (1 + 1e-5), neighbours=5)
        np.testing.assert_array_equal(weights[0], dense[row, others])


@pytest.mark.parametrize("scaling", ["none", "degree", "unit"])
def test_rows_of_the_map_are_extended_to_their_own_coordinates(scaling):
    rows = rows_of(2)
    squared = squared_distances(rows)
    affinity = gaussian(squared, 0.5 * longest_edge(squared)) - np.eye(len(rows))
    found = eigenmap(affinity, 4)
    again = found.extend(affinity, 4, scaling, positive=False)
    np.testing.assert_allclose(again, found.coordinates(4, scaling), atol=1e-5)


def test_new_rows_are_placed_where_a_larger_map_has_them():
    rows = np.random.default_rng(7).random((1200, 2)).astype(np.float32) * np.float32(
        [4, 1]
    )  # no two equal eigenvalues
    sigma = 0.5
    whole = eigenmap(gaussian(squared_distances(rows), sigma), 3)
    part = eigenmap(gaussian(squared_distances(rows[:800]), sigma), 3)
    placed = part.extend(
        np.exp(-cdist(rows[800:], rows[:800], "sqeuclidean") / (2 * sigma**2)), 3, "none", positive=True
    )
    expected = whole.coordinates(3, "none")[800:]
    for component in range(3):
        assert abs(np.corrcoef(placed[:, component], expected[:, component])[0, 1]) > 0.99


def test_scale_and_origin_do_not_matter():
    rows = rows_of(4)
    plain, far = (squared_distances(framed(r)) for r in (rows, (rows * 1e-12 + np.float32(1e-9)).astype(np.float32)))
    ratio = far / np.where(plain > 0, plain, 1)
    np.testing.assert_allclose(ratio[plain > 0.1], np.median(ratio[plain > 0.1]), rtol=1e-2)
