"""Scores against brute force over all matchings, against scikit-learn, and against cases worked by hand."""

from itertools import permutations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from ncdcli.metrics import scores
from ncdcli.metrics.contingency import contingency


def all_matchings(clusters, classes):
    """Every one-to-one map from cluster ids to class ids (padded with Nones where there are more clusters)."""
    targets = list(classes) + [None] * max(0, len(clusters) - len(classes))
    return (dict(zip(clusters, chosen, strict=True)) for chosen in permutations(targets, len(clusters)))


def accuracy(match, clusters, classes, subset):
    right = [match[c] == t for c, t in zip(clusters, classes, strict=True)]
    return np.mean(np.array(right)[subset]) if subset.any() else None


def best_matching(clusters, classes, weight):
    maps = all_matchings(sorted(set(clusters)), sorted(set(classes)))
    return max(maps, key=lambda match: sum(weight[t] * (match[c] == t) for c, t in zip(clusters, classes, strict=True)))


def random_case(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 40))
    classes = rng.integers(0, rng.integers(1, 6), size=n)
    clusters = rng.integers(0, rng.integers(1, 6), size=n)
    return clusters, classes, int(rng.integers(0, 5))


@pytest.mark.parametrize("seed", range(60))
def test_v1_v2_and_balanced_scores_equal_brute_force(seed):
    clusters, classes, n_known = random_case(seed)
    known = classes < n_known
    table = contingency(clusters, classes)

    # `all` is unique; the split of it is not where several matchings are best, so it is checked by the parts it is of.
    match = best_matching(clusters, classes, np.ones(10))
    found = scores.gcd_v2(table, n_known=n_known)
    everything = np.ones(len(classes), bool)
    assert found["all"] == pytest.approx(accuracy(match, clusters, classes, everything))
    parts = [(found[name], subset.sum()) for name, subset in (("known", known), ("novel", ~known)) if subset.any()]
    assert sum(value * size for value, size in parts) / len(classes) == pytest.approx(found["all"])

    v1 = scores.gcd_v1(table, n_known=n_known)
    for name, subset in (("known", known), ("novel", ~known)):
        if not subset.any():
            assert v1[name] is found[name] is None
            continue
        own = best_matching(clusters[subset], classes[subset], np.ones(10))
        expected = np.mean([own[c] == t for c, t in zip(clusters[subset], classes[subset], strict=True)])
        assert v1[name] == pytest.approx(expected)
        assert v1[name] >= found[name] - 1e-12
    assert v1["all"] >= found["all"] - 1e-12

    weight = 1 / np.maximum(np.bincount(classes, minlength=10), 1)
    match = best_matching(clusters, classes, weight)
    recall = [accuracy(match, clusters, classes, classes == t) for t in sorted(set(classes))]
    assert scores.balanced_accuracy(table, n_known=n_known)["all"] == pytest.approx(np.mean(recall))


@pytest.mark.parametrize("seed", range(40))
def test_nmi_and_ari_equal_scikit_learn_in_every_subset(seed):
    clusters, classes, n_known = random_case(seed)
    table = contingency(clusters, classes)
    for name, subset in (("all", classes >= 0), ("known", classes < n_known), ("novel", classes >= n_known)):
        found_nmi, found_ari = scores.nmi(table, n_known=n_known)[name], scores.ari(table, n_known=n_known)[name]
        if subset.any():
            assert found_nmi == pytest.approx(
                normalized_mutual_info_score(classes[subset], clusters[subset]), abs=1e-12
            )
            assert found_ari == pytest.approx(adjusted_rand_score(classes[subset], clusters[subset]), abs=1e-12)
        else:
            assert found_nmi is found_ari is None


def table_of(rows):
    """A contingency table from {cluster: {class: count}}."""
    pairs = [(c, t) for c, counts in rows.items() for t, count in counts.items() for _ in range(count)]
    return contingency(*map(np.array, zip(*pairs, strict=True)))


def test_one_matching_for_v2_and_two_for_v1():
    # Cluster 0 holds 6 of known class 0 and 5 of novel class 1; cluster 1 holds 1 and 2 of them.
    table = table_of({0: {0: 6, 1: 5}, 1: {0: 1, 1: 2}})
    assert scores.gcd_v2(table, n_known=1) == pytest.approx({"all": 8 / 14, "known": 6 / 7, "novel": 2 / 7})
    assert scores.gcd_v1(table, n_known=1) == pytest.approx({"all": 11 / 14, "known": 6 / 7, "novel": 5 / 7})


def test_more_clusters_than_classes():
    table = table_of({0: {0: 5}, 1: {0: 4}, 2: {1: 3}, 3: {1: 2, 0: 1}})
    assert scores.gcd_v2(table, n_known=1) == pytest.approx({"all": 8 / 15, "known": 5 / 10, "novel": 3 / 5})


def test_fewer_clusters_than_classes_leaves_a_class_with_recall_zero():
    table = table_of({0: {0: 5, 1: 1}, 1: {2: 4, 1: 3}})
    assert scores.gcd_v2(table, n_known=2) == pytest.approx({"all": 9 / 13, "known": 5 / 9, "novel": 1.0})
    assert scores.gcd_v2_balanced(table, n_known=2) == pytest.approx({"all": 2 / 3, "known": 0.5, "novel": 1.0})


def test_balanced_accuracy_matches_by_recall_and_v2_balanced_by_count():
    # By count, cluster 0 goes to the large class 0 (60 + 0); by recall to the small class 1 (4 of 4).
    table = table_of({0: {0: 60, 1: 4}, 1: {0: 50}})
    assert scores.gcd_v2_balanced(table, n_known=1)["all"] == pytest.approx((60 / 110) / 2)
    assert scores.balanced_accuracy(table, n_known=1)["all"] == pytest.approx((50 / 110 + 1) / 2)


def test_ids_may_be_sparse_negative_or_text():
    clusters = np.array([-7, -7, 10**12, 10**12, 3])
    table = contingency(clusters, np.array([5, 5, 900, 900, 900]))
    assert scores.gcd_v2(table, n_known=6) == pytest.approx({"all": 0.8, "known": 1.0, "novel": 2 / 3})
    words = contingency(np.array(["x", "y", "x"]), np.array(["b", "a", "b"]))
    assert words.counts.tolist() == [[0, 2], [1, 0]]
    assert words.classes.tolist() == ["a", "b"]


def test_no_samples_scores_null_everywhere():
    empty = contingency(np.empty(0, np.int64), np.empty(0, np.int64))
    matched = np.array([0, -1])
    nothing = {"all": None, "known": None, "novel": None}
    for score in (
        scores.gcd_v2,
        scores.gcd_v1,
        scores.gcd_v2_balanced,
        scores.balanced_accuracy,
        scores.nmi,
        scores.ari,
    ):
        assert score(empty, n_known=1) == nothing
    assert scores.ncd_task_aware(empty, n_known=1) == nothing
    for score in (scores.known_accuracy, scores.ncd_task_agnostic, scores.ncd_task_agnostic_strict):
        assert score(empty, n_known=1, matched=matched) == nothing


def test_task_agnostic_scores_differ_in_novel_rows_that_land_in_known_clusters():
    # Clusters 0, 1 stand for known classes 0, 1; clusters 2, 3 are novel; class 2 is split over clusters 1 and 2.
    table = table_of({0: {0: 8, 1: 1}, 1: {1: 7, 2: 6}, 2: {2: 4, 3: 1, 0: 2}, 3: {3: 9}})
    matched = np.array([0, 1, -1, -1])
    lenient = scores.ncd_task_agnostic(table, n_known=2, matched=matched)
    assert lenient == pytest.approx({"all": 30 / 38, "known": 15 / 18, "novel": 15 / 20})
    strict = scores.ncd_task_agnostic_strict(table, n_known=2, matched=matched)
    assert strict == pytest.approx({"all": 28 / 38, "known": 15 / 18, "novel": 13 / 20})
    assert scores.known_accuracy(table, n_known=2, matched=matched)["known"] == pytest.approx(15 / 18)


def test_task_aware_scores_novel_rows_only():
    table = table_of({2: {2: 4, 3: 1, 0: 50}, 3: {3: 5}})
    assert scores.ncd_task_aware(table, n_known=2) == pytest.approx({"all": 0.9, "known": None, "novel": 0.9})


def test_scores_do_not_depend_on_the_names_of_clusters_or_novel_classes():
    rng = np.random.default_rng(0)
    clusters, classes = rng.integers(8, size=500), rng.integers(6, size=500)
    rename, reclass = rng.permutation(8), np.concatenate([np.arange(3), 3 + rng.permutation(3)])
    one, other = contingency(clusters, classes), contingency(rename[clusters] * 5 - 3, reclass[classes])
    for score in (scores.gcd_v2, scores.gcd_v1, scores.gcd_v2_balanced, scores.nmi, scores.ari):
        assert score(one, n_known=3) == pytest.approx(score(other, n_known=3))


def test_ari_is_exact_where_pair_counts_overflow():
    counts = np.full((2, 2), 200_000_000, np.int64)
    counts[0, 0] = counts[1, 1] = 300_000_000
    # two equal clusters, two equal classes: expected index from the shares alone
    share = 0.6
    assert scores.adjusted_rand(counts) == pytest.approx((2 * share - 1) ** 2, rel=1e-6)
