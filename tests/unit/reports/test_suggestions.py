"""Clusters that may be one, and clusters that may be several."""

import numpy as np
import pytest
from scipy import stats

from ncdcli.reports.suggestions import GAP, NO_GAP, suggest_merges, suggest_splits, valley_of, with_rows


def blobs(centres, counts, seed=0, width=20):
    rng = np.random.default_rng(seed)
    middles = np.zeros((len(counts), width))
    middles[:, : np.shape(centres)[1]] = centres
    groups = np.repeat(np.arange(len(counts)), counts)
    return middles[groups] + rng.normal(size=(len(groups), width)), groups


@pytest.mark.parametrize("seed", range(5))
def test_halves_of_one_blob_may_be_one(seed):
    values, groups = blobs([[0, 0], [9, 0], [0, 9]], [300, 150, 150], seed)
    halves = np.where((groups == 0) & (values[:, 2] > 0), 3, groups)  # cut through the middle of the first
    found = suggest_merges(values, halves, novel=[0, 3], known=[1, 2], rng=np.random.default_rng(seed))
    assert [merge.clusters for merge in found] == [(0, 3)]
    assert found[0].valley >= NO_GAP


@pytest.mark.parametrize("seed", range(5))
def test_blobs_with_a_gap_are_not_one_and_not_several(seed):
    values, groups = blobs([[0, 0], [6, 0], [0, 6], [6, 6]], [120] * 4, seed)
    rng = np.random.default_rng(seed)
    assert suggest_merges(values, groups, novel=[2, 3], known=[0, 1], rng=rng) == []
    assert suggest_splits(values, groups, clusters=range(4), rng=rng) == []


def test_two_known_classes_are_never_one():
    values, _ = blobs([[0, 0]], [200])
    groups = (values[:, 0] > 0).astype(int)
    assert suggest_merges(values, groups, novel=[], known=[0, 1], rng=np.random.default_rng(0)) == []


@pytest.mark.parametrize("centres", [[[0, 0], [7, 0]], [[0, 0], [7, 0], [3, 6]]], ids=["two", "three"])
def test_a_cluster_of_several_blobs_has_a_gap_inside(centres):
    values, classes = blobs(centres, [90] * len(centres))
    rows = np.arange(len(values)) + 1000
    (found,) = suggest_splits(values, np.zeros(len(values), int), clusters=[0], rng=np.random.default_rng(0))
    assert found.valley < GAP
    assert sum(found.parts) == found.rows == len(values)
    left, right = ({int(classes[row]) for row in side} for side in found.examples)
    assert left.isdisjoint(right)
    moved = with_rows(found, rows)
    assert [row - 1000 for side in moved.examples for row in side] == [row for side in found.examples for row in side]


@pytest.mark.parametrize("width", [2, 50])
def test_noise_is_not_split_however_many_dimensions_it_has(width):
    for seed in range(5):
        values, groups = blobs([[0, 0]], [60], seed, width)
        assert suggest_splits(values, groups, clusters=[0], rng=np.random.default_rng(seed)) == []


def test_few_samples_suggest_nothing():
    values, groups = blobs([[0, 0], [1, 0]], [10, 10])
    rng = np.random.default_rng(0)
    assert suggest_merges(values, groups, novel=[0, 1], known=[], rng=rng) == []
    assert suggest_splits(values, groups, clusters=[0, 1], rng=rng) == []


def test_the_valley_of_known_densities():
    grid = (np.arange(2000) + 0.5) / 2000
    normal = stats.norm.ppf(grid)
    assert valley_of(2 * grid - 1) == pytest.approx(1, abs=0.02)  # even
    assert valley_of(normal) == pytest.approx(1, abs=0.03)  # one peak
    assert valley_of(np.concatenate([normal * 0.1 - 1, normal * 0.1 + 1])) < 1e-6
    # two normals ±2 apart: f(0) / f(2) = 2 e⁻² / (1 + e⁻⁸) = 0.271
    assert valley_of(np.concatenate([normal - 2, normal + 2])) == pytest.approx(0.271, abs=0.03)
    assert valley_of(np.array([1.0, 2.0])) == 1.0
