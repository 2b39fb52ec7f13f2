import numpy as np
import pytest

from ncdcli.metrics.contingency import contingency
from ncdcli.metrics.matching import match_clusters, matched_counts


def test_the_matching_is_one_to_one_and_greatest_in_total():
    # Greedy would give cluster 0 to class 0 (9) and cluster 1 to class 1 (0): 9. The best total is 8 + 8.
    counts = np.array([[9, 8], [8, 0]])
    assert match_clusters(counts).tolist() == [1, 0]
    assert matched_counts(counts, match_clusters(counts)).tolist() == [8, 8]


def test_spare_clusters_are_matched_to_none():
    assert match_clusters(np.array([[1], [5], [2]])).tolist() == [-1, 0, -1]
    assert matched_counts(np.array([[1], [5], [2]]), np.array([-1, 0, -1])).tolist() == [5]


def test_no_classes_or_no_clusters():
    assert match_clusters(np.zeros((3, 0), np.int64)).tolist() == [-1, -1, -1]
    assert matched_counts(np.zeros((0, 2), np.int64), np.empty(0, np.int64)).tolist() == [0, 0]


def test_different_lengths_are_refused():
    with pytest.raises(ValueError, match="one cluster and one class per sample"):
        contingency(np.arange(3), np.arange(4))
