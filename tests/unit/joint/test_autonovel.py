"""AutoNovel's pairs and loss against their definition, and what it learns."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from toyjoint import answers, blobs
from toytraining import Watcher

from ncdcli.clustering.base import Problem
from ncdcli.errors import Interrupted
from ncdcli.joint.autonovel import (
    AutoNovel,
    TwoHeads,
    draw_windows,
    pair_cross_entropy,
    same_top,
    same_winners,
)
from ncdcli.joint.base import Task
from ncdcli.joint.kinds import AutoNovel as Config
from ncdcli.metrics.contingency import contingency
from ncdcli.metrics.scores import ncd_task_aware


def test_two_rows_are_the_same_where_their_largest_dimensions_are() -> None:
    features = torch.randn(30, 6, generator=torch.Generator().manual_seed(0))
    largest = [frozenset(np.argsort(row)[-2:].tolist()) for row in features.numpy()]
    expected = [[one == other for other in largest] for one in largest]
    assert same_top(features, 2).tolist() == expected
    assert bool(same_top(features, 9).all())


def test_pairs_are_judged_by_the_dot_product_of_their_predictions() -> None:
    generator = torch.Generator().manual_seed(1)
    first, second = torch.rand(4, 3, generator=generator), torch.rand(4, 3, generator=generator)
    first, second = first / first.sum(1, keepdim=True), second / second.sum(1, keepdim=True)
    same = torch.rand(4, 4, generator=generator) < 0.4
    total = 0.0
    for i in range(4):
        for j in range(4):
            agreement = float(first[i] @ second[j])
            total -= math.log((agreement if same[i, j] else 1 - agreement) + 1e-7) / 16
    assert float(pair_cross_entropy(first, second, same)) == pytest.approx(total, rel=1e-5)
    assert float(pair_cross_entropy(first[:0], second[:0], same[:0, :0])) == 0


@pytest.mark.parametrize("incremental", [True, False])
def test_the_loss_is_the_sum_of_the_paper(make_batch: Callable[..., Any], incremental: bool) -> None:
    torch.manual_seed(0)
    method = AutoNovel(Config(top=2, incremental=incremental, rampup_epochs=10), dim=6, task=Task(3, 5, "ncd"))
    method.begin_epoch(5, 10)
    features, labels = make_batch()
    loss, parts = method(features, labels)

    first, second = (view.relu() for view in features)
    pool = labels < 0
    known = [method.head.known(view) for view in (first, second)]
    novel = [method.head.novel(view).softmax(1) for view in (first, second)]
    cross = -known[0].log_softmax(1)[~pool, labels[~pool]].mean()
    pairs = pair_cross_entropy(novel[0][pool], novel[1][pool], same_top(first[pool], 2))
    consistency = (known[0].softmax(1) - known[1].softmax(1)).square().mean() + (novel[0] - novel[1]).square().mean()
    ramp = math.exp(-5 * 0.25)
    expected = cross + pairs + 5 * ramp * consistency
    if incremental:
        answers_of_pool = novel[0].argmax(1)[pool] + 3
        expected = expected - 0.05 * ramp * known[0].log_softmax(1)[pool, answers_of_pool].mean()
    assert known[0].shape == (12, 5 if incremental else 3)
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    assert ("incremental" in parts) == incremental


def test_the_pool_has_no_say_in_the_first_epochs(make_batch: Callable[..., Any]) -> None:
    torch.manual_seed(0)
    method = AutoNovel(Config(top=2, supervised_epochs=3, rampup_epochs=10), dim=6, task=Task(3, 5, "ncd"))
    features, labels = make_batch()
    method.begin_epoch(2, 10)
    loss, parts = method(features, labels)
    known = labels >= 0
    crosses = [
        -method.head.known(view.relu())[:, :3].log_softmax(1)[known, labels[known]].mean().detach() for view in features
    ]
    assert float(loss.detach()) == pytest.approx(float(sum(crosses)) / 2, rel=1e-5)
    assert list(parts) == ["cross_entropy"]
    method.begin_epoch(3, 10)
    assert method.ramp == pytest.approx(math.exp(-5))
    assert "pairs" in method(features, labels)[1]


def test_answers_are_probabilities_over_all_classes() -> None:
    torch.manual_seed(0)
    features = torch.rand(7, 6)
    head = TwoHeads(6, n_known=3, n_novel=2, incremental=True)
    likely = head(features).exp()
    assert likely.sum(1).tolist() == pytest.approx([1.0] * 7, rel=1e-5)
    torch.testing.assert_close(likely[:, :3], head.known(features).softmax(1)[:, :3])
    assert torch.equal(likely[:, 3:].argmax(1), head.novel(features).argmax(1))
    assert float(head.known.bias[3:].max().detach()) < float(head.known.bias[:3].min().detach())


def test_a_batch_without_pool_or_without_labels_trains(make_batch: Callable[..., Any]) -> None:
    method = AutoNovel(Config(), dim=6, task=Task(3, 5, "ncd"))
    features, labels = make_batch()
    for targets in (torch.full_like(labels, -1), torch.zeros_like(labels)):
        loss, _ = method(features, targets)
        assert bool(torch.isfinite(loss))


def test_it_tells_novel_blobs_apart(train_jointly: Any) -> None:
    job = train_jointly("run", Config(top=3, rampup_epochs=10), epochs=25, setting="ncd")
    _, classes, labels = blobs("ncd")
    found, pool = answers(job), labels < 0
    aware = found[pool, 2:].argmax(1) + 2
    assert ncd_task_aware(contingency(aware, classes[pool]), n_known=2)["novel"] == 1.0
    np.testing.assert_array_equal(found[~pool].argmax(1), classes[~pool])


def test_winners_are_those_of_random_sets_of_dimensions() -> None:
    generator = torch.Generator().manual_seed(2)
    features = torch.randn(20, 8, generator=generator)
    torch.manual_seed(0)
    windows = draw_windows(8, 3, 40)
    assert all(len(set(window)) == 3 for window in windows.tolist())
    rows = features.numpy()
    winners = [[int(np.argmax(row[window])) for window in windows.numpy()] for row in rows]
    shares = np.array([[np.mean(np.equal(one, other)) for other in winners] for one in winners])
    for agreement in (0.3, 0.5, 0.9):
        np.testing.assert_array_equal(same_winners(features, windows, agreement).numpy(), shares >= agreement)
    assert bool(same_winners(features, windows, 1.0).diagonal().all())
    assert draw_windows(2, 4, 5).shape == (5, 2)


def test_of_several_classifiers_each_learns_alone_and_the_one_of_the_least_loss_is_used(
    make_batch: Callable[..., Any],
) -> None:
    torch.manual_seed(0)
    method = AutoNovel(Config(top=2, heads=3, rampup_epochs=0), dim=6, task=Task(3, 5, "ncd"))
    assert method.refreshes
    features, labels = make_batch()
    pool = labels < 0
    views = [view.relu() for view in features]
    scores = [method.head.novel(view).chunk(3, dim=1) for view in views]
    same = same_top(views[0][pool], 2)
    losses = [pair_cross_entropy(*(view[head].softmax(1)[pool] for view in scores), same) for head in range(3)]
    method.refresh(None)  # type: ignore[arg-type]
    _, parts = method(features, labels)
    assert float(parts["pairs"]) == pytest.approx(float(sum(losses).detach()) / 3, rel=1e-5)  # type: ignore[union-attr]
    torch.testing.assert_close(method.head.losses, torch.stack(losses).detach())
    best = int(torch.stack(losses).argmin())
    novel = method.logits(features[0])[:, 3:].softmax(1)
    torch.testing.assert_close(novel, scores[0][best].softmax(1))
    method.refresh(None)  # type: ignore[arg-type]
    assert int(method.head.best) == best  # type: ignore[arg-type]
    assert method.head.losses.tolist() == [0, 0, 0]  # type: ignore[union-attr]
    answers_of_pool = scores[0][best].argmax(1)[pool] + 3
    expected = -method.head.known(views[0]).log_softmax(1)[pool, answers_of_pool].mean()
    assert float(method(features, labels)[1]["incremental"]) == pytest.approx(float(expected.detach()), rel=1e-5)


def test_winners_do_not_depend_on_the_scale_of_dimensions() -> None:
    """One dimension that is always the largest would win every hash, and tell nothing."""
    torch.manual_seed(0)
    method = AutoNovel(Config(compares="wta", hashes=64), dim=6, task=Task(3, 5, "ncd"))
    features, pool = torch.randn(30, 6), torch.arange(30) % 3 > 0
    expected = method.same(features, pool, None)
    assert expected.shape == (20, 20)
    assert 20 < int(expected.sum()) < 400
    scale, offset = torch.tensor([1.0, 9.0, 0.1, 3.0, 1.0, 2.0]), torch.tensor([0.0, 50.0, -3.0, 0.0, 7.0, 1.0])
    assert torch.equal(method.same(features * scale + offset, pool, None), expected)
    assert torch.isfinite(method.on_one_scale(torch.ones(4, 6))).all()


@pytest.mark.parametrize("compares", ["top", "wta"])
def test_frozen_ranks_are_those_of_the_embeddings(make_batch: Callable[..., Any], compares: str) -> None:
    method = AutoNovel(Config(compares=compares, top=2, ranks="frozen"), dim=6, task=Task(3, 5, "ncd"))
    embeddings = torch.randn(40, 6, generator=torch.Generator().manual_seed(3))
    labels = np.where(np.arange(40) % 2, -1, 0)
    method.start(Problem(embeddings.numpy(), labels, 3, 5, novel_only=True), np.random.default_rng(0))
    assert method.uses_positions
    features, targets = make_batch()
    positions = torch.arange(39, 27, -1)
    pool = targets < 0
    if compares == "top":
        expected = same_top(embeddings[positions[pool]].relu(), 2)
    else:
        scaled = (embeddings - embeddings.mean(0)) / embeddings.std(0, correction=0)
        expected = same_winners(scaled[positions[pool]], method.windows, method.config.agreement)
    assert torch.equal(method.same(features[0], pool, positions), expected)
    novel = [method.head.novel(view.relu()).softmax(1)[pool] for view in features]
    _, parts = method(features, targets, positions=positions)
    assert float(parts["pairs"]) == pytest.approx(float(pair_cross_entropy(*novel, expected).detach()), rel=1e-5)
    assert float(parts["similar"]) == pytest.approx(float(expected.float().mean()))


@pytest.mark.parametrize(("ranks", "heads"), [("current", 1), ("frozen", 1), ("frozen", 4)])
def test_winners_tell_novel_blobs_apart(train_jointly: Any, ranks: str, heads: int) -> None:
    config = Config(compares="wta", ranks=ranks, heads=heads, rampup_epochs=10)
    job = train_jointly("run", config, epochs=25, setting="ncd")
    _, classes, labels = blobs("ncd")
    pool = labels < 0
    aware = answers(job)[pool, 2:].argmax(1) + 2
    assert ncd_task_aware(contingency(aware, classes[pool]), n_known=2)["novel"] == 1.0


def test_an_interrupted_training_ends_with_the_same_weights(train_jointly: Any) -> None:
    config = Config(compares="wta", ranks="frozen", heads=2, rampup_epochs=2)
    whole = train_jointly("whole", config, setting="ncd", epochs=2).objective.state_dict()
    with pytest.raises(Interrupted):
        train_jointly("parts", config, setting="ncd", epochs=2, watcher=Watcher(stop_after=7))
    parts = train_jointly("parts", config, setting="ncd", epochs=2).objective.state_dict()
    assert {"before", "windows", "head.losses", "head.best"} <= set(whole)
    assert all(torch.equal(whole[name], value) for name, value in parts.items())
