"""Objectives that look at their inputs: PBN and VIME."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from ncdcli.models.backbone import InputSpec
from ncdcli.models.build import build_backbone
from ncdcli.models.kinds import Mlp
from ncdcli.objectives import kinds
from ncdcli.objectives.pbn import Pbn
from ncdcli.objectives.vime import Vime

LABELS = torch.tensor([0, -1, 2, 1, -1, 0])


def parts(config: Any, seed: int = 0) -> tuple[Any, Any, torch.Tensor]:
    torch.manual_seed(seed)
    backbone = build_backbone(Mlp(hidden=(0.75, 0.5), dim=3), InputSpec("tables", (8,)))
    kind = Pbn if config.kind == "pbn" else Vime
    return backbone, kind.build(config, backbone, n_known=3), torch.randn(6, 8)


@pytest.mark.parametrize("latent_norm", ["l2", "none"])
@pytest.mark.parametrize("recon", ["sum", "mean"])
def test_pbn_is_its_definition(recon: Any, latent_norm: Any) -> None:
    """One row at a time: cross-entropy over the labelled rows, squared errors over all."""
    backbone, objective, rows = parts(kinds.Pbn(supervised_weight=0.3, recon=recon, latent_norm=latent_norm))
    objective.eval()
    embeddings = backbone.eval()(rows)
    loss, logged = objective([embeddings], LABELS, [rows], [rows])
    entropies, errors = [], []
    for row, embedding, label in zip(rows, embeddings, LABELS.tolist(), strict=True):
        latent = embedding / embedding.norm() if latent_norm == "l2" else embedding
        scores = objective.classifier(latent).tolist()
        if label >= 0:
            entropies.append(math.log(sum(map(math.exp, scores))) - scores[label])
        restored = objective.decoder(latent[None])[0]
        squares = [(a - b) ** 2 for a, b in zip(restored.tolist(), row.tolist(), strict=True)]
        errors.append(sum(squares) / (1 if recon == "sum" else 8))
    supervised, reconstruction = sum(entropies) / 4, sum(errors) / 6
    assert float(logged["cross_entropy"]) == pytest.approx(supervised, rel=1e-5)
    assert float(logged["reconstruction"]) == pytest.approx(reconstruction, rel=1e-5)
    assert float(loss.detach()) == pytest.approx(0.3 * supervised + 0.7 * reconstruction, rel=1e-5)


def test_pbn_trains_on_a_batch_without_labels() -> None:
    backbone, objective, rows = parts(kinds.Pbn())
    loss, logged = objective([backbone(rows)], torch.full((6,), -1), [rows], [rows])
    loss.backward()
    assert float(logged["cross_entropy"]) == 0
    assert all(bool(p.grad.isfinite().all()) for p in backbone.parameters())


def test_pbn_classifies_what_it_trained() -> None:
    _, objective, _ = parts(kinds.Pbn())
    embeddings = torch.randn(4, 3)
    assert torch.allclose(objective.classify(embeddings), objective.classify(7 * embeddings), atol=1e-6)


def test_a_baseline_of_unit_length_sees_directions_only() -> None:
    from ncdcli.objectives.cross_entropy import CrossEntropy

    objective = CrossEntropy(kinds.CrossEntropy(latent_norm="l2"), dim=3, n_known=3)
    embeddings = torch.randn(4, 3)
    one, other = (objective([scale * embeddings], torch.tensor([0, 1, 2, 0]))[0] for scale in (1, 7))
    assert float(one.detach()) == pytest.approx(float(other.detach()), rel=1e-5)


@pytest.mark.parametrize(("value_weight", "mask_weight"), [(2.0, 1.0), (1.0, 2.0)])
def test_vime_is_its_definition(value_weight: float, mask_weight: float) -> None:
    backbone, objective, rows = parts(kinds.Vime(value_weight=value_weight, mask_weight=mask_weight))
    shown = rows.clone()
    shown[0, 1], shown[3, 7] = 9.0, -9.0
    embeddings = backbone.eval()(shown)
    loss, _ = objective([embeddings], LABELS, [rows], [shown])
    restored, told = objective.values(embeddings).detach(), objective.mask(embeddings).detach()
    squares, entropies = 0.0, 0.0
    for row in range(6):
        for column in range(8):
            squares += float(restored[row, column] - rows[row, column]) ** 2
            chance = 1 / (1 + math.exp(-float(told[row, column])))
            entropies -= math.log(chance if (row, column) in ((0, 1), (3, 7)) else 1 - chance)
    expected = value_weight * squares / 48 + mask_weight * entropies / 48
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)
