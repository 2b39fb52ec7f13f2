"""CMS's shift and loss against their definitions, that it is the shift of the clustering, and what it learns."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toyjoint import blobs, make_joint_job

from ncdcli.clustering import ward
from ncdcli.clustering.base import Problem
from ncdcli.clustering.kinds import Ward
from ncdcli.joint.base import Task
from ncdcli.joint.cms import Cms, contrast_to_negatives, mean_shift
from ncdcli.joint.contrast import labelled_contrast
from ncdcli.joint.kinds import Cms as Config
from ncdcli.metrics.contingency import contingency
from ncdcli.metrics.scores import gcd_v2
from ncdcli.objectives.base import EpochFacts
from ncdcli.pipeline.context import SilentProgress

SMALL: dict[str, Any] = {
    "projector_hidden": 16, "projector_bottleneck": 12, "projector_out": 8, "projector_layers": 2, "neighbours": 3,
}  # fmt: skip


def unit(*shape: int, seed: int = 0) -> torch.Tensor:
    rows = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return rows / rows.norm(dim=1, keepdim=True)


@pytest.mark.parametrize("alpha", [0.5, 1.0])
def test_a_view_moves_to_the_mean_of_its_nearest_other_rows(alpha: float) -> None:
    memory, embeddings, positions = unit(15, 4), unit(6, 4, seed=1), torch.tensor([3, 0, 14, 3, 7, 9])
    embeddings[0] = memory[3]  # at its own place, which is the nearest there is
    shifted = mean_shift(embeddings, positions, memory, alpha=alpha, neighbours=4)
    for row in range(6):
        cosines = sorted(
            ((float(embeddings[row] @ memory[m]), m) for m in range(15) if m != positions[row]), reverse=True
        )
        mean = np.mean([memory[m].numpy() for _, m in cosines[:4]], axis=0)
        moved = (1 - alpha) * embeddings[row].numpy() + alpha * mean
        np.testing.assert_allclose(shifted[row].numpy(), moved / np.linalg.norm(moved), rtol=1e-5, atol=1e-6)


def test_it_is_the_shift_that_the_clustering_makes() -> None:
    rows = unit(40, 5)
    shifted = mean_shift(rows, torch.arange(40), rows, alpha=0.3, neighbours=6)
    np.testing.assert_allclose(shifted.numpy(), ward.shift(rows.numpy(), alpha=0.3, neighbours=6), rtol=1e-4, atol=1e-6)
    few = mean_shift(rows[:3], torch.arange(3), rows[:3], alpha=0.3, neighbours=6)
    np.testing.assert_allclose(few.numpy(), ward.shift(rows[:3].numpy(), alpha=0.3, neighbours=6), rtol=1e-4, atol=1e-6)


def test_no_gradient_goes_through_neighbours_or_length() -> None:
    memory, embeddings = unit(9, 4), unit(2, 4, seed=1).requires_grad_()
    shifted = mean_shift(embeddings, torch.tensor([0, 1]), memory, alpha=0.5, neighbours=2)
    (shifted * 2).sum().backward()
    unscaled = 0.5 * embeddings.detach() + 0.5 * torch.stack(
        [
            memory[[m for m in (embeddings[r] @ memory.T).argsort(descending=True).tolist() if m != r][:2]].mean(0)
            for r in (0, 1)
        ]
    )
    expected = (2 * 0.5 / unscaled.norm(dim=1, keepdim=True)).expand(2, 4)
    torch.testing.assert_close(embeddings.grad, expected)


def test_the_denominator_holds_negatives_only() -> None:
    first, second = unit(5, 3), unit(5, 3, seed=1)
    rows, total = torch.cat([first, second]).tolist(), 0.0
    for i in range(10):
        scores = [sum(a * b for a, b in zip(rows[i], rows[j], strict=True)) / 0.3 for j in range(10)]
        negatives = sum(math.exp(scores[j]) for j in range(10) if j % 5 != i % 5)
        total -= math.log(math.exp(scores[(i + 5) % 10]) / negatives)
    assert float(contrast_to_negatives(first, second, temperature=0.3)) == pytest.approx(total / 10, rel=1e-5)


def test_the_loss_is_the_sum_of_the_paper(make_batch: Callable[..., Any]) -> None:
    torch.manual_seed(0)
    method = Cms(Config(**SMALL, supervised_weight=0.3), dim=6, task=Task(3, None))
    vectors, _, labels_of_rows = blobs()
    method.start(Problem(vectors[:20], labels_of_rows[:20], 2, None), np.random.default_rng(0))
    rows = torch.randn(20, 6, generator=torch.Generator().manual_seed(3))
    method.refresh(EpochFacts(0, 1, torch.zeros(20), lambda: rows, np.random.default_rng(0)))
    torch.testing.assert_close(method.memory, method.embedding(rows).detach())

    features, labels = make_batch()
    positions = torch.arange(12) + 5
    loss, parts = method(features, labels, positions=positions)
    first, second = (method.embedding(view) for view in features)
    moved = [mean_shift(view, positions, method.memory, alpha=0.5, neighbours=3) for view in (first, second)]
    infonce = contrast_to_negatives(*moved, temperature=0.3)
    supcon = labelled_contrast(first, second, labels, 0.07)
    assert float(loss.detach()) == pytest.approx(float((0.7 * infonce + 0.3 * supcon).detach()), rel=1e-5)
    assert not parts["infonce"].requires_grad


def test_its_embeddings_are_kept_and_wards_clusters_of_them_are_the_blobs(train_jointly: Any, tmp_path: Path) -> None:
    job = train_jointly("run", Config(**SMALL), epochs=10, k=None, sampler="balanced")
    method: Any = job.objective
    vectors, classes, labels = blobs()
    with torch.no_grad():
        embeddings = method.embedding(job.backbone.eval()(torch.from_numpy(vectors))).numpy()
    assert embeddings.shape == (160, 8)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=1e-5)
    found = ward.cluster(Problem(embeddings, labels, 2, None), Ward(), np.random.default_rng(0), SilentProgress())
    pool = labels < 0
    assert found.k == 4
    assert gcd_v2(contingency(found.assignments[pool], classes[pool]), n_known=2)["all"] == 1.0

    fresh: Any = make_joint_job(tmp_path / "run", Config(**SMALL), k=None).objective
    fresh.load_kept(method.kept_state())
    features = torch.randn(3, 16)
    assert torch.equal(fresh.embedding(features), method.embedding(features))
    assert all(name.startswith("joint.head.") for name in method.kept_state())
