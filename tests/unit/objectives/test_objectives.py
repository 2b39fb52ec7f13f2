from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from ncdcli.objectives import kinds
from ncdcli.objectives.contrastive import info_nce, supervised_contrastive
from ncdcli.objectives.cross_entropy import CrossEntropy
from ncdcli.objectives.heads import DinoHead
from ncdcli.objectives.kinds import Rotation as RotationConfig
from ncdcli.objectives.normalized_softmax import NormalizedSoftmax
from ncdcli.objectives.rotation import Rotation
from ncdcli.objectives.simclr import SimCLR
from ncdcli.objectives.supcon_infonce import SupConInfoNCE


def unit_rows(*shape: int, seed: int = 0) -> torch.Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=1)


def slow_info_nce(first: torch.Tensor, second: torch.Tensor, temperature: float) -> float:
    """The definition, one anchor at a time."""
    rows = [*first.detach().double(), *second.detach().double()]
    total = 0.0
    for anchor in range(len(rows)):
        positive = (anchor + len(first)) % len(rows)
        scores = {
            other: math.exp(float(rows[anchor] @ rows[other]) / temperature)
            for other in range(len(rows))
            if other != anchor
        }
        total -= math.log(scores[positive] / sum(scores.values()))
    return total / len(rows)


def slow_supcon(first: torch.Tensor, second: torch.Tensor, labels: torch.Tensor, temperature: float) -> float:
    """The definition, one anchor and one positive at a time."""
    rows, classes = [*first.detach().double(), *second.detach().double()], labels.tolist() * 2
    total = 0.0
    for anchor in range(len(rows)):
        scores = {
            other: math.exp(float(rows[anchor] @ rows[other]) / temperature)
            for other in range(len(rows))
            if other != anchor
        }
        positives = [other for other in scores if classes[other] == classes[anchor]]
        total -= sum(math.log(scores[p] / sum(scores.values())) for p in positives) / len(positives)
    return total / len(rows)


@pytest.mark.parametrize("temperature", [1.0, 0.07])
def test_info_nce_is_its_definition(temperature: float) -> None:
    first, second = unit_rows(7, 5), unit_rows(7, 5, seed=1)
    expected = slow_info_nce(first, second, temperature)
    assert float(info_nce(first, second, temperature)) == pytest.approx(expected, rel=1e-5)


def test_rotation_is_the_cross_entropy_of_the_turn_that_a_view_was_given() -> None:
    torch.manual_seed(0)
    objective = Rotation(RotationConfig(), dim=5, n_known=3)
    views = [torch.randn(3, 5) for _ in range(4)]
    loss, parts = objective(views, torch.tensor([-1, 2, 0]))
    total, right = 0.0, 0
    for turn, view in enumerate(views):
        for row in objective.classifier(view).detach().double():
            scores = row.exp()
            total -= math.log(float(scores[turn] / scores.sum())) / 12
            right += int(row.argmax() == turn)
    assert float(loss) == pytest.approx(total, rel=1e-5)
    assert float(parts["accuracy"]) == pytest.approx(right / 12)
    assert (objective.uses_pool, objective.turns, objective.views) == (True, True, 4)


def test_info_nce_by_hand() -> None:
    # Two samples along two axes, both views equal: each anchor sees its positive at 1 and two negatives at 0.
    views = torch.eye(2)
    assert float(info_nce(views, views, 1.0)) == pytest.approx(math.log(1 + 2 / math.e), rel=1e-6)


@pytest.mark.parametrize("labels", [[0, 1, 0, 2, 1, 0], [0, 1, 2, 3, 4, 5], [3, 3, 3, 3, 3, 3]])
def test_supcon_is_its_definition(labels: list[int]) -> None:
    first, second, classes = unit_rows(6, 4), unit_rows(6, 4, seed=1), torch.tensor(labels)
    expected = slow_supcon(first, second, classes, 0.07)
    assert float(supervised_contrastive(first, second, classes, 0.07)) == pytest.approx(expected, rel=1e-5)


def test_supcon_of_single_samples_is_info_nce() -> None:
    first, second = unit_rows(5, 4), unit_rows(5, 4, seed=1)
    together = supervised_contrastive(first, second, torch.arange(5), 0.5)
    assert float(together) == pytest.approx(float(info_nce(first, second, 0.5)), rel=1e-6)


def test_gcd_weighs_both_losses_on_the_heads_output() -> None:
    config = kinds.SupConInfoNCE(supervised_weight=0.35, head_hidden=16, head_bottleneck=8, head_out=32)
    objective = SupConInfoNCE(config, dim=6, n_known=3)
    first, second = torch.randn(8, 6), torch.randn(8, 6)
    labels = torch.tensor([0, -1, 1, -1, 0, -1, 2, -1])
    loss, parts = objective([first, second], labels)

    z1, z2 = F.normalize(objective.head(first), dim=1), F.normalize(objective.head(second), dim=1)
    labelled = labels >= 0
    unsupervised = slow_info_nce(z1, z2, 1.0)
    supervised = slow_supcon(z1[labelled], z2[labelled], labels[labelled], 0.07)
    assert float(loss.detach()) == pytest.approx(0.65 * unsupervised + 0.35 * supervised, rel=1e-4)
    assert float(parts["infonce"]) == pytest.approx(unsupervised, rel=1e-4)
    assert float(parts["supcon"]) == pytest.approx(supervised, rel=1e-4)


def test_gcd_trains_on_a_batch_without_labels() -> None:
    config = kinds.SupConInfoNCE(supervised_weight=1.0, head_hidden=16, head_bottleneck=8, head_out=32)
    objective = SupConInfoNCE(config, dim=6, n_known=3)
    loss, _ = objective([torch.randn(4, 6), torch.randn(4, 6)], torch.full((4,), -1))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert all(p.grad is not None and bool((p.grad == 0).all()) for p in objective.parameters())


def test_dino_head_gives_cosines_with_unit_prototypes() -> None:
    head = DinoHead(6, hidden=16, bottleneck=4, out=10, layers=3)
    features = torch.randn(5, 6)
    inner = head.mlp(features)
    assert inner.shape == (5, 4)
    for row in range(5):
        for column in range(10):
            cosine = F.cosine_similarity(inner[row], head.prototypes[column], dim=0)
            assert float(head(features)[row, column].detach()) == pytest.approx(float(cosine.detach()), abs=1e-6)
    assert kinds.SupConInfoNCE().head_out == 65536


def test_cross_entropy_by_hand() -> None:
    objective = CrossEntropy(kinds.CrossEntropy(), dim=2, n_known=2)
    objective.classifier.weight.data = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    objective.classifier.bias.data.zero_()
    loss, parts = objective([torch.tensor([[2.0, 0.0], [2.0, 0.0]])], torch.tensor([0, 1]))
    right, wrong = math.log(1 + math.exp(-2)), math.log(1 + math.exp(2))
    assert float(loss.detach()) == pytest.approx((right + wrong) / 2, rel=1e-6)
    assert float(parts["accuracy"]) == 0.5


def test_normalized_softmax_sees_directions_only() -> None:
    objective = NormalizedSoftmax(kinds.NormalizedSoftmax(scale=3.0), dim=2, n_known=2)
    objective.weight.data = torch.tensor([[5.0, 0.0], [0.0, 0.1]])
    loss, _ = objective([torch.tensor([[1.0, 1.0], [0.0, 7.0]])], torch.tensor([0, 1]))
    # At 45° both cosines are equal; along the second axis they are 0 and 1, times the scale.
    assert float(loss.detach()) == pytest.approx((math.log(2) + math.log(1 + math.exp(-3))) / 2, rel=1e-5)


def test_simclr_is_nt_xent_of_its_head() -> None:
    objective = SimCLR(kinds.SimCLR(temperature=0.5, head_hidden=8, head_out=4), dim=6, n_known=3)
    first, second = torch.randn(5, 6), torch.randn(5, 6)
    loss, _ = objective([first, second], torch.full((5,), -1))
    z1, z2 = F.normalize(objective.head(first), dim=1), F.normalize(objective.head(second), dim=1)
    assert float(loss.detach()) == pytest.approx(slow_info_nce(z1, z2, 0.5), rel=1e-5)
