"""The class relations of crNCD against their definition, and what is kept and what is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F
from toyjoint import answers, blobs, make_joint_job

from ncdcli.joint.base import Task
from ncdcli.joint.crncd import CrNcd
from ncdcli.joint.kinds import CrNcd as Config
from ncdcli.metrics.contingency import contingency
from ncdcli.metrics.scores import ncd_task_aware
from ncdcli.models.backbone import InputSpec
from ncdcli.models.build import build_backbone
from ncdcli.models.kinds import Mlp

SMALL: dict[str, Any] = {"hidden": 16, "projection": 8}


def made(**fields: Any) -> CrNcd:
    torch.manual_seed(0)
    backbone = build_backbone(Mlp(hidden=(), dim=6, dropout=0.5), InputSpec("tables", (6,)))
    return CrNcd.make(Config(**SMALL | fields), backbone, task=Task(3, 5, "ncd"))


def test_relations_are_gated_cross_entropy_between_softened_answers(make_batch: Callable[..., Any]) -> None:
    method = made(heads=2)
    (features, _), _ = make_batch()
    (before, _), _ = make_batch(seed=1)

    def cosines(rows: Any, weight: Any) -> Any:
        return F.normalize(rows, dim=1) @ F.normalize(weight, dim=1).T

    known = cosines(features, method.head.known.weight) / 0.1
    target = (cosines(before, method.known_before.weight) / 0.4).softmax(1)
    entropy = -(target * (known / 4).log_softmax(1)).sum(1)
    gates = []
    for head in method.head.novel:
        novel = cosines(head.mlp(features), head.classifier.weight) / 0.1
        gates.append((torch.cat([known, novel], 1) / 4).softmax(1)[:, :3].sum(1))
    gate = sum(gates) / 2
    expected = 16 * (gate / gate.mean() * entropy).mean()
    assert float(method.relations(method.head.all_scores(features), before).detach()) == pytest.approx(
        float(expected.detach()), rel=1e-4
    )


def test_the_loss_adds_the_relations_of_the_pool_to_that_of_uno(make_batch: Callable[..., Any]) -> None:
    features, labels = make_batch()
    second, _ = make_batch(seed=1)
    loss, parts = made(relation_weight=0.5)(features, labels, second=second)
    plain, _ = made(relation_weight=0.0)(features, labels, second=second)
    assert float(loss.detach()) == pytest.approx(float(plain.detach() + 0.5 * parts["relations"]), rel=1e-5)
    one = torch.where(torch.arange(12) == 5, -1, 0)  # batch norms of the heads see the whole batch
    assert bool(torch.isfinite(made()(features, one, second=second)[0]))
    labelled_only, parts = made()(features, torch.zeros_like(labels), second=second)
    assert float(parts["relations"]) == 0
    assert bool(torch.isfinite(labelled_only))


def test_small_crops_have_no_relations(make_batch: Callable[..., Any]) -> None:
    features, labels = make_batch(views=4)
    second, _ = make_batch(seed=1)
    _, parts = made()(features, labels, second=second)
    _, without = made()(features[:2], labels, second=second)
    assert float(parts["relations"]) == pytest.approx(float(without["relations"]), rel=1e-5)
    assert float(parts["clusters"]) != pytest.approx(float(without["clusters"]), rel=1e-3)


def test_the_frozen_copy_stays_as_it_was_and_is_not_kept(train_jointly: Any, tmp_path: Path) -> None:
    fresh = make_joint_job(tmp_path, Config(**SMALL), setting="ncd").objective
    job = train_jointly("run", Config(**SMALL), epochs=2, setting="ncd")
    trained = job.objective.state_dict()
    for name, value in fresh.state_dict().items():
        if name.startswith(("before.", "known_before.")):
            assert torch.equal(value, trained[name])
    assert not any("before" in name for name in load_file(tmp_path / "run/model.safetensors"))
    assert not job.objective.train().before.training


def test_it_tells_novel_blobs_apart(train_jointly: Any) -> None:
    job = train_jointly("run", Config(**SMALL), epochs=20, setting="ncd")
    _, classes, labels = blobs("ncd")
    found, pool = answers(job), labels < 0
    aware = found[pool, 2:].argmax(1) + 2
    assert ncd_task_aware(contingency(aware, classes[pool]), n_known=2)["novel"] == 1.0
    np.testing.assert_array_equal(found[~pool].argmax(1), classes[~pool])
