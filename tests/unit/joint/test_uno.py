"""UNO's targets and loss against their definition, and what it learns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from toyjoint import answers, blobs

from ncdcli.joint.base import Task
from ncdcli.joint.kinds import Uno as Config
from ncdcli.joint.sinkhorn import sinkhorn
from ncdcli.joint.uno import Uno
from ncdcli.metrics.contingency import contingency
from ncdcli.metrics.scores import ncd_task_agnostic, ncd_task_aware

SMALL: dict[str, Any] = {"hidden": 16, "projection": 8}


def made(**fields: Any) -> Uno:
    torch.manual_seed(0)
    return Uno(Config(**SMALL | fields), dim=6, task=Task(3, 5, "ncd"))


def test_targets_are_classes_and_even_assignments(make_batch: Callable[..., Any]) -> None:
    method = made()
    (features, _), labels = make_batch()
    scores = method.head.all_scores(features)[0]
    targets = method.targets(scores, labels)
    labelled = labels >= 0
    expected = torch.zeros(12, 5)
    for row, label in enumerate(labels.tolist()):
        if label >= 0:
            expected[row, label] = 1
    expected[~labelled, 3:] = sinkhorn(scores[~labelled, 3:].detach() * 0.1, epsilon=0.05, iterations=3)
    torch.testing.assert_close(targets, expected)
    assert targets.sum(1).tolist() == pytest.approx([1.0] * 12, rel=1e-5)
    assert not targets.requires_grad


@pytest.mark.parametrize("factor", [0, 2])
@pytest.mark.parametrize("small", [0, 2])
def test_the_loss_is_swapped_cross_entropy_over_all_heads(
    make_batch: Callable[..., Any], factor: float, small: int
) -> None:
    """Small crops, the last views, predict the targets of both full ones and make none."""
    method = made(heads=3, overcluster_factor=factor)
    features, labels = make_batch(views=2 + small)
    loss, _ = method(features, labels)

    def views_of(head: Any, size: Any) -> Any:
        joined = torch.cat(size)
        known = F.normalize(joined, dim=1) @ F.normalize(method.head.known.weight, dim=1).T / 0.1
        novel = F.normalize(head.mlp(joined), dim=1) @ F.normalize(head.classifier.weight, dim=1).T / 0.1
        return list(torch.cat([known, novel], dim=1).chunk(len(size)))

    def slow(heads: Any) -> float:
        total = 0.0
        for head in heads:
            full = views_of(head, features[:2])
            views = full + (views_of(head, features[2:]) if small else [])
            for number, one in enumerate(full):
                target = method.targets(one.detach(), labels)
                for other in views[:number] + views[number + 1 :]:
                    total += float(-(target * other.log_softmax(1)).sum(1).mean().detach()) / (2 * (len(views) - 1))
        return total / len(heads)

    expected = slow(method.head.novel) if not factor else (slow(method.head.novel) + slow(method.wide)) / 2
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-4)


def test_the_head_of_least_running_loss_answers(make_batch: Callable[..., Any]) -> None:
    method = made(heads=3).eval()
    (features, _), _ = make_batch()
    method.head.losses.copy_(torch.tensor([3.0, 1.0, 2.0]))
    torch.testing.assert_close(method.logits(features), method.head.all_scores(features)[1])


def test_a_batch_without_pool_or_without_labels_trains(make_batch: Callable[..., Any]) -> None:
    features, labels = make_batch()
    for targets in (torch.full_like(labels, -1), torch.zeros_like(labels)):
        loss, _ = made()(features, targets)
        assert bool(torch.isfinite(loss))


def test_known_prototypes_start_at_class_means() -> None:
    from ncdcli.clustering.base import Problem

    method = made()
    embeddings = np.random.default_rng(0).normal(size=(9, 6)).astype(np.float32)
    labels = np.array([0, 0, 1, 1, 2, 2, -1, -1, -1])
    method.start(Problem(embeddings, labels, 3, 5, True), np.random.default_rng(0))
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    for c in range(3):
        mean = unit[labels == c].mean(0)
        np.testing.assert_allclose(
            method.head.known.weight[c].detach().numpy(), mean / np.linalg.norm(mean), rtol=1e-4, atol=1e-6
        )


def test_it_tells_novel_blobs_apart(train_jointly: Any) -> None:
    job = train_jointly("run", Config(**SMALL), epochs=20, setting="ncd")
    _, classes, labels = blobs("ncd")
    found, pool = answers(job), labels < 0
    aware = found[pool, 2:].argmax(1) + 2
    assert ncd_task_aware(contingency(aware, classes[pool]), n_known=2)["novel"] == 1.0
    table = contingency(found.argmax(1), classes)
    matched = np.array([0, 1, -1, -1])
    assert ncd_task_agnostic(table, n_known=2, matched=matched)["all"] == 1.0
