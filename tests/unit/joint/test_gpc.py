"""GPC's prototypes against the mixture they come from, its loss against the definition, and what it learns."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from toyjoint import blobs, make_joint_job
from toytraining import Watcher

from ncdcli.clustering.base import Problem
from ncdcli.clustering.kinds import SemiGmm
from ncdcli.clustering.semi_gmm import cluster
from ncdcli.errors import Interrupted
from ncdcli.joint.base import Task
from ncdcli.joint.contrast import contrast
from ncdcli.joint.gpc import Gpc, make_prototypes, prototype_loss
from ncdcli.joint.kinds import Gpc as Config
from ncdcli.metrics.contingency import contingency
from ncdcli.metrics.scores import gcd_v2
from ncdcli.objectives.base import EpochFacts
from ncdcli.pipeline.context import SilentProgress

MIXTURE = SemiGmm(restarts=2, rounds=5)
SMALL: dict[str, Any] = {"projector_hidden": 16, "projector_out": 8, "projector_layers": 2, "restarts": 2, "rounds": 5}


def unit(rows: Any) -> Any:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def facts(features: Any, labels: Any, number: int = 0) -> EpochFacts:
    rows = torch.from_numpy(features)
    return EpochFacts(number, 10, torch.from_numpy(labels), lambda: rows, np.random.default_rng(7))


def test_prototypes_are_directions_of_means_and_concentrations_those_of_pcl() -> None:
    rng = np.random.default_rng(0)
    rows = unit(rng.normal(size=(23, 4))).astype(np.float32)
    clusters = np.repeat([5, 0, 2, 7], [9, 8, 5, 1])
    prototypes, concentrations, numbers = make_prototypes(rows, clusters, mean=0.5)
    widths = []
    for row, number in enumerate((0, 2, 5, 7)):
        members = rows[clusters == number]
        mean = members.mean(0)
        np.testing.assert_allclose(prototypes[row], mean / np.linalg.norm(mean), rtol=1e-5)
        distances = [float(np.linalg.norm(member - mean)) for member in members]
        widths.append(np.mean(distances) / math.log(len(members) + 10) if len(members) > 1 else 0.0)
    widths[3] = max(widths)
    clipped = np.clip(widths, np.percentile(widths, 10), np.percentile(widths, 90))
    np.testing.assert_allclose(concentrations, 0.5 * clipped / clipped.mean(), rtol=1e-5)
    np.testing.assert_array_equal(np.array([0, 2, 5, 7])[numbers], clusters)


def test_equal_rows_have_the_mean_concentration() -> None:
    rows = np.repeat(np.eye(3, dtype=np.float32), 4, axis=0)
    _, concentrations, _ = make_prototypes(rows, np.repeat([0, 1, 2], 4), mean=0.2)
    assert concentrations.tolist() == pytest.approx([0.2] * 3)


def test_the_prototypes_are_those_of_the_clustering_module() -> None:
    vectors, _, labels = blobs()
    method = Gpc(Config(**SMALL, warmup_epochs=2, refresh_epochs=3), dim=10, task=Task(2, None))
    for number in (0, 1):
        method.refresh(facts(vectors, labels, number))
        assert method.k is None
    method.refresh(facts(vectors, labels, 2))
    found = cluster(
        Problem(unit(vectors).astype(np.float32), labels, 2, None), MIXTURE, np.random.default_rng(7), SilentProgress()
    )
    np.testing.assert_array_equal(method.clusters.numpy(), found.assignments)
    assert method.k == found.k == 4
    kept = method.clusters
    method.refresh(facts(vectors[::-1].copy(), labels[::-1].copy(), 3))
    assert method.clusters is kept
    method.refresh(facts(vectors[::-1].copy(), labels[::-1].copy(), 5))
    assert method.clusters is not kept


def test_a_k_that_is_given_is_kept_and_the_pool_stays_novel_in_the_ncd_setting() -> None:
    vectors, _, labels = blobs("ncd")
    method = Gpc(Config(**SMALL, warmup_epochs=0), dim=10, task=Task(2, 5, "ncd"))
    method.refresh(facts(vectors, labels))
    clusters = method.clusters.numpy()
    assert method.k == 5
    np.testing.assert_array_equal(clusters[labels >= 0], labels[labels >= 0])
    assert set(clusters[labels < 0].tolist()) == {2, 3, 4}


def test_the_loss_over_prototypes_is_its_definition() -> None:
    generator = torch.Generator().manual_seed(0)
    features, prototypes = torch.randn(6, 4, generator=generator), torch.randn(3, 4, generator=generator)
    prototypes = prototypes / prototypes.norm(dim=1, keepdim=True)
    temperatures, targets = [0.5, 1.0, 0.2], [0, 2, 1, 1, 0, 2]
    total = 0.0
    for row, target in zip(features.tolist(), targets, strict=True):
        length = math.sqrt(sum(value * value for value in row))
        cosines = [sum(a * b for a, b in zip(row, c, strict=True)) / length for c in prototypes.tolist()]
        logits = [cosine / temperature for cosine, temperature in zip(cosines, temperatures, strict=True)]
        total += math.log(sum(math.exp(logit) for logit in logits)) - logits[target]
    loss = prototype_loss(features, torch.tensor(targets), prototypes, torch.tensor(temperatures))
    assert float(loss) == pytest.approx(total / 6, rel=1e-5)


def test_the_loss_is_the_sum_of_the_paper(make_batch: Callable[..., Any]) -> None:
    torch.manual_seed(0)
    method = Gpc(Config(**SMALL, supervised_weight=0.3, prototype_weight=2.0), dim=6, task=Task(3, 5))
    features, labels = make_batch()
    positions = torch.arange(12).flip(0)
    both = contrast(method.projector, torch.cat(features), labels, method.config)
    contrastive = 0.7 * float(both["infonce"].detach()) + 0.3 * float(both["supcon"].detach())
    loss, parts = method(features, labels, positions=positions)
    assert "prototypes" not in parts
    assert float(loss.detach()) == pytest.approx(contrastive, rel=1e-5)

    method.prototypes, method.concentrations = torch.eye(4, 6), torch.tensor([0.1, 0.2, 0.3, 0.4])
    method.clusters = torch.arange(12) % 4
    loss, _ = method(features, labels, positions=positions)
    terms = [
        float(prototype_loss(view.detach(), (11 - torch.arange(12)) % 4, method.prototypes, method.concentrations))
        for view in features
    ]
    assert float(loss.detach()) == pytest.approx(contrastive + 2 * sum(terms) / 2, rel=1e-5)


def test_training_keeps_blobs_apart_and_finds_their_number(train_jointly: Any) -> None:
    config = Config(**SMALL, warmup_epochs=1)
    job = train_jointly("run", config, epochs=6, k=None, sampler="balanced")
    assert job.objective.outcome() == {"k": 4}
    assert job.objective.classify(torch.zeros(1, 16)) is None
    vectors, classes, labels = blobs()
    with torch.no_grad():
        embeddings = job.backbone.eval()(torch.from_numpy(vectors)).numpy()
    found = cluster(Problem(unit(embeddings), labels, 2, None), MIXTURE, np.random.default_rng(0), SilentProgress())
    pool = labels < 0
    assert found.k == 4
    assert gcd_v2(contingency(found.assignments[pool], classes[pool]), n_known=2)["all"] == 1.0


@pytest.mark.parametrize("stop_after", [3, 8])
def test_an_interrupted_training_ends_with_the_same_prototypes(train_jointly: Any, stop_after: int) -> None:
    config = Config(**SMALL, warmup_epochs=0)
    whole = train_jointly("whole", config, epochs=3, k=None)
    with pytest.raises(Interrupted):
        train_jointly("parts", config, epochs=3, k=None, watcher=Watcher(stop_after=stop_after))
    parts = train_jointly("parts", config, epochs=3, k=None)
    one, other = whole.objective.state_dict(), parts.objective.state_dict()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_nothing_of_it_is_kept_beside_the_backbone(tmp_path: Any) -> None:
    job = make_joint_job(tmp_path, Config(**SMALL), k=None)
    assert job.objective.kept_state() == {}
