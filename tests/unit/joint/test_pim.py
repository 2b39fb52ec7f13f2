"""PIM's loss against its definition, the choice of its weight, and that nothing moves the backbone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from toyjoint import answers, blobs, make_joint_job

from ncdcli.clustering.base import Problem
from ncdcli.joint.base import Task
from ncdcli.joint.frozen import FrozenBackbone
from ncdcli.joint.kinds import Pim as Config
from ncdcli.joint.pim import Pim, unsureness
from ncdcli.metrics.contingency import contingency
from ncdcli.metrics.scores import gcd_v2
from ncdcli.models.kinds import Mlp
from ncdcli.objectives.kinds import Augment, Optimizer, Schedule
from ncdcli.pipeline.context import Resources
from ncdcli.training.batches import Vectors
from ncdcli.training.launch import launch
from ncdcli.training.loop import train
from ncdcli.training.monitor import LocalMonitor

STEPS = 40


def slow_loss(logits: Any, labels: Any, weight: float) -> float:
    p = np.exp(logits)
    p /= p.sum(1, keepdims=True)
    cross = [-math.log(row[label]) for row, label in zip(p, labels, strict=True) if label >= 0]
    sure = [-sum(value * math.log(value) for value in row) for row, label in zip(p, labels, strict=True) if label < 0]
    mean = sum(value * math.log(value) for value in p.mean(0))
    return float(np.mean(cross) + mean + weight * np.mean(sure))


def test_the_loss_is_that_of_the_paper_but_for_a_constant(make_batch: Callable[..., Any]) -> None:
    method = Pim(Config(sureness_weight=0.4), dim=6, task=Task(3, 5))
    features, labels = make_batch(views=1)
    loss, _ = method(features, labels)
    logits = method.head(features[0]).detach()
    unit = torch.nn.functional.normalize(features[0].detach(), dim=1)
    directions = torch.nn.functional.normalize(method.head.weight.detach(), dim=1)
    np.testing.assert_allclose(logits.numpy(), 25 * (unit @ directions.T).numpy(), rtol=1e-4, atol=1e-4)
    expected = slow_loss(logits.double().numpy(), labels.numpy(), 0.4) + math.log(5)
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-4)


def test_without_a_pool_nothing_is_unsure() -> None:
    logits = torch.randn(4, 3, requires_grad=True)
    loss = unsureness(logits, torch.tensor([0, 1, 2, 0]))
    loss.backward()
    assert float(loss.detach()) == 0
    assert bool((logits.grad == 0).all())


def test_the_weight_is_chosen_by_labelled_rows() -> None:
    """Far too great a weight on sure predictions freezes a start that is wrong; the labels of known classes see it."""
    vectors, classes, labels = blobs(spread=2.0)
    problem = Problem(vectors, labels, 2, 4)
    candidates = (0.1, 500.0)
    config = Config(candidates=candidates, search_steps=STEPS, restarts=1)
    method = Pim(config, dim=10, task=Task(2, 4))
    agreements = []
    method.head.set_directions(torch.from_numpy(vectors[[0, 0, 0, 3]]) + 0.1 * torch.eye(4, 10))
    before = method.head.weight.detach().clone()
    for candidate in candidates:
        method.head.set_directions(before)
        optimizer = torch.optim.Adam(method.head.parameters(), lr=1e-3, weight_decay=1e-2)
        for _ in range(STEPS):
            p = method.head(torch.from_numpy(vectors)).softmax(1)
            mean, pool = p.mean(0), p[torch.from_numpy(labels < 0)]
            loss = (mean * mean.log()).sum() - candidate * (pool * (pool + 1e-12).log()).sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        found = method.head(torch.from_numpy(vectors)).argmax(1).numpy()[labels >= 0]
        agreements.append(gcd_v2(contingency(found, classes[labels >= 0]), n_known=2)["all"])
    method.head.set_directions(before)
    assert agreements[0] != agreements[1]
    assert method._best_weight(problem) == candidates[int(np.argmax(agreements))]
    method.start(problem, np.random.default_rng(0))
    assert method.outcome()["sureness_weight"] in (0.1, 500.0)


def test_it_tells_novel_blobs_apart(train_jointly: Any) -> None:
    fields = {"optimizer": Optimizer(lr=1e-2, weight_decay=1e-2), "schedule": Schedule(kind="constant")}
    config = Config(search_steps=5, restarts=2)
    job = train_jointly("run", config, epochs=25, batch_size=160, augment=Augment(), **fields)
    found = answers(job).argmax(1)
    _, classes, labels = blobs()
    pool = labels < 0
    assert gcd_v2(contingency(found[pool], classes[pool]), n_known=2)["all"] == 1.0
    np.testing.assert_array_equal(found[classes < 2], classes[classes < 2])


def test_a_frozen_backbone_is_written_whole_and_unmoved(tmp_path: Path) -> None:
    config = Config(sureness_weight=1.0, restarts=1)
    job = make_joint_job(tmp_path, config, epochs=2, backbone=Mlp(hidden=(8,), dim=6), augment=Augment())
    before = {name: value.clone() for name, value in job.backbone.state_dict().items()}
    with torch.no_grad():
        embeddings = job.backbone.eval()(torch.from_numpy(job.source.values)).numpy()  # type: ignore[attr-defined]
    frozen = replace(job, backbone=FrozenBackbone(job.backbone), source=Vectors(embeddings, "embeddings"))
    monitor = LocalMonitor(lambda *_, **__: None, lambda: False)
    launch(train, frozen, resources=Resources("cpu"), precision="fp32", monitor=monitor)
    written = load_file(tmp_path / "model.safetensors")
    assert written.keys() == {*before, "joint.head.weight"}
    assert all(torch.equal(written[name], value) for name, value in before.items())
    assert torch.equal(written["joint.head.weight"], job.objective.head.weight)  # type: ignore[arg-type, union-attr]
