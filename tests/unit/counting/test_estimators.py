from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import silhouette_samples, silhouette_score

from ncdcli.clustering.restarts import NestedFits, best_of, fit
from ncdcli.counting import fixed, max_acc, silhouette
from ncdcli.counting.base import CountEstimate, CountProblem
from ncdcli.counting.candidates import best_candidate, candidate_range, indistinct, stratified_rows
from ncdcli.counting.kinds import Fixed, MaxAcc, Silhouette
from ncdcli.counting.labelled import Candidates, Sample, Verdict, choose
from ncdcli.counting.search import search_brent
from ncdcli.errors import DataError, RecipeError


def blobs(*, k=8, n_known=4, each=30, d=8, spread=9.0, novel_only=False, seed=0):
    rng = np.random.default_rng(seed)
    classes = np.repeat(np.arange(k), each)
    rows = np.eye(k, d)[classes] * spread + rng.normal(size=(k * each, d))
    labels = np.where(classes < n_known, classes, -1)
    if not novel_only:
        labels[::2] = -1
    return CountProblem(rows.astype(np.float32), labels, n_known, novel_only)


def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("novel_only", [False, True])
def test_silhouette_finds_the_number_of_separated_blobs(recorder, novel_only):
    estimate = silhouette.estimate(blobs(novel_only=novel_only), Silhouette(restarts=5), rng(), recorder)
    assert estimate.k == 8
    assert estimate.interval == (8, 8)
    assert estimate.statistics["range"] == ([6, 33] if novel_only else [4, 22])
    assert set(estimate.scores) == set(range(6, 34) if novel_only else range(4, 23))


def test_silhouette_scores_are_mean_silhouettes_of_pool_rows(recorder):
    problem = blobs(spread=3.0)
    estimate = silhouette.estimate(problem, Silhouette(low=5, high=7, restarts=3), rng(), recorder)
    pool = problem.embeddings[problem.labels < 0]
    key = int(rng().integers(2**63))
    for k in (5, 6, 7):
        runs = fit(pool, k, restarts=3, iterations=100, seeding="greedy", rng=np.random.default_rng([key, k]))
        assert estimate.scores[k] == pytest.approx(silhouette_score(pool, runs[best_of(runs)].labels), abs=1e-5)


@pytest.mark.parametrize("novel_only", [False, True])
def test_the_silhouette_interval_holds_what_bootstrap_samples_cannot_tell_from_the_best(recorder, novel_only):
    problem = blobs(k=6, n_known=3, each=12, spread=2.0, novel_only=novel_only)
    estimate = silhouette.estimate(problem, Silhouette(low=5, high=9, restarts=2), rng(), recorder)
    pool = problem.embeddings[problem.labels < 0]
    key = int(rng().integers(2**63))
    values = {}
    for k in range(5, 10):
        runs = fit(
            pool, k - 3 * novel_only, restarts=2, iterations=100, seeding="greedy", rng=np.random.default_rng([key, k])
        )
        values[k] = silhouette_samples(pool, runs[best_of(runs)].labels)
    draws = np.random.default_rng([key, 1])
    samples = [draws.integers(len(pool), size=len(pool)) for _ in range(100)]
    resampled = {k: np.array([of_k[sample].mean() for sample in samples]) for k, of_k in values.items()}
    best = max(values, key=lambda k: values[k].mean())
    near = [
        k for k in values
        if values[best].mean() - values[k].mean() <= (resampled[best] - resampled[k]).std(ddof=1)
    ]  # fmt: skip
    assert (estimate.k, estimate.interval) == (best, (min(near), max(near)))
    assert len(near) > 1


def test_silhouette_of_a_sample(recorder):
    estimate = silhouette.estimate(blobs(each=60), Silhouette(max_samples=100, restarts=5), rng(), recorder)
    assert estimate.k == 8
    assert estimate.statistics["rows"] == 100


def test_max_acc_scores_are_hungarian_accuracies_on_labelled_rows(recorder):
    problem = blobs(spread=3.0)
    estimate = max_acc.estimate(problem, MaxAcc(search="all", restarts=2, high=12), rng(), recorder)
    assert sorted(estimate.scores) == list(range(4, 13))
    key = int(rng().integers(2**63))
    labelled = problem.labels >= 0
    fits = NestedFits(problem.embeddings, 12, 2, 100, np.random.default_rng([key, 3]))
    for k in (4, 9):
        runs = fits(k)
        clusters = runs[best_of(runs)].labels[labelled]
        counts = np.array(
            [[((clusters == c) & (problem.labels[labelled] == t)).sum() for t in range(4)] for c in range(k)]
        )
        rows, columns = linear_sum_assignment(-counts)
        assert estimate.scores[k] == pytest.approx(counts[rows, columns].sum() / labelled.sum())
    best = max(estimate.scores.values())
    assert estimate.statistics["best_accuracy"] == best
    assert estimate.interval[0] <= estimate.k <= estimate.interval[1]


def merged_or_whole(recorder, **options):
    """Eight far blobs, the novel ones wider: the known ones stay whole for every k from 5 on."""
    options = {"restarts": 5, "high": 16, **options}
    problem = blobs(spread=30.0)
    wider = np.where(np.repeat(np.arange(8), 30)[:, None] < 4, 1.0, 2.0)
    middles = np.repeat(np.eye(8), 30, axis=0) * 30.0
    rows = (middles + (problem.embeddings - middles) * wider).astype(np.float32)
    return max_acc.estimate(CountProblem(rows, problem.labels, 4), MaxAcc(**options), rng(), recorder)


@pytest.mark.parametrize("search", ["all", "brent"])
def test_among_equal_accuracies_the_clusters_of_the_pool_decide(recorder, search):
    estimate = merged_or_whole(recorder, search=search)
    first, last = estimate.interval
    assert first <= 7
    assert last >= 9
    assert {estimate.scores[k] for k in (7, 8, 9)} == {1.0}
    assert set(estimate.other_scores["silhouette"]) == set(range(first, last + 1)) <= set(estimate.scores)
    assert estimate.k == 8
    assert estimate.statistics["accuracy"] == estimate.statistics["best_accuracy"] == 1.0


def test_the_least_of_equal_accuracies_where_the_recipe_says_so(recorder):
    estimate = merged_or_whole(recorder, search="all", ties="smallest")
    assert estimate.k == estimate.interval[0] == min(k for k, score in estimate.scores.items() if score == 1.0) < 8
    assert estimate.other_scores == {}


def test_the_interval_ends_where_the_accuracy_falls_or_the_range_does(recorder):
    everything = merged_or_whole(recorder, search="all", ties="smallest").scores
    estimate = merged_or_whole(recorder, high=10)
    first, last = estimate.interval
    assert all(everything[k] == 1.0 for k in range(first, last + 1))
    assert first == 4 or everything[first - 1] < 1.0
    assert last == 10 or everything[last + 1] < 1.0


def test_deciding_silhouettes_are_those_of_pool_rows(recorder):
    problem = blobs(spread=3.0)
    estimate = max_acc.estimate(problem, MaxAcc(restarts=2), rng(), recorder)
    pool = problem.labels < 0
    fits = NestedFits(problem.embeddings, 22, 2, 100, np.random.default_rng([int(rng().integers(2**63)), 3]))
    for k, value in estimate.other_scores["silhouette"].items():
        runs = fits(k)
        clusters = runs[best_of(runs)].labels[pool]
        assert value == pytest.approx(silhouette_score(problem.embeddings[pool], clusters), abs=1e-5)


def test_max_acc_without_a_pool_takes_the_least_of_equal_accuracies(recorder):
    problem = blobs(n_known=8, spread=30.0)
    problem = CountProblem(problem.embeddings, np.repeat(np.arange(8), 30), 8)
    estimate = max_acc.estimate(problem, MaxAcc(restarts=5), rng(), recorder)
    assert (estimate.k, "silhouette" in estimate.other_scores) == (8, False)


def test_the_search_follows_glances_and_the_score_decides(recorder):
    """A chance partition makes 162 stand out from its neighbours, and a search by scores alone ends there."""
    sample = Sample(np.zeros((1, 1), np.float32), np.zeros(1, np.int64), np.empty(0, np.int64), 1, key=0)

    def slope(k: int) -> float:
        return -abs(k - 190) / 100

    def judge(k: int) -> Verdict:
        score = slope(k) + 0.3 * (k == 162)
        return Verdict(score, np.empty(0, np.int64), lambda rng: float(rng.normal(0, 0.02)))

    def estimate(glance: Callable[[int], float] | None) -> CountEstimate:
        return choose(
            Candidates(judge, sample, glance), (100, 200), kind="max_acc", score_name="accuracy", search=search_brent,
            ties="smallest", pool=False, progress=recorder,
        )  # fmt: skip

    assert 190 not in estimate(None).scores
    followed = estimate(slope)
    assert followed.k in followed.scores
    assert abs(followed.k - 190) <= 3  # within the deviation of the scores, 0.02
    glances = followed.other_scores["search"]
    assert glances.keys() == search_brent(slope, 100, 200).keys()
    for k in glances:
        if abs(k - 190) != 2:  # the deviation itself is drawn: near it either is right
            assert (k in followed.scores) == (abs(k - 190) < 2)


def test_the_score_of_a_candidate_does_not_depend_on_the_search(recorder):
    problem = blobs(spread=3.0)
    everything = max_acc.estimate(problem, MaxAcc(search="all", restarts=2), rng(), recorder)
    searched = max_acc.estimate(problem, MaxAcc(search="brent", restarts=2), rng(), recorder)
    assert len(searched.scores) < len(everything.scores)
    for k, score in searched.scores.items():
        assert score == everything.scores[k]


def test_max_acc_on_a_sample_keeps_every_class(recorder):
    estimate = max_acc.estimate(blobs(each=60), MaxAcc(max_samples=100, restarts=3), rng(), recorder)
    assert 4 <= estimate.k <= 22


def test_the_interval_holds_what_one_deviation_cannot_tell_apart():
    scores = {3: 0.70, 4: 0.79, 5: 0.80, 6: 0.78, 7: 0.76}
    assert indistinct(scores, 0.0) == (5, 5)
    assert indistinct(scores, 0.015) == (4, 5)
    assert indistinct(scores, 0.05) == (4, 7)
    assert best_candidate({3: 0.5, 9: 0.8, 7: 0.8}) == 7


def test_a_single_labelled_class_is_noted(recorder):
    problem = blobs(n_known=1)
    estimate = max_acc.estimate(problem, MaxAcc(restarts=2), rng(), recorder)
    assert 2 <= estimate.k <= 13
    assert any("only one class" in note for note in recorder.notes)


def test_max_acc_without_labels_names_the_other_estimators(recorder):
    problem = CountProblem(np.eye(5, dtype=np.float32), np.full(5, -1), 2)
    with pytest.raises(DataError, match="there are none") as caught:
        max_acc.estimate(problem, MaxAcc(), rng(), recorder)
    assert "silhouette" in caught.value.hint


@pytest.mark.parametrize(
    ("config", "error", "message"),
    [
        (MaxAcc(low=3), RecipeError, "`estimate_k.low` is 3, too few for 4 known classes"),
        (MaxAcc(high=3), RecipeError, "`estimate_k.high` is 3, too few for 4 known classes"),
        (MaxAcc(low=9, high=6), RecipeError, "`estimate_k.low` is 9, above `estimate_k.high`, 6"),
        (MaxAcc(low=500), DataError, "500 clusters, the least number to try"),
        (Silhouette(low=9, high=6), RecipeError, "`estimate_k.low` is 9, above"),
        (Silhouette(low=500, high=600), DataError, "500 clusters, the least number to try"),
        (Fixed(k=3), RecipeError, "`estimate_k.k` is 3, too few for 4 known classes"),
    ],
)
def test_bounds_that_make_no_sense_are_refused(recorder, config, error, message):
    module = {"max_acc": max_acc, "silhouette": silhouette, "fixed": fixed}[config.kind]
    with pytest.raises(error, match=message):
        module.estimate(blobs(), config, rng(), recorder)


def test_fixed_may_be_the_number_of_known_classes_only_where_the_pool_holds_them(recorder):
    assert fixed.estimate(blobs(), Fixed(k=4), rng(), recorder).k == 4
    with pytest.raises(RecipeError, match="at least one novel class"):
        fixed.estimate(blobs(novel_only=True), Fixed(k=4), rng(), recorder)


def test_a_given_k_has_no_curve_and_no_cost(recorder):
    answer = fixed.estimate(blobs(), Fixed(k=6), rng(), recorder)
    assert (answer.k, answer.interval, answer.scores) == (6, (6, 6), {})
    assert answer.statistics == {"range": [6, 6]}


def test_the_range_is_cut_to_the_number_of_rows(recorder):
    problem = blobs(k=5, each=3)
    assert max_acc.estimate(problem, MaxAcc(restarts=1), rng(), recorder).statistics["range"] == [4, 15]
    options = {"default": (4, 22), "most": 10, "n_known": 4, "novel_only": False}
    assert candidate_range(None, 50, **options) == (4, 10)
    assert candidate_range(30, None, **(options | {"most": 100})) == (30, 30)


def test_stratified_rows_keep_every_label_in_its_share():
    labels = np.repeat([-1, 0, 1, 2], [600, 300, 99, 1])
    rows = stratified_rows(labels, 100, rng())
    assert np.bincount(labels[rows] + 1).tolist() == [60, 30, 10, 1]
    assert (np.diff(rows) > 0).all()
    assert stratified_rows(labels, None, rng()).tolist() == list(range(1000))
