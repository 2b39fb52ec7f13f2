"""SimGCD's loss against its definition, and what it learns."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from toyjoint import answers, blobs

from ncdcli.joint.base import Task
from ncdcli.joint.kinds import SimGCD as Config
from ncdcli.joint.simgcd import SimGCD
from ncdcli.metrics.contingency import contingency
from ncdcli.metrics.scores import gcd_v2
from ncdcli.objectives.contrastive import info_nce, supervised_contrastive

SMALL = {"projector_hidden": 16, "projector_out": 8, "projector_layers": 2}


def test_the_loss_is_the_sum_of_the_paper(make_batch: Callable[..., Any]) -> None:
    config = Config(**SMALL, memax_weight=2.0, supervised_weight=0.3)
    torch.manual_seed(0)
    method = SimGCD(config, dim=6, task=Task(3, 5))
    method.begin_epoch(0, 100)
    features, labels = make_batch()
    loss, parts = method(features, labels)

    directions = F.normalize(method.head.weight, dim=1)
    cosines = [F.normalize(view, dim=1) @ directions.T for view in features]
    student = [(view / 0.1).log_softmax(1) for view in cosines]
    teacher = [(view / 0.07).softmax(1) for view in cosines]
    distillation = sum(-(teacher[1 - v] * student[v]).sum(1).mean() for v in (0, 1)) / 2
    mean = torch.cat(student).exp().mean(0)
    memax = math.log(5) + (mean * mean.log()).sum()
    labelled = labels >= 0
    cross = -torch.cat([view[labelled, labels[labelled]] for view in student]).mean()
    first, second = (method.projector(view) for view in features)
    infonce = info_nce(first, second, 1.0)
    supcon = supervised_contrastive(first[labelled], second[labelled], labels[labelled], 0.07)
    expected = 0.7 * (distillation + 2 * memax + infonce) + 0.3 * (cross + supcon)
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)
    assert float(parts["memax"]) == pytest.approx(float(memax), rel=1e-4)
    assert float(parts["cross_entropy"]) == pytest.approx(float(cross), rel=1e-5)


def test_the_teacher_sharpens_over_thirty_epochs() -> None:
    method = SimGCD(Config(**SMALL), dim=6, task=Task(3, 5))
    found = []
    for epoch in (0, 29, 30, 199):
        method.begin_epoch(epoch, 200)
        found.append(0.1 / method.sharpening)
    assert found == pytest.approx([0.07, 0.04, 0.04, 0.04])


def test_a_batch_without_labels_trains(make_batch: Callable[..., Any]) -> None:
    method = SimGCD(Config(**SMALL), dim=6, task=Task(3, 5))
    features, labels = make_batch()
    loss, parts = method(features, torch.full_like(labels, -1))
    loss.backward()
    assert float(parts["cross_entropy"]) == float(parts["supcon"]) == 0
    assert bool(torch.isfinite(method.head.weight.grad).all())  # type: ignore[union-attr, arg-type]


@pytest.mark.parametrize("start", ["random", "clusters"])
def test_it_tells_novel_blobs_apart_and_known_ones_by_name(train_jointly: Any, start: Any) -> None:
    job = train_jointly("run", Config(**SMALL, start=start), epochs=25, sampler="balanced")
    _, classes, labels = blobs()
    pool = labels < 0
    found = answers(job).argmax(1)
    scores = gcd_v2(contingency(found[pool], classes[pool]), n_known=2)
    assert scores["all"] == 1.0
    np.testing.assert_array_equal(found[classes < 2], classes[classes < 2])
