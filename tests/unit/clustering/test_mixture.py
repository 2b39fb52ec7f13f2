"""EM for Gaussian mixtures against scikit-learn's, and against loops over rows where some are pinned."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.mixture import GaussianMixture

from ncdcli.clustering.mixture import fit_mixture, most_probable

KINDS = {"tied": "tied", "full": "full", "diagonal": "diag", "spherical": "spherical"}


def problem(seed, k=3, n=70, d=3):
    rng = np.random.default_rng(seed)
    classes = np.concatenate([np.arange(k), rng.integers(k, size=n - k)])
    rows = 2.5 * rng.normal(size=(k, d))[classes] + rng.normal(size=(n, d)) * rng.uniform(0.5, 2, size=d)
    labels = np.where(rng.random(n) < 0.2, rng.integers(k, size=n), classes)
    centres = np.stack([rows[labels == c].mean(axis=0) for c in range(k)])
    return rows - rows.mean(axis=0), labels, centres - rows.mean(axis=0)


@pytest.mark.filterwarnings("ignore:Best performing initialization did not converge")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(13))
def test_it_is_scikit_learns_where_nothing_is_pinned(kind, seed):
    rows, labels, centres = problem(seed)
    found = fit_mixture(rows, labels, centres, kind=kind, least=1e-3, iterations=31, tolerance=0)
    shares = (labels[:, None] == np.arange(3)).astype(float)
    theirs = GaussianMixture(3, covariance_type=KINDS[kind], reg_covar=1e-3, max_iter=30, tol=0)
    theirs._initialize_parameters = lambda X, random_state, **_: theirs._initialize(X, shares)
    theirs.fit(rows)
    np.testing.assert_array_equal(found.labels, theirs.predict(rows))
    np.testing.assert_allclose(found.mixture.means, theirs.means_, atol=1e-5)
    np.testing.assert_allclose(found.mixture.weights, theirs.weights_, atol=1e-6)
    np.testing.assert_allclose(found.mixture.scales, theirs.covariances_, atol=1e-5)
    assert found.log_likelihood == pytest.approx(theirs.score(rows), abs=1e-6)
    assert found.mixture.free_parameters == theirs._n_parameters()


def restated(rows, labels, pinned, barred, least, steps):
    """EM with a full covariance by the book, densities by scipy, row by row."""
    n, k = len(rows), labels.max() + 1
    shares = np.zeros((n, k))
    shares[np.arange(n), labels] = 1
    for _ in range(steps):
        weights = shares[~pinned].sum(axis=0) / (~pinned).sum()
        parts = []
        for c in range(k):
            share = shares[:, c]
            mean = sum(s * x for s, x in zip(share, rows, strict=True)) / share.sum()
            spread = sum(s * np.outer(x - mean, x - mean) for s, x in zip(share, rows, strict=True)) / share.sum()
            parts.append(multivariate_normal(mean, spread + least * np.eye(rows.shape[1])))
        for i in np.flatnonzero(~pinned):
            density = np.array([0 if barred[c] else weights[c] * parts[c].pdf(rows[i]) for c in range(k)])
            shares[i] = density / density.sum()
    total = sum(parts[labels[i]].logpdf(rows[i]) for i in np.flatnonzero(pinned))
    total += sum(
        np.log(sum(w * part.pdf(rows[i]) for w, part in zip(weights, parts, strict=True)))
        for i in np.flatnonzero(~pinned)
    )
    found = np.where(pinned, labels, 0)
    for i in np.flatnonzero(~pinned):
        found[i] = np.argmax([w * part.pdf(rows[i]) for w, part in zip(weights, parts, strict=True)])
    return found, np.stack([part.mean for part in parts]), weights, total / n


@pytest.mark.parametrize("ncd", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_pinned_rows_keep_their_component_and_count_for_its_shape_not_its_weight(seed, ncd):
    rows, labels, centres = problem(seed, n=40, d=2)
    barred = np.array([ncd, False, False])
    pinned = np.arange(40) % 3 == 0
    pinned |= ncd & (labels == 0)
    found = fit_mixture(
        rows, labels, centres, kind="full", least=0.05, iterations=6, tolerance=0, pinned=pinned, barred=barred
    )
    expected, means, weights, total = restated(rows, labels, pinned, barred, 0.05, 6)
    np.testing.assert_array_equal(found.labels, expected)
    np.testing.assert_array_equal(found.labels[pinned], labels[pinned])
    np.testing.assert_allclose(found.mixture.means, means, atol=1e-8)
    np.testing.assert_allclose(found.mixture.weights, weights, atol=1e-8)
    assert found.log_likelihood == pytest.approx(total, abs=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_the_likelihood_never_falls(kind):
    rows, labels, centres = problem(3)
    pinned = np.arange(len(rows)) % 5 == 0
    values = [
        fit_mixture(
            rows, labels, centres, kind=kind, least=1e-9, iterations=steps, tolerance=0, pinned=pinned
        ).log_likelihood
        for steps in range(1, 12)
    ]
    assert (np.diff(values) > -1e-9).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_component_without_rows_stays_where_it_is(kind):
    rows, labels, centres = problem(1)
    far = np.concatenate([centres, [[500.0, 500, 500]]])
    found = fit_mixture(rows, labels, far, kind=kind, least=1e-3, iterations=20, tolerance=0)
    np.testing.assert_array_equal(found.mixture.means[3], far[3])
    assert found.mixture.weights[3] == 0
    assert np.isfinite(found.log_likelihood)
    assert set(most_probable(found.mixture, rows)) <= {0, 1, 2}


@pytest.mark.parametrize("kind", KINDS)
def test_rows_that_are_all_the_same(kind):
    rows = np.zeros((6, 2))
    found = fit_mixture(rows, np.arange(6) % 2, np.zeros((2, 2)), kind=kind, least=1.0, iterations=5, tolerance=0)
    assert np.isfinite(found.mixture.scales).all()
    assert np.isfinite(found.log_likelihood)
