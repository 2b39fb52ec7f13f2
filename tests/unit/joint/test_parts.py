"""The parts that joint methods share, against slow restatements."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from ncdcli.joint.heads import CosineClassifier, Projector
from ncdcli.joint.losses import (
    labelled_cross_entropy,
    lack_of_mean_entropy,
    self_distillation,
    swapped_cross_entropy,
)
from ncdcli.joint.moving import follow, frozen_copy
from ncdcli.joint.ramps import linear_ramp, sigmoid_ramp
from ncdcli.joint.sinkhorn import sinkhorn


def rows(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def slow_softmax(values: list[float]) -> list[float]:
    total = sum(math.exp(value) for value in values)
    return [math.exp(value) / total for value in values]


def slow_cross(target: list[float], logits: list[float]) -> float:
    return -sum(p * math.log(q) for p, q in zip(target, slow_softmax(logits), strict=True))


@pytest.mark.parametrize("views", [2, 3])
def test_swapped_cross_entropy_is_its_definition(views: int) -> None:
    logits = [rows(5, 4, seed=view) for view in range(views)]
    targets = [rows(5, 4, seed=10 + view).softmax(1) for view in range(views)]
    terms = [
        slow_cross(targets[a][row].tolist(), logits[b][row].tolist())
        for a in range(views)
        for b in range(views)
        if a != b
        for row in range(5)
    ]
    assert float(swapped_cross_entropy(logits, targets)) == pytest.approx(np.mean(terms), rel=1e-5)


def test_self_distillation_teaches_by_the_sharpened_other_view() -> None:
    first, second = rows(6, 3), rows(6, 3, seed=1)
    expected = 0.0
    for student, teacher in ((first, second), (second, first)):
        for row in range(6):
            target = slow_softmax([2.5 * value for value in teacher[row].tolist()])
            expected += slow_cross(target, student[row].tolist()) / 12
    assert float(self_distillation([first, second], sharpening=2.5)) == pytest.approx(expected, rel=1e-5)


def test_no_gradient_goes_through_the_teacher() -> None:
    first, second = rows(4, 3).requires_grad_(), rows(4, 3, seed=1).requires_grad_()
    swapped_cross_entropy([first, second], [first.detach().softmax(1), second.detach().softmax(1)]).backward()
    expected = first.grad.clone()  # type: ignore[union-attr]
    first.grad = None
    self_distillation([first, second], sharpening=1.0).backward()
    assert torch.allclose(first.grad, expected)  # type: ignore[arg-type]


def test_lack_of_mean_entropy() -> None:
    even = torch.eye(4) * 50
    assert float(lack_of_mean_entropy(even)) == pytest.approx(0, abs=1e-6)
    assert float(lack_of_mean_entropy(even[:1].repeat(3, 1))) == pytest.approx(math.log(4), rel=1e-5)
    logits = rows(7, 3)
    mean = np.mean([slow_softmax(row.tolist()) for row in logits], axis=0)
    expected = math.log(3) + sum(p * math.log(p) for p in mean)
    assert float(lack_of_mean_entropy(logits)) == pytest.approx(expected, rel=1e-5)


def test_labelled_cross_entropy_leaves_the_pool_out() -> None:
    logits = rows(4, 3).requires_grad_()
    loss = labelled_cross_entropy(logits, torch.tensor([-1, 2, -1, 0]))
    target = [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    expected = (slow_cross(target[0], logits[1].tolist()) + slow_cross(target[1], logits[3].tolist())) / 2
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)
    none = labelled_cross_entropy(logits, torch.full((4,), -1))
    none.backward()
    assert float(none.detach()) == 0
    assert bool((logits.grad == 0).all())


@pytest.mark.parametrize("epsilon", [0.05, 0.5])
def test_sinkhorn_scales_columns_and_rows_in_turn(epsilon: float) -> None:
    scores = rows(9, 4)
    matrix = np.exp(scores.double().numpy() / epsilon)
    for _ in range(3):
        matrix = matrix / matrix.sum(0, keepdims=True)
        matrix = matrix / matrix.sum(1, keepdims=True)
    np.testing.assert_allclose(sinkhorn(scores, epsilon=epsilon).numpy(), matrix, rtol=1e-4, atol=1e-7)


def test_sinkhorn_fills_clusters_equally_and_bears_great_scores() -> None:
    scores = rows(60, 3) + torch.tensor([3.0, 0.0, 0.0])  # all prefer the first
    full = sinkhorn(scores, epsilon=0.5, iterations=50)
    assert full.sum(0).tolist() == pytest.approx([20, 20, 20], rel=1e-3)
    assert full.sum(1).tolist() == pytest.approx([1.0] * 60, rel=1e-5)
    assert bool(torch.isfinite(sinkhorn(1e4 * rows(5, 3))).all())
    assert sinkhorn(rows(0, 3)).shape == (0, 3)


def test_linear_ramp_is_that_of_numpy() -> None:
    expected = np.concatenate([np.linspace(0.07, 0.04, 30), np.full(5, 0.04)])
    given = [linear_ramp(0.07, 0.04, epoch=epoch, epochs=30) for epoch in range(35)]
    np.testing.assert_allclose(given, expected, rtol=1e-12)
    assert linear_ramp(1, 2, epoch=0, epochs=0) == linear_ramp(1, 2, epoch=0, epochs=1) == 2


def test_sigmoid_ramp() -> None:
    assert sigmoid_ramp(epoch=0, epochs=80) == pytest.approx(math.exp(-5))
    assert sigmoid_ramp(epoch=40, epochs=80) == pytest.approx(math.exp(-1.25))
    assert sigmoid_ramp(epoch=100, epochs=80) == sigmoid_ramp(epoch=0, epochs=0) == 1


def test_a_moving_average_follows_and_is_reached_by_no_gradient() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    average = frozen_copy(module)
    before = average[0].weight.clone()
    with torch.no_grad():
        module[0].weight += 1
    module(rows(5, 2))
    follow(average, module, momentum=0.9)
    assert torch.allclose(average[0].weight, before + 0.1)
    assert torch.equal(average[1].running_mean, module[1].running_mean)
    assert not any(parameter.requires_grad for parameter in average.parameters())


def test_a_cosine_classifier_sees_directions_only() -> None:
    head = CosineClassifier(3, 2, temperature=0.5)
    features = rows(4, 3)
    expected = [
        [float(torch.cosine_similarity(feature, weight, dim=0)) / 0.5 for weight in head.weight.detach()]
        for feature in features
    ]
    np.testing.assert_allclose(head(features).detach().numpy(), expected, rtol=1e-5, atol=1e-6)
    assert torch.allclose(head(7 * features), head(features), atol=1e-6)
    head.set_directions(torch.tensor([[0.0, 0.0, 9.0], [3.0, 0.0, 0.0]]))
    assert head(torch.tensor([[0.0, 0.0, 1.0]])).tolist() == [[2.0, 0.0]]


def test_projections_have_unit_length() -> None:
    projected = Projector(6, hidden=8, out=5, layers=3)(rows(4, 6))
    assert projected.shape == (4, 5)
    assert projected.norm(dim=1).tolist() == pytest.approx([1.0] * 4, rel=1e-5)
