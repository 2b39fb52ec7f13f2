import numpy as np
import pytest
from sklearn.metrics import silhouette_samples

from ncdcli.metrics.silhouette import silhouettes


def test_equals_scikit_learn_for_several_partitions_at_once():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(1100, 6)).astype(np.float32)
    partitions = [rng.integers(k, size=1100) * 3 for k in (2, 5, 30, 250)]
    found = silhouettes(rows, partitions)
    for values, labels in zip(found, partitions, strict=True):
        np.testing.assert_allclose(values, silhouette_samples(rows, labels), atol=1e-5)


def test_a_row_alone_in_its_cluster_and_a_single_cluster_have_zero():
    rows = np.array([[0.0], [1.0], [9.0]])
    alone, single = silhouettes(rows, [np.array([0, 0, 1]), np.array([4, 4, 4])])
    assert alone == pytest.approx([8 / 9, 7 / 8, 0])
    assert single.tolist() == [0, 0, 0]


def test_equal_rows_have_zero_and_no_warning():
    assert silhouettes(np.ones((4, 2)), [np.array([0, 0, 1, 1])]).tolist() == [[0, 0, 0, 0]]
