"""What `selection: oracle` scores an epoch by: the true classes of the pool."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toytraining import blobs, make_job

from ncdcli.data.samples import Samples
from ncdcli.errors import DataError
from ncdcli.models.backbone import Backbone
from ncdcli.models.kinds import Mlp
from ncdcli.objectives.kinds import PretrainConfig, SimCLR
from ncdcli.training.oracle import Oracle
from ncdcli.training.selection import epoch_scores, is_best

CPU = torch.device("cpu")


def pool(tmp_path: Path, *, names: tuple[str, ...] = ("a", "b", "c"), setting: str = "gcd") -> tuple[Any, Oracle]:
    """Three classes far apart, the third of them novel; the first two thirds of the rows are the pool."""
    _, classes = blobs()
    vectors = (np.eye(3, 12)[classes] * 50 + np.random.default_rng(0).normal(size=(90, 12))).astype(np.float32)
    job = make_job(
        tmp_path, PretrainConfig(objective=SimCLR(head_hidden=8, head_out=4)), backbone=Mlp(hidden=(), dim=12)
    )
    job = replace(job, source=type(job.source)(vectors, "tables"))
    roles = np.where(np.arange(90) < 60, "unlabelled", "labelled")
    labels = np.where(roles == "labelled", np.minimum(classes, 1), -1)
    samples = Samples(tuple(map(str, range(90))), roles, labels, ("a", "b"), setting)
    truth = tmp_path / "truth.csv"
    truth.write_text("row,class\n" + "".join(f"{row},{names[number]}\n" for row, number in enumerate(classes)))
    return job, Oracle.of(job.source, samples, truth, job.stream)


def test_without_a_classifier_clusters_of_embeddings_are_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, oracle = pool(tmp_path)
    monkeypatch.setattr(type(job.backbone), "forward", lambda self, inputs: inputs)
    assert list(oracle.rows) == list(range(60))
    assert oracle.accuracy(job.backbone, job.objective, CPU) == 1.0
    wrong = replace(oracle, classes=np.roll(oracle.classes, 1)[np.random.default_rng(1).permutation(60)])
    assert wrong.accuracy(job.backbone, job.objective, CPU) < 0.7


def test_rows_that_nobody_knows_are_left_out(tmp_path: Path) -> None:
    _, oracle = pool(tmp_path, names=("a", "b", ""))
    assert len(oracle.rows) == 40
    with pytest.raises(DataError, match="nobody knows"):
        pool(tmp_path, names=("", "", ""))


def test_scoring_draws_the_same_every_time(tmp_path: Path) -> None:
    job, oracle = pool(tmp_path)
    assert isinstance(job.backbone, Backbone)
    found = {oracle.accuracy(job.backbone, job.objective, CPU) for _ in range(3)}
    assert len(found) == 1


def test_only_who_asks_gets_the_score(tmp_path: Path) -> None:
    job, oracle = pool(tmp_path)
    assert set(epoch_scores(job, CPU)) == {"held_out_known_accuracy"}
    assert set(epoch_scores(replace(job, oracle=oracle), CPU)) == {"held_out_known_accuracy", "oracle_accuracy"}


@pytest.mark.parametrize(
    ("selection", "best", "taken"),
    [
        ("last", {}, False),
        ("known-val", {}, True),
        ("known-val", {"accuracy": 0.9}, True),
        ("known-val", {"accuracy": 0.91}, False),
        ("oracle", {"accuracy": 0.3}, True),
        ("oracle", {"accuracy": 0.4}, False),
    ],
)
def test_each_rule_looks_at_its_own_score(selection: str, best: dict[str, float], taken: bool) -> None:
    record = {"epoch": 3, "held_out_known_accuracy": 0.9, "oracle_accuracy": 0.3}
    assert is_best(record, best, selection) == taken
