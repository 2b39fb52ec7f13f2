"""DTC's start, assignments, targets and loss against slow restatements, and what each variant learns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from toyjoint import answers, blobs, make_joint_job
from toytraining import Watcher

from ncdcli.clustering.base import Problem
from ncdcli.errors import Interrupted
from ncdcli.joint.base import Task
from ncdcli.joint.dtc import Dtc, principal_projection, sharpened, student
from ncdcli.joint.kinds import Dtc as Config
from ncdcli.metrics.contingency import contingency
from ncdcli.metrics.scores import ncd_task_aware
from ncdcli.objectives.base import EpochFacts


def slow_student(rows: Any, centres: Any) -> Any:
    weights = np.array([[1 / (1 + ((row - centre) ** 2).sum()) for centre in centres] for row in rows])
    return weights / weights.sum(1, keepdims=True)


def slow_targets(q: Any) -> Any:
    p = np.array([[q[i, j] ** 2 / q[:, j].sum() for j in range(q.shape[1])] for i in range(len(q))])
    return p / p.sum(1, keepdims=True)


def facts(number: int, labels: Any, features: Any) -> EpochFacts:
    return EpochFacts(number, 100, labels, lambda: features, np.random.default_rng(0))


def make_method(variant: Any = "pi", **fields: Any) -> tuple[Dtc, Any, Any]:
    """A method after its start, features of 40 samples, labels."""
    torch.manual_seed(0)
    method = Dtc(Config(variant=variant, **fields), dim=6, task=Task(2, 5, "ncd"))
    features = torch.randn(40, 6, generator=torch.Generator().manual_seed(2)) * 2
    labels = torch.tensor([0, 1, -1, -1, -1] * 8)
    method.start(Problem(features.numpy(), labels.numpy(), 2, 5, True), np.random.default_rng(0))
    method.begin_epoch(0, 100)
    method.refresh(facts(0, labels, features))
    return method, features, labels


def test_the_projection_is_pca() -> None:
    rows = torch.randn(50, 6, generator=torch.Generator().manual_seed(0)) @ torch.diag(torch.arange(1.0, 7.0))
    weight, bias = principal_projection(rows, 3)
    found, expected = (rows @ weight.T + bias).numpy(), PCA(3, svd_solver="full").fit_transform(rows.numpy())
    np.testing.assert_allclose(np.abs(found), np.abs(expected), rtol=1e-4, atol=1e-4)
    assert bool((weight.gather(1, weight.abs().argmax(1, keepdim=True)) > 0).all())
    weight, bias = principal_projection(rows[:, :2], 4)
    assert weight.shape == (4, 2)
    assert not weight[2:].any()


def test_assignments_and_targets() -> None:
    rows, centres = torch.randn(7, 3), torch.randn(4, 3)
    q = student(rows, centres).softmax(1)
    np.testing.assert_allclose(q.numpy(), slow_student(rows.numpy(), centres.numpy()), rtol=1e-4)
    np.testing.assert_allclose(sharpened(q).numpy(), slow_targets(q.double().numpy()), rtol=1e-4)


def test_it_starts_from_k_means_of_the_pool() -> None:
    method, features, labels = make_method()
    projected = method.projection(features).detach()
    pool = labels < 0
    nearest = torch.cdist(projected[pool], method.centres.detach()).argmin(1)
    for cluster in range(3):
        mean = projected[pool][nearest == cluster].mean(0)
        assert torch.allclose(mean, method.centres[cluster], atol=1e-4)
    np.testing.assert_allclose(
        method.targets[pool].numpy(), slow_targets(method.outputs[pool].double().numpy()), rtol=1e-4
    )


@pytest.mark.parametrize("variant", ["baseline", "pi", "te", "tep"])
def test_the_loss_is_that_of_the_paper(variant: str) -> None:
    method, features, labels = make_method(variant, warmup_epochs=0, rampup_epochs=4, consistency_weight=3.0)
    method.begin_epoch(2, 100)
    positions, pool = torch.arange(10, 30), labels[10:30] < 0
    views = [features[10:30] + 0.3, features[10:30] - 0.2][: method.views]
    past, targets = method.average.clone() / (1 - 0.6**3), method.targets.clone()
    loss, parts = method(views, labels[10:30], positions=positions)

    centres = method.centres.detach().double().numpy()
    q = [slow_student(method.projection(view[pool]).detach().double().numpy(), centres) for view in views]
    p = targets[positions[pool]].double().numpy()
    expected = (p * np.log(p / q[0])).sum(1).mean()
    weight = 3 * np.exp(-5 * (1 - 2 / 4) ** 2)
    if variant == "pi":
        expected += weight * ((q[0] - q[1]) ** 2).mean()
    if variant == "te":
        expected += weight * ((q[0] - past[positions[pool]].numpy()) ** 2).mean()
    assert float(loss.detach() - parts["gate"]) == pytest.approx(expected, rel=1e-4)
    np.testing.assert_allclose(method.outputs[positions[pool]].numpy(), q[0], rtol=1e-4, atol=1e-6)


def test_targets_are_renewed_after_warm_up_every_few_epochs() -> None:
    method, features, labels = make_method("tep", warmup_epochs=3, refresh_epochs=2)
    history, renewed = [method.outputs.clone()], []
    for number in range(1, 8):
        method.outputs.copy_(torch.softmax(torch.randn(40, 3), 1))
        history.append(method.outputs.clone())
        before = method.targets.clone()
        method.begin_epoch(number, 100)
        method.refresh(facts(number, labels, features))
        if not torch.equal(before, method.targets):
            renewed.append(number)
    assert renewed == [3, 5, 7]
    weights = np.array([0.4 * 0.6 ** (7 - epoch) for epoch in range(8)])
    average = sum(w * epoch.double().numpy() for w, epoch in zip(weights, history, strict=True)) / weights.sum()
    pool = (labels < 0).numpy()
    np.testing.assert_allclose(method.targets.numpy()[pool], slow_targets(average[pool]), rtol=1e-3)


def test_nothing_is_asked_of_views_during_warm_up() -> None:
    method, _, _ = make_method("pi", warmup_epochs=3, rampup_epochs=0)
    found = []
    for epoch in (2, 3):
        method.begin_epoch(epoch, 100)
        found.append(method.consistency)
    assert found == [0.0, 10.0]


def test_a_batch_without_pool_or_labels_trains() -> None:
    method, features, labels = make_method()
    for chosen in (labels >= 0, labels < 0):
        positions = torch.arange(40)[chosen]
        loss, _ = method([features[chosen]] * 2, labels[chosen], positions=positions)
        loss.backward()
        assert bool(torch.isfinite(loss))


@pytest.mark.parametrize("variant", ["baseline", "pi", "te", "tep"])
def test_it_tells_novel_blobs_apart_and_knows_known_ones(train_jointly: Any, variant: Any) -> None:
    config = Config(variant=variant, warmup_epochs=2, restarts=3)
    logits = answers(train_jointly("run", config, setting="ncd", epochs=20))
    _, classes, _ = blobs("ncd")
    novel = classes >= 2
    aware = contingency(logits[novel, 2:].argmax(1), classes[novel])
    assert ncd_task_aware(aware, n_known=2)["all"] == 1.0
    np.testing.assert_array_equal(logits[~novel].argmax(1), classes[~novel])


def test_an_interrupted_training_ends_with_the_same_weights(train_jointly: Callable[..., Any]) -> None:
    config = Config(variant="te", warmup_epochs=1, refresh_epochs=1, restarts=2)
    whole = train_jointly("whole", config, setting="ncd", epochs=3).objective.state_dict()
    with pytest.raises(Interrupted):
        train_jointly("parts", config, setting="ncd", epochs=3, watcher=Watcher(stop_after=7))
    parts = train_jointly("parts", config, setting="ncd", epochs=3).objective.state_dict()
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_what_is_kept_classifies_alone(train_jointly: Any, tmp_path: Any) -> None:
    config = Config(warmup_epochs=1, restarts=2)
    job = train_jointly("run", config, setting="ncd", epochs=2)
    fresh: Any = make_joint_job(tmp_path, config, setting="ncd").objective
    fresh.load_kept(job.objective.kept_state())
    rows = torch.randn(5, 16)
    assert torch.equal(fresh.logits(rows), job.objective.logits(rows))
