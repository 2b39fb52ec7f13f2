"""What every clustering method bears, or refuses in plain words. A new kind is in here by its row in the registry."""

import json
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from ncdcli.clustering.base import Problem
from ncdcli.clustering.kinds import KINDS, ClusterConfig
from ncdcli.errors import DataError, NcdError
from ncdcli.metrics.contingency import contingency
from ncdcli.metrics.scores import adjusted_rand
from ncdcli.recipe.base import import_kind
from ncdcli.recipe.shape import kinds_of

SECTIONS = kinds_of(ClusterConfig)
QUICK = {"restarts": 2, "similarities": 6, "trials": 3}
# Kinds that read other columns than the embeddings have tests of their own.
ALL = [
    pytest.param(
        kind,
        marks=pytest.mark.skipif(
            section.package is not None and find_spec(section.package.module) is None,
            reason=f"needs {section.package and section.package.module}",
        ),
    )
    for kind, section in SECTIONS.items()
    if not section.needs_domains and not section.needs_logits
]
every_kind = pytest.mark.parametrize("kind", ALL)
both_settings = pytest.mark.parametrize("novel_only", [False, True])


def make_blobs(seed=0, *, k=5, n_known=3, each=24, d=4, spread=12.0, novel_only=False):
    """Blobs, half of the rows of the first `n_known` labelled (NCD: all of them), and their classes."""
    rng = np.random.default_rng(seed)
    classes = np.repeat(np.arange(k), each)
    rows = rng.normal(size=(k, d))[classes] * spread + rng.normal(size=(k * each, d))
    labelled = (classes < n_known) & (novel_only | (np.arange(k * each) % 2 == 0))
    return Problem(rows.astype(np.float32), np.where(labelled, classes, -1), n_known, k, novel_only), classes


def solve(kind, problem, silent, **settings):
    """The answer, after checks that hold whatever the data."""
    section = SECTIONS[kind]
    if section.k == "finds":
        problem = replace(problem, k=None)
    config = section(**{name: value for name, value in (QUICK | settings).items() if name in section.model_fields})
    given, labels = problem.embeddings.copy(), problem.labels.copy()
    answer = import_kind(KINDS, kind)(problem, config, np.random.default_rng(0), silent)
    np.testing.assert_array_equal(problem.embeddings, given)
    np.testing.assert_array_equal(problem.labels, labels)
    n, d = problem.embeddings.shape
    distinct = len(np.unique(problem.embeddings, axis=0))
    assert answer.k == problem.k or section.k != "needs" or answer.k < problem.k > distinct
    assert answer.k >= problem.n_known + problem.novel_only
    assert (answer.assignments.shape, answer.assignments.dtype) == ((n,), np.int64)
    assert answer.assignments.min() >= 0
    assert answer.assignments.max() < answer.k
    assert (answer.centroids.shape, answer.centroids.dtype) == ((answer.k, d), np.float32)
    assert np.isfinite(answer.centroids).all()
    named = answer.matched >= 0
    np.testing.assert_array_equal(answer.matched[named], np.flatnonzero(named))
    assert named.sum() <= problem.n_known
    assert np.isfinite(answer.objective)
    json.dumps(dict(answer.statistics), allow_nan=False)
    if problem.novel_only:
        assert (answer.assignments[labels < 0] >= problem.n_known).all()
        np.testing.assert_array_equal(answer.assignments[labels >= 0], labels[labels >= 0])
    return answer


def agreement(answer, classes):
    return adjusted_rand(contingency(answer.assignments, classes).counts)


@both_settings
@every_kind
def test_separated_blobs_are_found_and_known_ones_named(silent, kind, novel_only):
    problem, classes = make_blobs(2, novel_only=novel_only, spread=20.0, d=16)
    answer = solve(kind, problem, silent)
    assert agreement(answer, classes) == 1
    assert answer.matched.tolist() == [0, 1, 2, -1, -1]
    for c in range(3):
        assert set(answer.assignments[classes == c]) == {c}


@both_settings
@every_kind
def test_the_same_seed_gives_the_same_bytes(silent, kind, novel_only):
    problem, _ = make_blobs(spread=1.5, novel_only=novel_only)
    first, second = (solve(kind, problem, silent) for _ in range(2))
    np.testing.assert_array_equal(first.assignments, second.assignments)
    assert first.centroids.tobytes() == second.centroids.tobytes()
    assert json.dumps(dict(first.statistics)) == json.dumps(dict(second.statistics))


@both_settings
@every_kind
def test_duplicates(silent, kind, novel_only):
    problem, _ = make_blobs(each=8, novel_only=novel_only)
    solve(kind, replace(problem, embeddings=problem.embeddings.repeat(4, 0), labels=problem.labels.repeat(4)), silent)


@both_settings
@every_kind
def test_rows_of_zeros(silent, kind, novel_only):
    problem, _ = make_blobs(novel_only=novel_only)
    embeddings = problem.embeddings.copy()
    embeddings[::3] = 0
    solve(kind, replace(problem, embeddings=embeddings), silent)
    solve(kind, replace(problem, embeddings=np.zeros_like(embeddings)), silent)


@every_kind
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused_with_their_rows(silent, kind, value):
    problem, _ = make_blobs()
    problem.embeddings[[7, 60], 2] = value
    with pytest.raises(DataError, match=r"2 samples have an embedding that is not finite.*row 7, 60 of 120"):
        solve(kind, problem, silent)


@both_settings
@every_kind
def test_fewer_distinct_rows_than_clusters(silent, kind, novel_only):
    points = np.array([[0.0, 1], [4, 4], [9, 0.3]], np.float32)
    rows, classes = points.repeat(12, axis=0), np.arange(3).repeat(12)
    labels = np.where((classes == 0) & (novel_only | (np.arange(36) % 2 == 0)), 0, -1)
    solve(kind, Problem(rows, labels, 1, 7, novel_only), silent)


@both_settings
@every_kind
def test_a_single_novel_class(silent, kind, novel_only):
    problem, _ = make_blobs(k=4, n_known=3, novel_only=novel_only)
    solve(kind, problem, silent)


@every_kind
def test_no_novel_class_in_the_gcd_setting(silent, kind):
    problem, _ = make_blobs(k=3, n_known=3)
    solve(kind, problem, silent)


@both_settings
@every_kind
def test_one_labelled_sample_in_a_class(silent, kind, novel_only):
    problem, classes = make_blobs(novel_only=novel_only)
    if novel_only:  # a class of one row
        keep = (classes != 1) | (np.cumsum(classes == 1) == 1)
        problem = replace(problem, embeddings=problem.embeddings[keep], labels=problem.labels[keep])
    else:
        labels = np.where((classes == 1) & (np.cumsum(classes == 1) > 1), -1, problem.labels)
        problem = replace(problem, labels=labels)
    assert (problem.labels == 1).sum() == 1
    solve(kind, problem, silent)


@every_kind
def test_every_class_with_one_labelled_sample(silent, kind):
    problem, classes = make_blobs()
    labels = np.full(len(classes), -1)
    labels[[0, 24, 48]] = [0, 1, 2]
    solve(kind, replace(problem, labels=labels), silent)


@every_kind
def test_a_class_that_is_only_among_labelled_rows(silent, kind):
    problem, classes = make_blobs()
    solve(kind, replace(problem, labels=np.where(classes == 1, 1, problem.labels)), silent)


@every_kind
def test_a_known_class_without_labelled_rows(silent, kind):
    problem, classes = make_blobs()
    answer = solve(kind, replace(problem, labels=np.where(classes == 1, -1, problem.labels)), silent)
    assert answer.matched[1] == -1


@every_kind
def test_a_known_class_without_labelled_rows_is_refused_in_the_ncd_setting(silent, kind):
    problem, classes = make_blobs(novel_only=True)
    with pytest.raises(DataError, match="1 known class has no labelled sample"):
        solve(kind, replace(problem, labels=np.where(classes == 1, -1, problem.labels)), silent)


@both_settings
@every_kind
def test_one_class_a_thousand_times_larger_than_the_others(silent, kind, novel_only):
    rng = np.random.default_rng(0)
    classes = np.concatenate([np.zeros(2, int), np.ones(2, int), np.full(2000, 2), np.full(2, 3)])
    rows = rng.normal(size=(4, 3))[classes] * 30 + rng.normal(size=(len(classes), 3))
    labels = np.where((classes < 2) & (novel_only | (np.arange(len(classes)) % 2 == 0)), classes, -1)
    problem = Problem(rows.astype(np.float32), labels, 2, 4, novel_only)
    solve(kind, problem, silent, max_samples=800, search_samples=200)


@every_kind
@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_precisions_give_the_same_clusters(silent, kind, dtype):
    problem, _ = make_blobs(spread=3.0)
    exact = problem.embeddings.astype(np.float16)
    single = solve(kind, replace(problem, embeddings=exact.astype(np.float32)), silent)
    other = solve(kind, replace(problem, embeddings=exact.astype(dtype)), silent)
    np.testing.assert_array_equal(other.assignments, single.assignments)
    assert other.centroids.tobytes() == single.centroids.tobytes()


@every_kind
def test_layout_in_memory_does_not_matter(silent, kind):
    problem, _ = make_blobs(spread=3.0)
    plain = solve(kind, problem, silent)
    wide = np.zeros((240, 9), np.float32)
    wide[::2, 1::2] = problem.embeddings
    read_only = problem.embeddings.copy()
    read_only.flags.writeable = False
    for other in (wide[::2, 1::2], np.asfortranarray(problem.embeddings), read_only):
        answer = solve(kind, replace(problem, embeddings=other), silent)
        np.testing.assert_array_equal(answer.assignments, plain.assignments)


@both_settings
@every_kind
def test_one_column(silent, kind, novel_only):
    problem, _ = make_blobs(d=1, novel_only=novel_only)
    solve(kind, problem, silent)


@every_kind
def test_far_from_the_origin(silent, kind):
    problem, _ = make_blobs(1, spread=20.0, d=16)
    for scale in (1e-4, 1e4):
        solve(kind, replace(problem, embeddings=problem.embeddings * scale), silent)
    solve(kind, replace(problem, embeddings=problem.embeddings + np.float32(1000)), silent)


@both_settings
@every_kind
def test_five_rows(silent, kind, novel_only):
    rows = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    labels = np.array([0, 0, -1, -1, -1])
    for k in (2, 3, 4):
        solve(kind, Problem(rows, labels, 1, k, novel_only), silent)


@both_settings
@every_kind
def test_fewer_rows_than_clusters_are_refused(silent, kind, novel_only):
    if SECTIONS[kind].k == "finds":
        pytest.skip("takes no k")
    rows = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    with pytest.raises(DataError, match="cannot be made of"):
        solve(kind, Problem(rows, np.array([0, 0, -1, -1, -1]), 1, 9, novel_only), silent)


@both_settings
@every_kind
def test_no_rows_to_cluster_are_refused(silent, kind, novel_only):
    """No samples at all, and in the NCD setting no unlabelled ones, whether k is given or not."""
    problem, _ = make_blobs(novel_only=novel_only)
    empty = problem.at(np.flatnonzero(problem.labels >= 0) if novel_only else np.empty(0, np.int64))
    for k in {"needs": [5], "may find": [5, None], "finds": [None]}[SECTIONS[kind].k]:
        with pytest.raises(DataError, match=r"cannot be made of 0 (unlabelled )?samples"):
            solve(kind, replace(empty, k=k), silent)


@every_kind
def test_every_kind_either_needs_k_or_finds_it(silent, kind):
    problem, _ = make_blobs()
    section = SECTIONS[kind]
    if section.k == "needs":
        with pytest.raises((ValueError, NcdError)):
            import_kind(KINDS, kind)(replace(problem, k=None), section(), np.random.default_rng(0), silent)
    else:
        solve(kind, replace(problem, k=None), silent)
