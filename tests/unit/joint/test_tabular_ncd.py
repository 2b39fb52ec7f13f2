"""TabularNCD's pairs, losses and views against slow restatements of its paper, and what it learns."""

from __future__ import annotations

from collections.abc import Callable
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F
from toyjoint import answers, blobs, make_joint_job
from toytraining import Watcher

from ncdcli.errors import Interrupted, NcdError
from ncdcli.joint.base import Task
from ncdcli.joint.interpolation import Recent, views_between
from ncdcli.joint.kinds import TabularNcd as Config
from ncdcli.joint.tabular_ncd import TabularNcd, nearest_pairs, pair_loss
from ncdcli.metrics.contingency import contingency
from ncdcli.metrics.scores import ncd_task_agnostic, ncd_task_aware
from ncdcli.models.backbone import Backbone, InputSpec
from ncdcli.models.build import build_backbone
from ncdcli.models.kinds import Mlp
from ncdcli.objectives.kinds import Augment, Optimizer, TrainingConfig
from ncdcli.pipeline.context import Resources
from ncdcli.training.launch import launch
from ncdcli.training.loop import train
from ncdcli.training.monitor import LocalMonitor
from ncdcli.training.views import for_views

PLAIN: dict[str, Any] = {"setting": "ncd", "augment": Augment()}


def made(**fields: Any) -> TabularNcd:
    torch.manual_seed(0)
    return TabularNcd(Config(**fields), dim=6, task=Task(3, 5, "ncd"), n_inputs=4)


def cosine(one: Any, other: Any) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def test_pairs_are_those_of_the_nearest_seen_from_either_side() -> None:
    rows = np.random.default_rng(0).normal(size=(9, 4))
    expected = np.zeros((9, 9), bool)
    for i in range(9):
        others = sorted((j for j in range(9) if j != i), key=lambda j: -cosine(rows[i], rows[j]))
        for j in others[:2]:
            expected[i, j] = expected[j, i] = True
    assert nearest_pairs(torch.from_numpy(rows), 2).numpy().tolist() == expected.tolist()


def test_with_fewer_rows_than_positives_all_pairs_are_together() -> None:
    rows = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    assert nearest_pairs(rows, 7).tolist() == [[i != j for j in range(3)] for i in range(3)]


def test_without_positives_no_pair_is_together() -> None:
    assert not nearest_pairs(torch.randn(5, 4, generator=torch.Generator().manual_seed(0)), 0).any()


def test_the_loss_on_pairs_is_their_mean_binary_cross_entropy() -> None:
    generator = torch.Generator().manual_seed(0)
    probabilities = torch.randn(7, 3, generator=generator).softmax(1)
    together = nearest_pairs(torch.randn(7, 3, generator=generator), 2)
    terms = []
    for i in range(7):
        for j in range(i):
            p = float(probabilities[i] @ probabilities[j])
            terms.append(-log(p if together[i, j] else 1 - p))
    assert float(pair_loss(probabilities, together)) == pytest.approx(sum(terms) / len(terms), rel=1e-5)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"top_k": 5.609}, 14),  # of 256: Pendigits in 2022
        ({"top_k": 0.47, "top_k_unit": "fraction", "top_k_of": "pool"}, 119),  # as the text of 2024 has it
        ({"top_k": 0.47, "top_k_of": "pool"}, 1),  # as its code reads the same number
        ({"top_k": 0.1, "top_k_of": "pool"}, 1),  # one at least
        ({"top_k": 0.1, "top_k_of": "pool", "least_positives": 0}, 0),  # or none, as its code has it
        ({"top_k": 0.47, "top_k_of": "pool", "least_positives": 0}, 1),
    ],
)
def test_the_published_readings_of_top_k(fields: dict[str, Any], expected: int) -> None:
    assert made(**fields).positives(512, 254) == expected


def small_backbone() -> Backbone:
    return build_backbone(Mlp(hidden=(6,), dim=3), InputSpec("tables", (4,))).train()


def test_samples_and_views_can_have_batch_statistics_of_their_own() -> None:
    """As in the code of 2024, whose averages follow the views of the pool most: it embeds them twice."""
    labels = torch.tensor([0, -1, 2, -1, -1])
    method = made(statistics="own")
    (groups,) = method.groups(labels)
    assert groups.tolist() == [0] * 5 + [2, 1, 2, 1, 1]
    assert (made().groups(labels), made().group_turns) == ((), ())
    backbone, alone = small_backbone(), small_backbone()
    alone.load_state_dict(backbone.state_dict())
    rows = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))
    shown = for_views(backbone, TrainingConfig(), turns=method.group_turns, processes=1)
    found = shown(rows, groups)
    for group in (0, 1, 2, 1):
        assert torch.equal(found[groups == group], alone(rows[groups == group]))
    assert all(torch.equal(value, alone.state_dict()[name]) for name, value in backbone.state_dict().items())


def test_a_view_without_others_of_its_kind_shares_the_statistics_of_samples() -> None:
    backbone = small_backbone()
    shown = for_views(backbone, TrainingConfig(), turns=(0, 1, 2, 1), processes=1)
    rows = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    assert torch.equal(shown(rows, torch.tensor([0, 0, 0, 1, 2, 2]))[:4], backbone(rows[:4]))


def test_several_processes_have_no_statistics_of_their_own() -> None:
    with pytest.raises(NcdError, match="for one process"):
        for_views(small_backbone(), TrainingConfig(), turns=(0, 1), processes=2)


def slow_losses(method: TabularNcd, features: Any, labels: Any, *, count: int) -> tuple[float, float]:
    """Both losses, from their definition."""
    first, second = features
    classes = [3 if label < 0 else label for label in labels.tolist()]
    scores, others = method.head.known(first), method.head.known(second)
    entropy = -float(sum(scores[i].log_softmax(0)[c] for i, c in enumerate(classes))) / len(classes)
    one = 0.7 * entropy + 0.3 * float((scores - others).square().mean())
    pool = [i for i, label in enumerate(labels.tolist()) if label < 0]
    scores, others = method.head.novel(first[pool]), method.head.novel(second[pool])
    together = nearest_pairs(first[pool], count)
    pairs = [(i, j) for i in range(len(pool)) for j in range(i)]
    terms = []
    for i, j in pairs:
        p = float(scores[i].softmax(0) @ scores[j].softmax(0))
        terms.append(-log(p if together[i, j] else 1 - p))
    other = 0.6 * sum(terms) / len(terms) + 0.4 * float((scores - others).square().mean())
    return one, other


def test_the_losses_are_those_of_the_paper(make_batch: Callable[..., Any]) -> None:
    fields: dict[str, Any] = {"classifier_weight": 0.7, "clustering_weight": 0.6, "top_k": 40}
    method = made(**fields)
    features, labels = make_batch()
    with torch.no_grad():
        expected = slow_losses(method, features, labels, count=2)  # 40 % of half of 12
    found = [float(method(features, labels, phase=phase)[0].detach()) for phase in (0, 1)]
    assert found == pytest.approx(expected, rel=1e-5)
    both, parts = made(steps="joint", **fields)(features, labels)
    assert float(both.detach()) == pytest.approx(sum(expected), rel=1e-5)
    assert list(parts) == ["cross_entropy", "consistency", "pairs", "pool_consistency"]


def test_no_gradient_goes_through_the_choice_of_pairs_nor_to_the_other_head(make_batch: Callable[..., Any]) -> None:
    method = made()
    features, labels = make_batch()
    method(features, labels, phase=1)[0].backward()
    assert bool((method.head.known.weight.grad == 0).all())
    labelled = labels >= 0
    assert bool((features[0].grad[labelled] == 0).all())
    assert bool((features[0].grad[~labelled] != 0).any())


def test_a_batch_of_one_kind_trains(make_batch: Callable[..., Any]) -> None:
    features, labels = make_batch()
    for targets in (torch.full_like(labels, -1), torch.zeros_like(labels)):
        for phase in (0, 1):
            assert bool(torch.isfinite(made()(features, targets, phase=phase)[0]))


def test_optimizers_share_the_backbone_and_have_rates_of_their_own(tmp_path: Path) -> None:
    job = make_joint_job(tmp_path, Config(clustering_lr=1e-3), **PLAIN)
    one, other = job.objective.make_optimizers(Optimizer(lr=4e-3), job.backbone)
    ids = [{id(p) for group in o.param_groups for p in group["params"]} for o in (one, other)]
    backbone = {id(p) for p in job.backbone.parameters()}
    assert ids[0] & ids[1] == backbone
    assert [o.param_groups[0].get("lr_factor", 1.0) for o in (one, other)] == [1.0, 0.25]
    assert len(job.objective.make_optimizers(Optimizer(), job.backbone)) == 2
    joint = make_joint_job(tmp_path, Config(steps="joint"), **PLAIN)
    assert len(joint.objective.make_optimizers(Optimizer(), joint.backbone)) == 1


def test_a_view_lies_between_a_row_and_one_of_its_neighbours() -> None:
    rng = np.random.default_rng(0)
    rows, others = rng.normal(size=(6, 4)).astype(np.float32), rng.normal(size=(5, 4)).astype(np.float32)
    everything = np.concatenate([rows, others])
    drawn = set()
    for seed in range(30):
        views = views_between(
            torch.from_numpy(rows), torch.from_numpy(others), neighbours=3, rng=np.random.default_rng(seed)
        ).numpy()
        for i, view in enumerate(views):
            nearest = sorted((j for j in range(11) if j != i), key=lambda j: -cosine(rows[i], everything[j]))[:3]
            ways = [(j, everything[j] - rows[i]) for j in nearest]
            on = [
                (j, float((view - rows[i]) @ way / (way @ way)))
                for j, way in ways
                if abs(cosine(view - rows[i], way) - 1) < 1e-4
            ]
            (found,) = on
            assert 0 <= found[1] <= 1
            drawn.add((i, found[0]))
    assert len(drawn) == 18  # each of the three neighbours of each row


def test_categories_are_those_of_most_neighbours() -> None:
    """Two numbers that make all rows neighbours, then a column of three categories; a row may have none."""
    numbers = np.ones((5, 2), np.float32)
    codes = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0]], np.float32) * 1e-3
    rows = torch.from_numpy(np.concatenate([numbers, np.sign(codes)], axis=1))
    views = views_between(rows, rows[:0], neighbours=4, rng=np.random.default_rng(0), one_hot=[(2, 5)])
    # The others of row 0 have two of category 1 and two none: the category comes first.
    assert views[:, 2:].tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 0], [0, 1, 0], [0, 1, 0]]


def test_a_row_alone_is_its_own_view() -> None:
    row = torch.ones(1, 4)
    assert torch.equal(views_between(row, row[:0], neighbours=5, rng=np.random.default_rng(0)), row)
    assert views_between(row[:0], row, neighbours=5, rng=np.random.default_rng(0)).shape == (0, 4)


@pytest.mark.parametrize("size", [0, 1, 5, 7])
def test_the_memory_holds_the_rows_added_last(size: int) -> None:
    recent, added = Recent(size, 1), list[float]()
    for number in (3, 1, 4, 9, 0, 2):
        rows = torch.arange(len(added), len(added) + number, dtype=torch.float32)[:, None]
        recent.add(rows)
        added += rows[:, 0].tolist()
        assert sorted(recent.rows()[:, 0].tolist()) == added[max(len(added) - size, 0) :]


def test_views_are_made_among_samples_of_a_kind_and_remembered() -> None:
    method = made(memory=4, neighbours=1)
    rows = torch.tensor([[1.0, 0, 0, 0], [1, 1e-2, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1e-2]])
    labels = torch.tensor([0, -1, 1, -1])
    views = method.make_views(rows, labels, np.random.default_rng(0))
    # The nearest row of the same kind is the one that is far away: both of a kind change places 0 and 2 alike.
    assert bool((views[:, [0, 2]].sum(1) - 1).abs().max() < 1e-6)
    assert torch.equal(method.labelled.rows(), rows[[0, 2]])
    assert torch.equal(method.unlabelled.rows(), rows[[1, 3]])


def test_what_it_answers_is_a_distribution_over_all_classes(make_batch: Callable[..., Any]) -> None:
    method = made()
    (features, _), _ = make_batch()
    known, novel = F.softmax(method.head.known(features), dim=1), F.softmax(method.head.novel(features), dim=1)
    expected = torch.cat([known[:, :3], known[:, 3:] * novel], dim=1)
    torch.testing.assert_close(method.logits(features).exp(), expected)


@pytest.mark.parametrize("fields", [{"clustering_lr": 1e-2}, {"steps": "joint", "top_k_of": "pool"}])
def test_it_tells_novel_blobs_apart(train_jointly: Any, fields: dict[str, Any]) -> None:
    job = train_jointly(
        "run", Config(top_k=20, **fields), epochs=30, backbone=Mlp(hidden=(32,), dim=16, batch_norm=False), **PLAIN
    )
    _, classes, labels = blobs("ncd")
    found, pool = answers(job), labels < 0
    aware = found[pool, 2:].argmax(1) + 2
    assert ncd_task_aware(contingency(aware, classes[pool]), n_known=2)["novel"] == 1.0
    table = contingency(found.argmax(1), classes)
    assert ncd_task_agnostic(table, n_known=2, matched=np.array([0, 1, -1, -1]))["all"] == 1.0


@pytest.mark.usefixtures("quick_processes")
def test_two_processes_learn_the_same(tmp_path: Path, train_jointly: Any) -> None:
    config = Config(memory=50)
    alone = train_jointly("one", config, epochs=2, batch_size=27, **PLAIN)
    (tmp_path / "two").mkdir()
    job = make_joint_job(tmp_path / "two", config, epochs=2, batch_size=27, **PLAIN)
    monitor = LocalMonitor(Watcher().tick, lambda: False)
    launch(train, job, resources=Resources("cpu", processes=2), precision="fp32", monitor=monitor)
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    assert one.keys() == other.keys()
    for name in one:
        torch.testing.assert_close(one[name], other[name], rtol=1e-3, atol=2e-5)
    assert int(alone.objective.unlabelled.added) == 2 * 80


@pytest.mark.parametrize("stop_after", [3, 7])
def test_an_interrupted_training_ends_with_the_same_weights(
    train_jointly: Any, tmp_path: Path, stop_after: int
) -> None:
    """Views need the samples that were seen last: these are in the checkpoint, within an epoch too."""
    config = Config(memory=50)
    train_jointly("whole", config, epochs=3, **PLAIN)
    with pytest.raises(Interrupted):
        train_jointly("parts", config, epochs=3, watcher=Watcher(stop_after=stop_after), **PLAIN)
    train_jointly("parts", config, epochs=3, **PLAIN)
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert {name for name in one if name.startswith("joint.")} == {
        f"joint.head.{head}.{part}" for head in ("known", "novel") for part in ("weight", "bias")
    }
