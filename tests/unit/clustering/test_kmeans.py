import numpy as np
import pytest
from sklearn.cluster import KMeans as SklearnKMeans

from ncdcli.clustering import kmeans, semi_kmeans
from ncdcli.clustering.base import Problem
from ncdcli.clustering.kinds import KMeans, SemiKMeans
from ncdcli.clustering.restarts import fit
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


def test_reaches_the_objective_of_scikit_learn_on_overlapping_blobs():
    rows, _ = blobs(1, spread=1.0, k=6)
    ours = min(p.objective for p in fit(rows, 6, restarts=20, iterations=100, rng=np.random.default_rng(0)))
    theirs = SklearnKMeans(6, n_init=20, random_state=0, tol=0).fit(rows).inertia_
    assert ours == pytest.approx(theirs, rel=0.01)


def test_known_classes_are_the_first_clusters_in_their_order(silent):
    rows, classes = blobs()
    answer = kmeans.cluster(Problem(rows, half_labelled(classes, 3), 3, 5), KMeans(), np.random.default_rng(0), silent)
    for c in range(3):
        assert set(answer.assignments[classes == c]) == {c}
    assert answer.matched.tolist() == [0, 1, 2, -1, -1]
    for c in range(5):
        np.testing.assert_allclose(answer.centroids[c], rows[answer.assignments == c].mean(axis=0), rtol=1e-4)


def test_a_class_without_a_cluster_of_its_own_leaves_its_place_to_a_novel_one(silent):
    rows, classes = blobs(k=3)
    labels = np.where(classes == 0, np.arange(len(classes)) % 2, -1)  # two "known classes" that are one blob
    answer = kmeans.cluster(Problem(rows, labels, 2, 3), KMeans(), np.random.default_rng(0), silent)
    assert sorted(answer.matched.tolist()) in ([-1, -1, 0], [-1, -1, 1])
    assert len(set(answer.assignments)) == 3


def test_labels_do_not_change_the_partition(silent):
    rows, classes = blobs(spread=1.0)
    some = half_labelled(classes, 3)
    with_labels = kmeans.cluster(Problem(rows, some, 3, 5), KMeans(restarts=3), np.random.default_rng(0), silent)
    without = kmeans.cluster(
        Problem(rows, np.full_like(some, -1), 3, 5), KMeans(restarts=3), np.random.default_rng(0), silent
    )
    pairs = set(zip(with_labels.assignments, without.assignments, strict=True))
    assert len(pairs) == 5
    assert without.matched.tolist() == [-1] * 5


def test_spherical_clusters_by_direction(silent):
    rng = np.random.default_rng(0)
    classes = np.repeat(np.arange(3), 40)
    rows = (np.eye(3)[classes] + rng.normal(size=(120, 3)) * 0.1) * rng.uniform(0.1, 50, size=(120, 1))
    labels = np.where(np.arange(120) % 2 == 0, classes, -1)
    answer = kmeans.cluster(Problem(rows, labels, 3, 3), KMeans(spherical=True), np.random.default_rng(0), silent)
    np.testing.assert_array_equal(answer.assignments, classes)
    np.testing.assert_allclose(np.linalg.norm(answer.centroids, axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("seeding", ["kmeans++", "random"])
def test_the_same_seed_gives_the_same_answer(silent, seeding):
    rows, classes = blobs(spread=1.0)
    problem = Problem(rows, half_labelled(classes, 3), 3, 5)
    config = KMeans(restarts=4, seeding=seeding)
    one, two = (kmeans.cluster(problem, config, np.random.default_rng(3), silent) for _ in range(2))
    np.testing.assert_array_equal(one.assignments, two.assignments)
    np.testing.assert_array_equal(one.centroids, two.centroids)


@pytest.mark.parametrize("offset", [1e4, 1e6])
def test_a_large_offset_does_not_drown_the_distances(silent, offset):
    rows, classes = blobs(spread=8.0)
    far = rows.astype(np.float64) + offset
    labels = half_labelled(classes, 3)
    for module, config in ((kmeans, KMeans()), (semi_kmeans, SemiKMeans())):
        answer = module.cluster(Problem(far, labels, 3, 5), config, np.random.default_rng(0), silent)
        assert len(set(zip(answer.assignments, classes, strict=True))) == 5
        np.testing.assert_allclose(answer.centroids[0], far[classes == 0].mean(axis=0), rtol=1e-5)


@pytest.mark.parametrize("scale", [1e-25, 1e15])
def test_tiny_and_huge_values_neither_vanish_nor_overflow(silent, scale):
    rows, classes = blobs(spread=8.0)
    problem = Problem((rows * np.float64(scale)).astype(np.float32), half_labelled(classes, 3), 3, 5)
    answer = semi_kmeans.cluster(problem, SemiKMeans(tolerance=0), np.random.default_rng(0), silent)
    assert len(set(zip(answer.assignments, classes, strict=True))) == 5


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
@pytest.mark.parametrize("module", [kmeans, semi_kmeans])
def test_other_dtypes_and_layouts_give_the_same_partition(silent, module, dtype):
    rows, classes = blobs()
    rows = rows.astype(np.float16).astype(np.float32)
    config = KMeans(restarts=3) if module is kmeans else SemiKMeans(restarts=3)
    strided = np.empty((len(rows) * 2, 12), dtype)[::2, ::2]
    strided[:] = rows
    answers = [
        module.cluster(Problem(each, half_labelled(classes, 3), 3, 5), config, np.random.default_rng(0), silent)
        for each in (rows, rows.astype(dtype), strided, np.asfortranarray(rows))
    ]
    for answer in answers[1:]:
        np.testing.assert_array_equal(answer.assignments, answers[0].assignments)


@pytest.mark.parametrize("module", [kmeans, semi_kmeans])
def test_values_that_are_not_finite_are_refused_with_their_rows(silent, module):
    rows, classes = blobs()
    rows[4, 2], rows[17, 0] = np.nan, -np.inf
    config = KMeans() if module is kmeans else SemiKMeans()
    with pytest.raises(DataError, match=r"2 samples have an embedding that is not finite .* row 4, 17 of 150"):
        module.cluster(Problem(rows, half_labelled(classes, 3), 3, 5), config, np.random.default_rng(0), silent)


@pytest.mark.parametrize("module", [kmeans, semi_kmeans])
@pytest.mark.parametrize(
    ("k", "novel_only", "error", "message"),
    [
        (2, False, RecipeError, "`k` is 2, too few for 3 known classes"),
        (3, True, RecipeError, "`k` is 3, too few for 3 known classes and at least one novel class"),
        (151, False, DataError, r"1\d\d clusters cannot be made of \d+"),
        (150, True, DataError, "147 clusters cannot be made of 105 unlabelled samples"),
    ],
)
def test_impossible_numbers_of_clusters_are_refused(silent, module, k, novel_only, error, message):
    rows, classes = blobs()
    config = KMeans(restarts=1) if module is kmeans else SemiKMeans(restarts=1)
    problem = Problem(rows, half_labelled(classes, 3), 3, k, novel_only)
    with pytest.raises(error, match=message):
        module.cluster(problem, config, np.random.default_rng(0), silent)


@pytest.mark.parametrize("module", [kmeans, semi_kmeans])
def test_degenerate_rows_have_a_defined_answer(silent, module):
    config = KMeans(restarts=2) if module is kmeans else SemiKMeans(restarts=2)
    none = np.full(6, -1)
    for rows in (np.zeros((6, 3)), np.ones((6, 3)) * 0.1, np.eye(6)[:, :1]):
        answer = module.cluster(Problem(rows, none, 0, 4), config, np.random.default_rng(0), silent)
        assert np.isfinite(answer.centroids).all()
        assert answer.objective == pytest.approx(0, abs=1e-9)
        distinct = len(np.unique(rows, axis=0))
        assert len(set(answer.assignments)) == distinct
        assert answer.statistics["empty_clusters"] == 4 - distinct
    single = module.cluster(
        Problem(np.array([[2.0, 1.0]]), np.array([-1]), 0, 1), config, np.random.default_rng(0), silent
    )
    assert single.assignments.tolist() == [0]
    assert single.centroids.tolist() == [[2.0, 1.0]]
