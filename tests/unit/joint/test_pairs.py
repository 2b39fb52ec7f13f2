"""KCL and MCL: their losses on pairs, the network that says which pairs are similar, and what they learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from toyjoint import answers, blobs, make_joint_job
from toytraining import Watcher

from ncdcli.clustering.base import Problem
from ncdcli.errors import Interrupted
from ncdcli.joint.base import Task
from ncdcli.joint.kcl import Kcl
from ncdcli.joint.kinds import Kcl as KclConfig
from ncdcli.joint.kinds import Mcl as MclConfig
from ncdcli.joint.mcl import Mcl
from ncdcli.joint.pairs import PairNetwork, pair_batches, train_pairs
from ncdcli.metrics.contingency import contingency
from ncdcli.metrics.scores import ncd_task_aware
from ncdcli.objectives.base import EpochFacts

KINDS = {"mcl": (Mcl, MclConfig), "kcl": (Kcl, KclConfig)}


def make_method(kind: str) -> Any:
    torch.manual_seed(0)
    method, config = KINDS[kind]
    return method(config(), dim=6, task=Task(3, 5, "ncd"), backbone=nn.Identity())  # type: ignore[operator]


def slow_pair(kind: str, p: Any, q: Any, similar: bool) -> float:
    if kind == "mcl":
        return -float(np.log((p @ q if similar else 1 - p @ q) + 1e-7))
    both = [float((p * np.log(p / q)).sum()), float((q * np.log(q / p)).sum())]
    return sum(both) if similar else sum(max(0.0, 2.0 - divergence) for divergence in both)


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_is_the_mean_over_ordered_pairs_of_the_pool(kind: str, make_batch: Callable[..., Any]) -> None:
    method = make_method(kind)
    features, labels = make_batch(views=1)
    second = [torch.randn(12, 6, generator=torch.Generator().manual_seed(5))]
    loss, parts = method(features, labels, second=second)

    pool = labels < 0
    p = method.head(features[0][pool]).softmax(1).detach().double().numpy()
    similar = method.similar(second[0][pool]).reshape(6, 6).tolist()
    assert 0 < sum(map(sum, similar)) < 36
    expected = np.mean([slow_pair(kind, p[i], p[j], similar[i][j]) for i in range(6) for j in range(6)])
    assert float(parts["pairs"]) == pytest.approx(expected, rel=1e-4)
    assert float(loss.detach()) == pytest.approx(expected + float(parts["gate"]), rel=1e-4)


def test_the_network_can_be_asked_about_the_samples_as_embed_wrote_them(make_batch: Callable[..., Any]) -> None:
    torch.manual_seed(0)
    config = MclConfig(asks_about="samples", pair_epochs=3)
    method = Mcl(config, dim=6, task=Task(3, 5, "ncd"), backbone=nn.Identity())  # type: ignore[arg-type]
    embeddings = torch.randn(24, 6, generator=torch.Generator().manual_seed(3))
    features, labels = make_batch(views=1)
    known = labels.repeat(2)
    method.start(Problem(embeddings.numpy(), known.numpy(), 3, 5, novel_only=True), np.random.default_rng(0))
    assert method.uses_positions
    assert method.second_backbone() is None

    def refuse() -> torch.Tensor:
        raise AssertionError("embeddings are there already")

    method.refresh(EpochFacts(0, 1, known, refuse, _rng()))
    positions = torch.arange(23, 11, -1)
    pool = labels < 0
    _, parts = method(features, labels, positions=positions)
    expected = method.similar(embeddings[positions[pool]]).float().mean()
    assert float(parts["similar"]) == pytest.approx(float(expected))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pool", [0, 1])
def test_a_batch_without_pairs_trains(kind: str, pool: int) -> None:
    features = torch.randn(4, 6, requires_grad=True)
    labels = torch.tensor([-1 if row < pool else 0 for row in range(4)])
    loss, _ = make_method(kind)([features], labels, second=[features.detach()])
    loss.backward()
    assert bool(torch.isfinite(loss))


def test_features_side_by_side_are_seen_as_one_vector() -> None:
    network = PairNetwork(3, compares="concatenation").eval()
    one, other = torch.randn(2, 3), torch.randn(4, 3)
    found = network(one, other)
    assert network.second is not None
    whole = nn.Linear(6, 12)
    with torch.no_grad():
        whole.weight.copy_(torch.cat([network.first.weight, network.second.weight], dim=1))
        whole.bias.copy_(network.first.bias)
    for number, (i, j) in enumerate((i, j) for i in range(2) for j in range(4)):
        pair = torch.cat([one[i] / one[i].norm(), other[j] / other[j].norm()])[None]
        expected = network.answer(torch.relu(network.norm(whole(pair))))
        assert torch.allclose(found[number : number + 1], expected, atol=1e-6)


def test_differences_tell_classes_apart_that_the_network_has_not_seen() -> None:
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(12, 8, generator=generator) * 3
    labels = torch.arange(144) % 12
    rows = centres[labels] + 0.1 * torch.randn(144, 8, generator=generator)
    torch.manual_seed(0)
    network, seen = PairNetwork(8, compares="difference"), labels < 8
    train_pairs(
        network.requires_grad_(False), rows[seen], labels[seen], MclConfig(pair_epochs=40, pair_batch_size=32), _rng()
    )
    same = (labels[~seen][:, None] == labels[~seen][None]).flatten()
    with torch.no_grad():
        found = network(rows[~seen], rows[~seen]).argmax(1) == 1
    assert torch.equal(found, same)
    assert not any(parameter.requires_grad for parameter in network.parameters())


def _rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize(
    "config",
    [MclConfig(pair_epochs=20), KclConfig(pair_epochs=20), MclConfig(pair_epochs=20, asks_about="samples")],
    ids=["mcl", "kcl", "samples"],
)
def test_it_tells_novel_blobs_apart_and_known_ones_by_name(train_jointly: Any, config: Any) -> None:
    logits = answers(train_jointly("run", config, setting="ncd", epochs=20))
    _, classes, _ = blobs("ncd")
    novel = classes >= 2
    aware = contingency(logits[novel, 2:].argmax(1), classes[novel])
    assert ncd_task_aware(aware, n_known=2)["all"] == 1.0
    np.testing.assert_array_equal(logits[~novel, :2].argmax(1), classes[~novel])


def test_an_interrupted_training_ends_with_the_same_weights(train_jointly: Any, tmp_path: Any) -> None:
    config = KclConfig(pair_epochs=2)
    whole = train_jointly("whole", config, setting="ncd", epochs=2).objective.state_dict()
    with pytest.raises(Interrupted):
        train_jointly("parts", config, setting="ncd", epochs=2, watcher=Watcher(stop_after=7))
    job = train_jointly("parts", config, setting="ncd", epochs=2)
    assert all(torch.equal(whole[name], value) for name, value in job.objective.state_dict().items())
    assert {name.split(".")[1] for name in job.objective.kept_state()} == {"head", "gate"}
    fresh: Any = make_joint_job(tmp_path, config, setting="ncd").objective
    fresh.load_kept(job.objective.kept_state())
    rows = torch.randn(5, 16)
    assert torch.equal(fresh.logits(rows), job.objective.logits(rows))


def test_batches_of_pairs_hold_each_row_once_or_rows_of_a_few_classes() -> None:
    labels, rng = np.repeat(np.arange(12), 5), np.random.default_rng(0)
    batches = list(pair_batches(labels, 16, None, rng))
    assert [len(batch) for batch in batches] == [16, 16, 16, 12]
    assert sorted(np.concatenate(batches).tolist()) == list(range(60))
    assert len(list(pair_batches(labels[:17], 16, None, rng))) == 1  # a row alone makes no pair
    few = list(pair_batches(labels, 16, 4, rng))
    assert len(few) == 60 // 16
    for batch in few:
        assert np.unique(labels[batch], return_counts=True)[1].tolist() == [4, 4, 4, 4]
    assert len({tuple(np.unique(labels[batch])) for batch in few}) > 1
    assert [len(batch) for batch in pair_batches(labels, 16, 12, rng)] == [16, 16, 16, 12]
