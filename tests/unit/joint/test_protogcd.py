"""ProtoGCD's teacher and loss against their definitions, and what it learns."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from toyjoint import answers, blobs

from ncdcli.joint.base import Task
from ncdcli.joint.contrast import contrast
from ncdcli.joint.kinds import ProtoGCD as Config
from ncdcli.joint.losses import labelled_cross_entropy, lack_of_mean_entropy
from ncdcli.joint.protogcd import ProtoGCD, adaptive_targets, nearness_of_prototypes
from ncdcli.metrics.contingency import contingency
from ncdcli.metrics.scores import gcd_v2

SMALL = {"projector_hidden": 16, "projector_out": 8, "projector_layers": 2}


def slow_targets(logits: Any, sharpening: float, n_hard: int) -> Any:
    soft = np.exp(sharpening * logits)
    soft /= soft.sum(1, keepdims=True)
    ratios = [np.sort(row)[-1] / np.sort(row)[-2] for row in soft]
    for row in sorted(range(len(soft)), key=lambda row: -ratios[row])[:n_hard]:
        soft[row] = np.arange(soft.shape[1]) == np.argmax(soft[row])
    return soft


@pytest.mark.parametrize(("share", "n_hard"), [(0.0, 0), (0.3, 2), (0.5, 4), (1.0, 8)])
def test_the_surest_predictions_become_hard(share: float, n_hard: int) -> None:
    logits = torch.randn(8, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    targets = adaptive_targets(logits, sharpening=2.0, hard_share=share)
    np.testing.assert_allclose(targets.numpy(), slow_targets(logits.numpy(), 2.0, n_hard), rtol=1e-5, atol=1e-7)
    assert int((targets == 1).sum()) == n_hard


def test_a_single_class_is_sure() -> None:
    assert adaptive_targets(torch.zeros(3, 1), sharpening=1.0, hard_share=0.5).tolist() == [[1.0]] * 3
    assert float(nearness_of_prototypes(torch.ones(1, 4), temperature=0.1)) == 0


def test_nearness_is_the_mean_of_logs_of_means() -> None:
    weight = torch.randn(4, 6, generator=torch.Generator().manual_seed(1))
    unit = (weight / weight.norm(dim=1, keepdim=True)).double().numpy()
    logs = []
    for one in range(4):
        others = [math.exp(float(unit[one] @ unit[other]) / 0.1) for other in range(4) if other != one]
        logs.append(math.log(sum(others) / 3))
    assert float(nearness_of_prototypes(weight, temperature=0.1)) == pytest.approx(sum(logs) / 4, rel=1e-4)
    assert float(nearness_of_prototypes(3 * torch.eye(4), temperature=0.1)) == pytest.approx(0, abs=1e-6)


def test_the_share_of_hard_labels_grows_from_none_to_all() -> None:
    method = ProtoGCD(Config(**SMALL), dim=6, task=Task(3, 5))
    found = []
    for epoch in (0, 50, 100, 199):
        method.begin_epoch(epoch, 200)
        found.append(method.hard_share)
    assert found == [0, 0.5, 1, 1]


def test_the_loss_is_the_sum_of_the_paper(make_batch: Callable[..., Any]) -> None:
    torch.manual_seed(0)
    method = ProtoGCD(Config(**SMALL, supervised_weight=0.3), dim=6, task=Task(3, 5))
    method.begin_epoch(25, 200)
    features, labels = make_batch()
    loss, parts = method(features, labels)

    logits = torch.cat([method.head(view) for view in features]).detach()
    targets = slow_targets(logits.double().numpy(), 2.0, 6)
    log_p = logits.log_softmax(1).double().numpy()
    swapped = np.roll(targets, 12, axis=0)
    distillation = -(swapped * log_p).sum(1).mean()
    assert float(parts["distillation"]) == pytest.approx(distillation, rel=1e-4)
    both = contrast(method.projector, torch.cat(features), labels, method.config)
    nearness = float(nearness_of_prototypes(method.head.weight.detach(), temperature=0.1))
    entropy = float(lack_of_mean_entropy(logits.detach()))
    unsupervised = distillation + 2 * entropy + 0.1 * nearness + float(both["infonce"].detach())
    supervised = float(labelled_cross_entropy(logits, labels.repeat(2))) + float(both["supcon"].detach())
    assert float(loss.detach()) == pytest.approx(0.7 * unsupervised + 0.3 * supervised, rel=1e-5)


def test_it_tells_novel_blobs_apart_and_known_ones_by_name(train_jointly: Any) -> None:
    config = Config(**SMALL, hard_ramp_epochs=12)
    found = answers(train_jointly("run", config, epochs=25, sampler="balanced")).argmax(1)
    _, classes, labels = blobs()
    pool = labels < 0
    assert gcd_v2(contingency(found[pool], classes[pool]), n_known=2)["all"] == 1.0
    np.testing.assert_array_equal(found[classes < 2], classes[classes < 2])
