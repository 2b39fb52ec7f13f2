import numpy as np
import pytest
from sklearn.decomposition import PCA

from ncdcli.clustering.principal import principal


@pytest.mark.parametrize(("n", "d"), [(60, 9), (9, 60), (10, 10)])
@pytest.mark.parametrize("count", [1, 4, 8])
def test_it_is_scikit_learns_up_to_signs(n, d, count):
    rows = np.random.default_rng(0).normal(size=(n, d)).astype(np.float32) @ np.diag(np.linspace(1, 3, d)) + 5
    found = principal(rows.astype(np.float32), count)
    expected = PCA(count, svd_solver="full").fit_transform(rows.astype(np.float32).astype(float))
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-5)


def test_all_components_are_the_centred_rows():
    rows = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    for count in (None, 3, 64):
        np.testing.assert_allclose(principal(rows, count), rows - rows.mean(axis=0, dtype=np.float64), atol=1e-12)
