"""What every estimator of the number of classes bears, or refuses in plain words."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ncdcli.counting.base import CountProblem
from ncdcli.counting.kinds import KINDS, SECTIONS, Consensus
from ncdcli.errors import DataError, RecipeError
from ncdcli.recipe.base import import_kind

ALL = [*SECTIONS, "consensus"]
WITHOUT_LABELS = {"silhouette", "calinski_harabasz", "davies_bouldin", "elbow", "size_filter", "split_merge"}


def section_of(kind, **bounds):
    """The kind's section with few restarts and the given bounds, as far as it has them."""
    if kind == "consensus":
        return Consensus(of=("ward_acc", "prototype_score", "size_filter"), **bounds)
    fields = SECTIONS[kind].model_fields
    options = {"restarts": 2, **bounds}
    return SECTIONS[kind](**{name: value for name, value in options.items() if name in fields})


def count(kind, problem, recorder, **bounds):
    """The estimate, after checks that hold whatever the data."""
    before = problem.embeddings.copy()
    config = section_of(kind, **bounds)
    answer = import_kind(KINDS, kind)(problem, config, np.random.default_rng(0), recorder)
    low, high = answer.statistics["range"]
    first, last = answer.interval
    assert low <= first <= answer.k <= last <= high
    assert answer.k >= problem.n_known + problem.novel_only
    assert answer.criterion == kind
    assert set(answer.scores) <= set(range(low, high + 1))
    assert {"rows", "clusterings", "distances"} == set(answer.statistics["cost"])
    curves = [answer.scores, *answer.other_scores.values()]
    assert np.isfinite([score for curve in curves for score in curve.values()]).all()
    json.dumps([dict(curve) for curve in curves] + [answer.statistics], allow_nan=False)
    assert np.array_equal(problem.embeddings, before)
    return answer


def as_text(answer):
    return json.dumps([answer.k, answer.interval, dict(answer.scores), answer.other_scores, answer.statistics])


@pytest.mark.parametrize("novel_only", [False, True])
@pytest.mark.parametrize("kind", ALL)
def test_two_runs_write_the_same_bytes(make_blobs, recorder, kind, novel_only):
    problem = make_blobs(spread=3.0, each=10, novel_only=novel_only)
    answer = count(kind, problem, recorder, high=10)
    assert as_text(answer) == as_text(count(kind, problem, recorder, high=10))
    assert answer.statistics["cost"]["clusterings"] >= 1
    assert answer.scores


@pytest.mark.parametrize("kind", ALL)
def test_duplicates(make_blobs, recorder, kind):
    problem = make_blobs(each=6)
    threefold = CountProblem(np.repeat(problem.embeddings, 3, axis=0), np.repeat(problem.labels, 3), 4)
    count(kind, threefold, recorder, high=10)


@pytest.mark.parametrize("novel_only", [False, True])
@pytest.mark.parametrize("kind", ALL)
def test_fewer_distinct_rows_than_clusters(recorder, kind, novel_only):
    """Three points, ten rows on each; the known classes are the first two of them."""
    classes = np.repeat(np.arange(3), 10)
    rows = np.array([[0.0, 0], [5, 0], [0, 5]], np.float32)[classes]
    labels = np.where((classes < 2) & (novel_only | (np.arange(30) % 2 == 0)), classes, -1)
    answer = count(kind, CountProblem(rows, labels, 2, novel_only), recorder, high=9)
    if kind in ("silhouette", "calinski_harabasz", "davies_bouldin", "ward_acc") and not novel_only:
        assert answer.k == 3


@pytest.mark.parametrize("kind", ALL)
def test_zero_vectors(make_blobs, recorder, kind):
    problem = make_blobs(each=10)
    problem.embeddings[::3] = 0
    count(kind, problem, recorder, high=10)
    count(kind, replace(problem, embeddings=np.zeros_like(problem.embeddings)), recorder, high=10)


@pytest.mark.parametrize("kind", ALL)
def test_one_labelled_sample_in_a_class(make_blobs, recorder, kind):
    problem = make_blobs(each=12)
    labels = problem.labels.copy()
    labels[np.flatnonzero(labels == 2)[1:]] = -1
    labels[labels == 3] = -1  # a known class that has none
    count(kind, replace(problem, labels=labels), recorder, high=10)


@pytest.mark.parametrize("kind", ALL)
def test_no_labels(make_blobs, recorder, kind):
    problem = make_blobs(each=10)
    problem = replace(problem, labels=np.full_like(problem.labels, -1))
    if kind in WITHOUT_LABELS:
        count(kind, problem, recorder, high=10)
        return
    with pytest.raises(DataError, match="counts classes by the labelled samples, and there are none") as caught:
        count(kind, problem, recorder, high=10)
    assert "silhouette" in caught.value.hint


@pytest.mark.parametrize("kind", ALL)
def test_imbalance_of_one_to_a_thousand(recorder, kind):
    draws = np.random.default_rng(0)
    classes = np.repeat(np.arange(4), [1000, 50, 50, 1])
    rows = (np.eye(4)[classes] * 9 + draws.normal(size=(1101, 4))).astype(np.float32)
    labels = np.where((classes < 2) & (np.arange(1101) % 2 == 0), classes, -1)
    count(kind, CountProblem(rows, labels, 2), recorder, high=6)


@pytest.mark.parametrize("kind", ALL)
def test_other_types_and_layouts_count_alike(make_blobs, recorder, kind):
    problem = make_blobs(each=10)
    half = problem.embeddings.astype(np.float16)
    problem = replace(problem, embeddings=half.astype(np.float32))
    expected = as_text(count(kind, problem, recorder, high=7))
    twofold = np.repeat(problem.embeddings, 2, axis=1)
    for embeddings in (half, half.astype(np.float64), np.asfortranarray(problem.embeddings), twofold[:, ::2]):
        assert as_text(count(kind, replace(problem, embeddings=embeddings), recorder, high=7)) == expected


@pytest.mark.parametrize("kind", ALL)
def test_one_dimension(recorder, kind):
    classes = np.repeat(np.arange(5), 12)
    rows = (classes * 10 + np.random.default_rng(0).normal(size=60)).astype(np.float32)[:, None]
    labels = np.where((classes < 2) & (np.arange(60) % 2 == 0), classes, -1)
    count(kind, CountProblem(rows, labels, 2), recorder, high=9)


@pytest.mark.parametrize("novel_only", [False, True])
@pytest.mark.parametrize("kind", ALL)
def test_five_rows(recorder, kind, novel_only):
    rows = np.array([[0.0, 0], [0, 1], [9, 0], [9, 1], [0, 9]], np.float32)
    labels = np.array([0, 0, 1, -1, -1])
    problem = CountProblem(rows, labels, 2, novel_only)
    of_pool = {"silhouette", "calinski_harabasz", "davies_bouldin"} | (set() if novel_only else {"elbow"})
    if kind in of_pool:  # two rows make no two clusters that are fewer than them
        with pytest.raises(DataError, match="clusters, the least number to try, cannot be made of these samples"):
            count(kind, problem, recorder)
        return
    answer = count(kind, problem, recorder)
    assert answer.k <= 5


@pytest.mark.parametrize("kind", ALL)
def test_values_that_are_not_finite_are_refused_with_their_rows(make_blobs, recorder, kind):
    problem = make_blobs(each=10)
    problem.embeddings[[2, 60], 1] = np.nan
    with pytest.raises(DataError, match="not finite"):
        import_kind(KINDS, kind)(problem, section_of(kind), np.random.default_rng(0), recorder)


@pytest.mark.parametrize("kind", ALL)
def test_a_range_below_the_known_classes_is_refused(make_blobs, recorder, kind):
    with pytest.raises(RecipeError, match=r"`estimate_k.high` is 3, too few for 4 known classes"):
        count(kind, make_blobs(each=10), recorder, high=3)
