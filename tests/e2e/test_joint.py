"""A run with joint training as a user sees it: commands, plan, status, curves, new samples."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from finished import finish

STAGES = ["split", "pretrain", "embed", "estimate_k", "joint_training", "cluster", "evaluate", "report"]
PLAIN = """\
version: 1
name: plain
data: {source: {kind: embeddings, train: x.npy, labels: y.csv, truth: truth.csv}}
backbone: {kind: mlp, hidden: [16], dim: 8}
pretrain:
  objective: {kind: supcon_infonce, head: mlp, head_hidden: 16, head_out: 8, head_layers: 2}
  epochs: 10
  augment: {noise: 0.5}
estimate_k: {kind: fixed, k: 4}
report: {map: pca}
"""
JOINT = """\
extends: plain.yaml
name: joint
joint_training:
  method: {kind: simgcd, projector_hidden: 16, projector_out: 8, projector_layers: 2}
  epochs: 15
  batch_size: 64
  optimizer: {lr: 5e-3}
  augment: {noise: 0.5}
cluster: {kind: head}
"""
Ncd = Callable[..., tuple[int, str, str]]
CENTRES = 8 * np.eye(4, 6)


def write_data(folder: Path) -> None:
    """160 embeddings around 4 centres; half of the labels of two classes."""
    rng = np.random.default_rng(0)
    classes = np.repeat(np.arange(4), 40)
    np.save(folder / "x.npy", (CENTRES[classes] + rng.normal(size=(160, 6))).astype(np.float32))
    labels = [f"class{label}" if label < 2 and row % 2 else "" for row, label in enumerate(classes)]
    (folder / "y.csv").write_text("\n".join(["class", *(f'"{label}"' for label in labels)]) + "\n")
    (folder / "truth.csv").write_text("\n".join(["class", *(f"class{label}" for label in classes)]) + "\n")
    (folder / "plain.yaml").write_text(PLAIN)
    (folder / "joint.yaml").write_text(JOINT)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, recipes and a finished run of `joint.yaml`."""
    folder = tmp_path_factory.mktemp("joint")
    write_data(folder)
    return finish(folder, "joint.yaml")


@pytest.fixture
def ncd(finished: Path, run_ncd: Ncd, tmp_path: Path) -> Ncd:
    """Runs a command in a copy of the finished folder."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return run_ncd


def test_the_classes_are_found(ncd: Ncd) -> None:
    metrics = json.loads(Path("runs/joint/evaluate/metrics.json").read_text())
    assert metrics["gcd_v2"]["unlabelled"]["all"] > 0.95
    assert metrics["known_accuracy"]["unlabelled"]["known"] > 0.95
    assert json.loads(Path("runs/joint/cluster/clustering.json").read_text())["kind"] == "head"


def test_status_show_and_runs_know_the_stage(ncd: Ncd) -> None:
    stages = json.loads(ncd("status", "joint", "--json")[1])["stages"]
    assert [(stage["stage"], stage["state"]) for stage in stages] == [(stage, "done") for stage in STAGES]
    shown = json.loads(ncd("show", "joint", "--json")[1])
    assert [stage["stage"] for stage in shown["stages"]] == STAGES
    assert {"loss", "infonce", "joint_training/loss", "joint_training/memax"} <= set(shown["training"])
    assert "joint_training/distillation" in ncd("show", "joint")[1]
    assert "8/8" in ncd("runs")[1]
    assert "joint_training/memax" in Path("runs/joint/report/report.html").read_text()


def test_its_embeddings_can_be_clustered_otherwise(ncd: Ncd) -> None:
    code, out, err = ncd("run", "joint.yaml", "--set", "cluster.kind=semi_kmeans", "--quiet", "--json")
    assert code == 0, err
    found = {stage["stage"]: stage["action"] for stage in json.loads(out)["stages"]}
    assert (found["joint_training"], found["cluster"]) == ("keep", "run")
    assert json.loads(out)["metrics"]["gcd_v2"]["unlabelled"]["all"] > 0.95


def test_a_recipe_without_it_shares_what_comes_before_and_has_no_such_stage(ncd: Ncd) -> None:
    plan = json.loads(ncd("run", "plain.yaml", "--dry-run", "--json")[1])["plan"]
    assert [decision["stage"] for decision in plan] == [stage for stage in STAGES if stage != "joint_training"]
    assert [decision["action"] for decision in plan[:4]] == ["reuse"] * 4
    code, _, err = ncd("joint-training", "plain.yaml")
    assert code == 2
    assert "this recipe has no stage `joint_training`" in err
    assert ncd("run", "plain.yaml", "--quiet")[0] == 0
    assert "7/7" in ncd("runs")[1]
    assert "joint_training" not in Path("runs/plain/recipe.yaml").read_text()


def test_the_stage_has_a_command_of_its_own(ncd: Ncd) -> None:
    shutil.rmtree("runs/joint/joint_training")
    code, out, err = ncd("joint-training", "joint", "--quiet", "--json")
    assert code == 0, err
    assert [stage["stage"] for stage in json.loads(out)["stages"]] == ["joint_training"]
    assert ncd("joint-training", "joint", "--force", "joint-training", "--dry-run")[0] == 0


def test_new_samples_go_to_the_likeliest_class(ncd: Ncd) -> None:
    np.save("new.npy", CENTRES.astype(np.float32))
    code, out, err = ncd("predict", "joint", "--input", "new.npy", "--json")
    assert code == 0, err
    rows = list(csv.DictReader(Path("runs/joint/predictions/new.csv").read_text().splitlines()))
    assert [row["match"] for row in rows] == ["class0", "class1", "novel", "novel"]
    assert [row["cluster"] for row in rows[:2]] == ["0", "1"]
    assert {row["cluster"] for row in rows[2:]} == {"2", "3"}
    assert all(0.5 < float(row["margin"]) <= 1 for row in rows)
    assert json.loads(out)["samples"] == 4


def test_a_model_of_other_weights_is_refused(ncd: Ncd) -> None:
    np.save("new.npy", CENTRES.astype(np.float32))
    assert ncd("joint-training", "joint", "--set", "joint_training.epochs=1", "--quiet")[0] == 0
    code, _, err = ncd("predict", "joint", "--input", "new.npy")
    assert code == 4
    assert "stage `cluster` was made from an earlier `joint_training`" in err
