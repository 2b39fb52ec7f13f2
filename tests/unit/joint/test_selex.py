"""SelEx's hierarchy and losses against their definitions, and what it learns."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from toyjoint import blobs

from ncdcli.clustering import semi_kmeans
from ncdcli.clustering.base import Problem
from ncdcli.clustering.kinds import SemiKMeans
from ncdcli.joint.base import Task
from ncdcli.joint.hierarchy import Level, level_sizes, make_hierarchy, reaches
from ncdcli.joint.kinds import Selex as Config
from ncdcli.joint.selex import Selex, contrast_of_classes, farness, spread_info_nce, spread_targets
from ncdcli.metrics.contingency import contingency
from ncdcli.metrics.scores import gcd_v2
from ncdcli.objectives.base import EpochFacts
from ncdcli.pipeline.context import SilentProgress

SMALL: dict[str, Any] = {
    "projector_hidden": 16, "projector_bottleneck": 12, "projector_out": 8, "projector_layers": 2,
}  # fmt: skip
KMEANS = SemiKMeans(init="matched", restarts=2, restarts_rule="lowest_objective", balance=1.0)


def clusters_of_nine(setting: str = "gcd") -> tuple[Any, Any, Any]:
    """Rows of nine classes, the first four known, 20 of each and half of them labelled (NCD: all)."""
    rng = np.random.default_rng(1)
    classes = np.repeat(np.arange(9), 20)
    rows = rng.normal(size=(9, 12))[classes] * 3 + rng.normal(size=(180, 12))
    labelled = (classes < 4) & ((np.arange(180) % 2 == 0) | (setting == "ncd"))
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32), classes, np.where(labelled, classes, -1)


def test_levels_halve_until_one_known_cluster_is_left() -> None:
    assert level_sizes(5, 5) == [(5, 5), (2, 2), (1, 1)]
    assert level_sizes(80, 20) == [(80, 20), (40, 10), (20, 5), (10, 2), (5, 1), (2, 1), (1, 1)]
    assert level_sizes(1, 3) == [(1, 3)]


@pytest.mark.parametrize("setting", ["gcd", "ncd"])
def test_the_hierarchy_is_semi_supervised_k_means_at_every_level(setting: str) -> None:
    rows, _, labels = clusters_of_nine(setting)
    problem = Problem(rows, labels, 4, 9, setting == "ncd")
    levels = make_hierarchy(problem, KMEANS, np.random.default_rng(0))
    assert [len(level.centres) for level in levels] == [9, 4, 2]
    first = semi_kmeans.cluster(problem, KMEANS, np.random.default_rng(0), SilentProgress())
    np.testing.assert_array_equal(levels[0].clusters, first.assignments)
    known = first.assignments < 4
    for level, n_known in zip(levels[1:], (2, 1), strict=True):
        merged = {
            (int(one), int(two)) for one, two in zip(first.assignments[known], level.clusters[known], strict=True)
        }
        assert len(merged) == 4  # each known class lies in one cluster …
        assert {two for _, two in merged} == set(range(n_known))  # … a known one, and every one of these has a class
        if setting == "ncd":
            assert bool((level.clusters[~known] >= n_known).all())
        sizes = np.bincount(level.clusters, minlength=len(level.centres))
        pinned = np.bincount(level.clusters[known], minlength=len(level.centres))
        assert (sizes <= np.maximum(math.ceil(180 / len(sizes)), pinned)).all() or setting == "ncd"
    assert np.bincount(levels[0].clusters).tolist() == [20] * 9


def test_a_cluster_reaches_to_the_next_centre() -> None:
    centres = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    clusters = np.array([2, 0, 3, 3, 1])
    expected = [min(np.linalg.norm(centres[c] - centres[o]) for o in range(4) if o != c) for c in clusters]
    np.testing.assert_allclose(reaches(Level(clusters, centres)), expected, rtol=1e-5)


def test_far_is_what_lies_beyond_the_reach_of_clusters() -> None:
    rows = F.normalize(torch.randn(6, 4, generator=torch.Generator().manual_seed(0)), dim=1)
    reach = torch.rand(2, 6, generator=torch.Generator().manual_seed(1)) * 2
    found = farness(rows, reach)
    for i in range(6):
        for j in range(6):
            distance = math.dist(rows[i].tolist(), rows[j].tolist())
            assert float(found[i, j]) == (distance > float(reach[0, j])) + 0.5 * (distance > float(reach[1, j]))


@pytest.mark.parametrize("smoothing", [0.0, 0.3, 1.0])
def test_targets_are_spread_over_far_rows(smoothing: float) -> None:
    far = torch.tensor([[0.0, 1, 0.5, 0], [0, 0, 0, 0], [2, 2, 0, 4], [0, 0, 1, 0]])
    spread = [[0, 2 / 3, 1 / 3, 0], [0, 0, 0, 1], [0.25, 0.25, 0, 0.5], [0, 0, 1, 0]]
    other = [[0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, 1, 0, 0]]
    expected = (1 - smoothing) * np.array(other) + smoothing * np.array(spread)
    np.testing.assert_allclose(spread_targets(far, smoothing=smoothing).numpy(), expected, rtol=1e-6)


def slow_log_likeness(outputs: Any, i: int, j: int, temperature: float) -> float:
    likeness = [math.exp(-math.dist(outputs[i], other) / temperature) for other in outputs]
    return math.log(likeness[j] / sum(value for row, value in enumerate(likeness) if row != i))


def test_both_contrasts_are_their_definitions() -> None:
    outputs = torch.randn(8, 3, generator=torch.Generator().manual_seed(2))
    targets = spread_targets(
        (torch.rand(8, 8, generator=torch.Generator().manual_seed(3))).fill_diagonal_(0), smoothing=0.4
    )
    rows, classes = outputs.tolist(), [0, 1, 1, 2] * 2
    soft = -sum(float(targets[i, j]) * slow_log_likeness(rows, i, j, 0.5) for i in range(8) for j in range(8) if i != j)
    assert float(spread_info_nce(outputs, targets, 0.5)) == pytest.approx(soft / 8, rel=1e-4)
    total = 0.0
    for i in range(8):
        same = [j for j in range(8) if j != i and classes[j] == classes[i]]
        total -= np.mean([slow_log_likeness(rows, i, j, 0.5) for j in same])
    assert float(contrast_of_classes(outputs, torch.tensor(classes), 0.5)) == pytest.approx(total / 8, rel=1e-4)
    assert float(contrast_of_classes(outputs[:0], torch.tensor([], dtype=torch.int64), 0.5)) == 0


def test_the_loss_is_the_sum_of_the_paper(make_batch: Callable[..., Any]) -> None:
    torch.manual_seed(0)
    method = Selex(Config(**SMALL, supervised_weight=0.3, smoothing=0.4), dim=6, task=Task(3, 5))
    rows = torch.randn(40, 6, generator=torch.Generator().manual_seed(3))
    labels_of_rows = torch.where(torch.arange(40) < 24, torch.arange(40) % 3, -1)
    problem = Problem(rows.numpy(), labels_of_rows.numpy(), 3, 5)
    method.start(problem, np.random.default_rng(0))
    method.refresh(EpochFacts(0, 1, labels_of_rows, lambda: rows, np.random.default_rng(4)))
    assert method.clusters.shape == method.reach.shape == (2, 40)

    features, labels = make_batch()
    positions = torch.arange(12) + 20
    loss, _ = method(features, labels, positions=positions)
    both, twice, known = torch.cat(features), positions.repeat(2), (labels >= 0).repeat(2)
    outputs = F.normalize(method.head(both), dim=1)
    far = farness(F.normalize(both, dim=1), method.reach[:, twice])
    infonce = spread_info_nce(outputs, spread_targets(far, smoothing=0.4), 1.0)
    supervised = contrast_of_classes(outputs[known], labels.repeat(2)[known], 0.07)
    first = contrast_of_classes(outputs[:, :4], method.clusters[0, twice], 0.07)
    second = contrast_of_classes(outputs[:, :2], method.clusters[1, twice], 0.07)
    expected = 0.7 * infonce + 0.3 * (supervised + first / 2 + second / 4) / 2
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    loss.backward()
    assert all(bool(torch.isfinite(view.grad).all()) for view in features)


def test_the_hierarchy_is_made_again_as_often_as_asked() -> None:
    vectors, _, labels = blobs()
    method = Selex(Config(**SMALL, refresh_epochs=2), dim=10, task=Task(2, 4))
    method.start(Problem(vectors, labels, 2, 4), np.random.default_rng(0))
    rows, seen = torch.from_numpy(vectors), []
    for number in range(4):
        method.clusters.zero_()
        method.refresh(EpochFacts(number, 4, torch.from_numpy(labels), lambda: rows, np.random.default_rng(0)))
        seen.append(bool(method.clusters.any()))
    assert seen == [True, False, True, False]


def test_training_keeps_blobs_apart(train_jointly: Any) -> None:
    job = train_jointly("run", Config(**SMALL, smoothing=0.5), epochs=8, sampler="balanced")
    vectors, classes, labels = blobs()
    with torch.no_grad():
        embeddings = F.normalize(job.backbone.eval()(torch.from_numpy(vectors)), dim=1).numpy()
    found = semi_kmeans.cluster(Problem(embeddings, labels, 2, 4), KMEANS, np.random.default_rng(0), SilentProgress())
    pool = labels < 0
    assert gcd_v2(contingency(found.assignments[pool], classes[pool]), n_known=2)["all"] == 1.0
    assert job.objective.kept_state() == {}
