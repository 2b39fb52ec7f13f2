import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import AgglomerativeClustering

from ncdcli.counting import ward_acc
from ncdcli.counting.kinds import WardAcc


def rng():
    return np.random.default_rng(0)


def naive_accuracy(clusters, classes):
    counts = np.array([[((clusters == c) & (classes == t)).sum() for t in set(classes)] for c in set(clusters)])
    rows, columns = linear_sum_assignment(-counts)
    return counts[rows, columns].sum() / len(classes)


@pytest.mark.parametrize("novel_only", [False, True])
def test_scores_are_accuracies_of_the_tree_of_scikit_learn(make_blobs, recorder, novel_only):
    problem = make_blobs(spread=3.0, novel_only=novel_only)
    answer = ward_acc.estimate(problem, WardAcc(high=12), rng(), recorder)
    labelled = problem.labels >= 0
    for k, score in answer.scores.items():
        clusters = AgglomerativeClustering(k, linkage="ward").fit(problem.embeddings.astype(np.float64)).labels_
        assert score == pytest.approx(naive_accuracy(clusters[labelled], problem.labels[labelled]))
    assert len(set(answer.scores.values())) > 1
    assert list(answer.scores) == list(range(5 if novel_only else 4, 13))


@pytest.mark.parametrize("novel_only", [False, True])
def test_finds_the_number_of_separated_blobs(make_blobs, recorder, novel_only):
    answer = ward_acc.estimate(make_blobs(spread=30.0, novel_only=novel_only), WardAcc(), rng(), recorder)
    assert answer.k == 8
    assert answer.interval[0] <= 7
    least = ward_acc.estimate(make_blobs(spread=30.0, novel_only=novel_only), WardAcc(ties="smallest"), rng(), recorder)
    assert least.k == least.interval[0] < 8
    assert answer.statistics["best_accuracy"] == 1.0


def test_patience_ends_the_scan(make_blobs, recorder):
    problem = make_blobs(spread=3.0)
    every = ward_acc.estimate(problem, WardAcc(ties="smallest"), rng(), recorder).scores
    scores = ward_acc.estimate(problem, WardAcc(ties="smallest", patience=3), rng(), recorder).scores
    best = max(scores, key=lambda k: (scores[k], -k))
    assert list(scores) == list(range(4, best + 4))
    assert scores == {k: every[k] for k in scores}


def test_one_tree_of_a_sample_is_what_it_costs(make_blobs, recorder):
    answer = ward_acc.estimate(make_blobs(each=60), WardAcc(max_samples=100, ties="smallest"), rng(), recorder)
    cost = answer.statistics["cost"]
    assert 98 <= cost["rows"] <= 102  # every class in its share, rounded
    assert cost["clusterings"] == 1
    assert cost["distances"] == cost["rows"] * (cost["rows"] - 1) // 2
