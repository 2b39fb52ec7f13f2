"""What is said of each cluster."""

import numpy as np
import pytest

from ncdcli.reports.confusion import mistakes, ordered_confusion
from ncdcli.reports.describe import as_json, describe_clusters, own_distances, references

RNG = np.random.default_rng(0)
CLASSES = np.repeat([0, 1, 2, 3], [30, 20, 25, 40])
ROLES = ["labelled"] * 10 + ["unlabelled"] * 20 + ["labelled"] * 8 + ["unlabelled"] * 77


def test_novel_clusters_come_first_and_the_largest_before_smaller_ones(make_results):
    found = describe_clusters(make_results(CLASSES, roles=ROLES), RNG)
    assert [(one.cluster, one.novel, one.name) for one in found] == [
        (3, True, "novel 3"),
        (2, True, "novel 2"),
        (0, False, "ant"),
        (1, False, "bee"),
    ]
    assert found[2].sizes == {"labelled": 10, "unlabelled": 20}
    assert (found[2].pool, found[2].size) == (20, 30)


def test_confidence_is_the_mean_margin_of_the_pool(make_results):
    results = make_results(CLASSES, roles=ROLES)
    one = next(one for one in describe_clusters(results, RNG) if one.cluster == 0)
    assert one.confidence == pytest.approx(results.margins[10:30].mean())


def test_central_samples_are_the_nearest_and_borderline_ones_have_the_least_margin(make_results):
    results = make_results(CLASSES)
    one = next(one for one in describe_clusters(results, RNG, samples=4) if one.cluster == 3)
    rows = np.flatnonzero(CLASSES == 3)
    gaps = np.linalg.norm(results.embeddings[rows] - results.centroids[3], axis=1)
    assert list(one.exemplars.central) == rows[np.argsort(gaps)[:4]].tolist()
    rest = [row for row in rows[np.argsort(results.margins[rows])].tolist() if row not in one.exemplars.central]
    assert list(one.exemplars.borderline) == rest[:4]
    shown = [*one.exemplars.central, *one.exemplars.random, *one.exemplars.borderline]
    assert len(set(shown)) == 12
    assert one.radius == pytest.approx(np.sqrt((gaps**2).mean()), rel=1e-5)


def test_the_nearest_known_class_is_known(make_results):
    results = make_results(CLASSES)
    results.centroids[2] = results.centroids[1] + 0.5
    one = next(one for one in describe_clusters(results, RNG) if one.cluster == 3)
    gaps = np.linalg.norm(results.centroids - results.centroids[3], axis=1)
    assert one.nearest_known.cluster == int(np.argmin(gaps[:2]))
    assert one.nearest.cluster == int(np.argmin(gaps[:3]))
    assert one.nearest_known.ratio == pytest.approx(one.nearest_known.distance / one.radius)


def test_purity_counts_pool_and_test_samples(make_results):
    clusters = CLASSES.copy()
    clusters[90:100] = 2  # ten dogs among the cats
    one = next(one for one in describe_clusters(make_results(CLASSES, clusters), RNG) if one.cluster == 2)
    assert one.purity.value == pytest.approx(25 / 35)
    assert one.purity.classes == (("cat", 25), ("dog", 10))


def test_without_truth_there_is_no_purity(make_results):
    found = describe_clusters(make_results(CLASSES, roles=ROLES, truth=False), RNG)
    assert all(one.purity is None for one in found)


def test_merged_clusters_are_one(make_results):
    results = make_results(CLASSES, into=[0, 1, 2, 2])
    found = describe_clusters(results, RNG)
    assert [one.cluster for one in found] == [2, 0, 1]
    assert found[0].parts == (3,)
    assert found[0].pool == 65


def test_many_clusters_show_fewer_samples_each(make_results):
    found = describe_clusters(make_results(np.arange(12 * 300) % 300), RNG)
    assert {len(one.exemplars.central) for one in found} == {3}


def test_an_empty_cluster_and_one_alone(make_results):
    found = describe_clusters(make_results([0, 0, 2, 2, 2]), RNG)
    empty = next(one for one in found if one.cluster == 1)
    assert (empty.size, empty.confidence, empty.exemplars.central) == (0, None, ())
    (alone,) = describe_clusters(make_results([0] * 9, n_known=1), RNG)
    assert alone.nearest is None
    assert as_json(alone, ["key"] * 9)["nearest"] is None


def test_references_are_labelled_samples_nearest_to_their_class(make_results):
    results = make_results(CLASSES, roles=ROLES)
    distances = own_distances(results)
    assert distances == pytest.approx(
        np.linalg.norm(results.embeddings - results.centroids[results.clusters], axis=1), rel=1e-5
    )
    shown = references(results, distances)
    assert shown["ant"] == sorted(range(10), key=lambda row: distances[row])[:4]
    assert all(30 <= row < 38 for row in shown["bee"])


class TestConfusion:
    def test_rows_are_in_the_order_of_their_classes(self, make_results):
        results = make_results(CLASSES)
        results.matching["splits"]["unlabelled"] = {"0": "dog", "1": "ant", "2": None, "3": "cat"}
        found = ordered_confusion(results)
        assert found.clusters == (1, 3, 0, 2)
        assert found.classes == ("ant", "bee", "cat", "dog")
        assert found.table.tolist() == [[0, 20, 0, 0], [0, 0, 0, 40], [30, 0, 0, 0], [0, 0, 25, 0]]
        assert found.matched == {(0, 0), (1, 2), (2, 3)}
        assert found.share(1, 3) == 1.0

    def test_without_truth_there_is_none(self, make_results):
        assert ordered_confusion(make_results(CLASSES, truth=False)) is None

    def test_known_taken_for_novel_and_the_reverse(self, make_results):
        clusters = CLASSES.copy()
        clusters[20:26], clusters[50:53] = 3, 1
        results = make_results(CLASSES, clusters)
        taken, given = mistakes(results)
        assert [(one.name, one.total, one.wrong, one.goes_to) for one in taken] == [("ant", 30, 6, (("novel 3", 6),))]
        assert [(one.name, one.total, one.wrong, one.goes_to) for one in given] == [("cat", 25, 3, (("bee", 3),))]
        assert taken[0].share == 0.2
        order = sorted(range(20, 26), key=lambda row: -results.margins[row])
        assert list(taken[0].examples) == order

    def test_without_truth_held_out_samples_tell(self, make_results):
        clusters = CLASSES.copy()
        clusters[:3] = 2
        roles = ["validation"] * 10 + ["labelled"] * 20 + ["unlabelled"] * 85
        taken, given = mistakes(make_results(CLASSES, clusters, roles=roles, truth=False))
        assert [(one.name, one.total, one.wrong) for one in taken] == [("ant", 10, 3)]
        assert given == []

    def test_the_ncd_setting_has_none(self, make_results):
        assert mistakes(make_results(CLASSES, setting="ncd")) == ([], [])
