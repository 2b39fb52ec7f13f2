"""What the `joint_training` stage writes, and what the stages after it make of it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from ncdcli.clustering.kinds import Head
from ncdcli.counting.kinds import Fixed
from ncdcli.data.samples import Samples
from ncdcli.data.sources import ImageInputs
from ncdcli.errors import DataError, RecipeError
from ncdcli.joint.kinds import JointTrainingConfig, SimGCD
from ncdcli.models.backbone import InputSpec
from ncdcli.models.build import build_backbone
from ncdcli.models.embedder import load_embedder
from ncdcli.models.kinds import Mlp, SmallCnn
from ncdcli.objectives.kinds import Augment, NoObjective, PretrainConfig
from ncdcli.pipeline.context import Resources, SilentProgress, StageContext, stage_stream
from ncdcli.recipe.schema import EmbedConfig, EvaluateConfig
from ncdcli.stages import cluster, estimate_k, evaluate
from ncdcli.stages.embed import embed
from ncdcli.stages.joint_training import check_selection, freeze_anew, train_jointly
from ncdcli.stages.pretrain import pretrain

torch.set_num_threads(1)
CPU = Resources("cpu")
ROLES = ["labelled", "labelled", "validation", "unlabelled", "test"]


def make_samples(setting: str) -> tuple[Samples, Any, Any]:
    """Four kinds of pictures, each bright in another corner; the first two are known."""
    rng = np.random.default_rng(0)
    classes = np.repeat(np.arange(4), 10)
    pixels = rng.integers(0, 60, (40, 8, 8, 1), dtype=np.uint8)
    for row, c in enumerate(classes):
        pixels[row, 4 * (c // 2) : 4 * (c // 2) + 4, 4 * (c % 2) : 4 * (c % 2) + 4] += 180
    roles = np.array(ROLES * 8)
    roles[(classes >= 2) & (roles != "test")] = "unlabelled"
    if setting == "ncd":
        roles[(classes < 2) & (roles == "unlabelled")] = "labelled"
    labels = np.where(np.isin(roles, ["labelled", "validation"]), classes, -1)
    return Samples(tuple(map(str, range(40))), roles, labels, ("ant", "bee"), setting), classes, pixels


class Run:
    """A run folder, taken from the split to the clusters."""

    def __init__(self, folder: Path, *, setting: str = "gcd", resources: Resources = CPU, pixels: Any = None) -> None:
        self.folder, self.resources = folder, resources
        self.samples, self.classes, own = make_samples(setting)
        self.inputs = ImageInputs(own if pixels is None else pixels, channels=1)
        for name in ("split", "pretrain", "embed", "estimate_k", "joint_training", "cluster", "evaluate"):
            (folder / name).mkdir(parents=True)
        self.samples.write(folder / "split")
        backbone: Any = SimpleNamespace(
            backbone=SmallCnn(widths=(4, 8), dim=6), pretrain=PretrainConfig(objective=NoObjective())
        )
        pretrain(self.context("pretrain"), backbone, self.samples, self.inputs)
        embed(self.context("embed"), EmbedConfig(), self.inputs)
        estimate_k.run(self.context("estimate_k"), SimpleNamespace(estimate_k=Fixed(k=4)))

    def context(self, stage: str) -> StageContext:
        files = [path for path in self.folder.rglob("*.*") if path.parent.name != stage]
        inputs = {str(path.relative_to(self.folder)): path for path in files}
        return StageContext(inputs, self.folder / stage, stage_stream(0, stage), self.resources, SilentProgress())

    def train(self, **fields: Any) -> Run:
        small: Any = {
            "method": SimGCD(projector_hidden=8, projector_out=4, projector_layers=2),
            "epochs": 2,
            "batch_size": 16,
            "augment": Augment(shift=0.1),
        }
        train_jointly(self.context("joint_training"), JointTrainingConfig(**small | fields), self.samples, self.inputs)
        return self

    def write_truth(self) -> Run:
        names = ("ant", "bee", "cat", "dog")
        lines = [f"{row},{names[number]}" for row, number in enumerate(self.classes)]
        (self.folder / "split/truth.csv").write_text("\n".join(["row,class", *lines]) + "\n")
        return self

    def array(self, name: str) -> Any:
        return np.load(self.folder / "joint_training" / f"{name}.npy")

    def bytes(self) -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in (self.folder / "joint_training").iterdir() if p.name != "timing.jsonl"}

    def finish(self) -> Any:
        cluster.run(self.context("cluster"), SimpleNamespace(cluster=Head()))
        evaluate.run(self.context("evaluate"), SimpleNamespace(evaluate=EvaluateConfig()))
        return json.loads((self.folder / "evaluate/metrics.json").read_text())


def test_files_and_what_model_json_says(tmp_path: Path) -> None:
    run = Run(tmp_path).train()
    assert run.array("embeddings").shape == (40, 6)
    assert np.linalg.norm(run.array("embeddings"), axis=1) == pytest.approx(np.ones(40), rel=1e-5)
    assert run.array("logits").shape == (40, 4)
    assert len((tmp_path / "joint_training/metrics.jsonl").read_text().splitlines()) == 2
    card = json.loads((tmp_path / "joint_training/model.json").read_text())
    assert card["training"]["method"] == "simgcd"
    assert card["training"]["selection"] == "last"
    assert (card["joint"]["k"], card["joint"]["n_known"], card["joint"]["setting"]) == (4, 2, "gcd")
    weights = load_file(tmp_path / "joint_training/model.safetensors")
    assert [name for name in weights if name.startswith("joint.")] == ["joint.head.weight"]
    assert "joint" not in json.loads((tmp_path / "pretrain/model.json").read_text())


def test_it_goes_on_from_the_pretrained_weights(tmp_path: Path) -> None:
    config = JointTrainingConfig(method=SimGCD()).optimizer.model_copy(update={"lr": 1e-12, "weight_decay": 0.0})
    run = Run(tmp_path).train(optimizer=config, epochs=1)
    before = load_file(tmp_path / "pretrain/model.safetensors")
    after = load_file(tmp_path / "joint_training/model.safetensors")
    learnt = [name for name in before if "running" not in name and "tracked" not in name]
    assert all(torch.allclose(before[name], after[name], atol=1e-8) for name in learnt)
    assert run.array("logits").shape == (40, 4)


@pytest.mark.parametrize(("blocks", "moved"), [(0, ()), (1, ("blocks.4", "blocks.5", "project")), ("all", None)])
def test_only_the_last_blocks_are_trained(tmp_path: Path, blocks: Any, moved: Any) -> None:
    Run(tmp_path).train(train_last_blocks=blocks, epochs=1)
    before = load_file(tmp_path / "pretrain/model.safetensors")
    after = load_file(tmp_path / "joint_training/model.safetensors")
    changed = {name.rpartition(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == ({name.rpartition(".")[0] for name in before} if moved is None else set(moved))


def test_a_backbone_without_so_many_blocks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"`joint_training.train_last_blocks` is 3, and `small_cnn` has 2 blocks"):
        Run(tmp_path).train(train_last_blocks=3)
    with pytest.raises(RecipeError, match="`mlp` has no list of blocks"):
        freeze_anew(build_backbone(Mlp(), InputSpec("tables", (4,))), 1, name="mlp")


def test_new_samples_are_classified_as_those_of_the_run(tmp_path: Path) -> None:
    run = Run(tmp_path).train()
    embedder = load_embedder(tmp_path / "joint_training/model.json", CPU)
    arrays = embedder.arrays(ImageInputs(run.inputs.array[5:9], channels=1), SilentProgress())
    np.testing.assert_allclose(arrays["logits"], run.array("logits")[5:9], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(arrays["embeddings"], run.array("embeddings")[5:9], rtol=1e-4, atol=1e-5)


def test_the_same_seed_gives_the_same_bytes_and_test_pixels_have_no_say(tmp_path: Path) -> None:
    first = Run(tmp_path / "a").train()
    assert first.bytes() == Run(tmp_path / "b").train().bytes()
    other = np.array(first.inputs.array)
    other[first.samples.rows("test")] = 0
    changed = Run(tmp_path / "c", pixels=other).train()
    assert first.bytes()["model.safetensors"] == changed.bytes()["model.safetensors"]


@pytest.mark.parametrize("setting", ["gcd", "ncd"])
def test_the_head_answers_for_every_role(tmp_path: Path, setting: str) -> None:
    run = Run(tmp_path, setting=setting).train()
    metrics = run.finish()
    logits, samples = run.array("logits"), run.samples
    table = np.genfromtxt(tmp_path / "cluster/assignments.csv", delimiter=",", names=True, dtype=None, encoding="utf-8")
    best, novel = logits.argmax(1), logits[:, 2:].argmax(1) + 2
    labelled, pool, test = (samples.rows(role) for role in ("labelled", "unlabelled", "test"))
    np.testing.assert_array_equal(table["cluster"][labelled], samples.labels[labelled])
    np.testing.assert_array_equal(table["cluster"][test], best[test])
    np.testing.assert_array_equal(table["cluster"][pool], (novel if setting == "ncd" else best)[pool])
    if setting == "ncd":
        validation = samples.rows("validation")
        np.testing.assert_array_equal(table["task_aware"][validation], logits[validation, :2].argmax(1))
        np.testing.assert_array_equal(table["task_aware"][test], novel[test])
        np.testing.assert_array_equal(table["task_agnostic"][pool], best[pool])
    assert metrics["selection"] == "last"
    assert metrics["stability"] is None
    assert any(item["what"] == "stability" for item in metrics["not_available"])
    assert np.load(tmp_path / "cluster/centroids.npy").shape == (4, 6)


def test_held_out_known_rows_are_no_part_of_an_ncd_training(tmp_path: Path) -> None:
    run = Run(tmp_path, setting="ncd").train()
    record = json.loads((tmp_path / "joint_training/metrics.jsonl").read_text().splitlines()[0])
    assert record["samples"] == len(run.samples.rows("labelled", "unlabelled"))
    assert "held_out_known_accuracy" in record


@pytest.mark.parametrize(
    ("selection", "scorer", "score"),
    [
        ("known-val", "heldout.HeldOut", "held_out_known_accuracy"),
        ("oracle", "oracle.Oracle", "oracle_accuracy"),
    ],
)
def test_the_best_epoch_keeps_backbone_and_head(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, selection: str, scorer: str, score: str
) -> None:
    constant = {"schedule": {"kind": "constant"}}
    short = Run(tmp_path / "short").train(epochs=1, **constant)
    accuracies = iter([0.9, 0.1])
    monkeypatch.setattr(f"ncdcli.training.{scorer}.accuracy", lambda *_: next(accuracies))
    best = Run(tmp_path / "best").write_truth().train(epochs=2, selection=selection, **constant)
    assert short.bytes()["model.safetensors"] == best.bytes()["model.safetensors"]
    assert short.bytes()["logits.npy"] == best.bytes()["logits.npy"]
    written = tmp_path / "best/joint_training"
    card = json.loads((written / "model.json").read_text())
    assert (card["training"]["chosen_epoch"], card["training"]["selection"]) == (1, selection)
    records = [json.loads(line) for line in (written / "metrics.jsonl").read_text().splitlines()]
    assert [record[score] for record in records] == [0.9, 0.1]
    assert ("oracle_accuracy" in records[0]) == (selection == "oracle")
    assert best.finish()["selection"] == selection


@pytest.mark.parametrize(("setting", "protocol"), [("gcd", "gcd_v2"), ("ncd", "ncd_task_aware")])
def test_the_oracle_sees_the_score_of_the_last_epoch(tmp_path: Path, setting: str, protocol: str) -> None:
    """The answers of a classifier are scored as `evaluate` does it afterwards."""
    run = Run(tmp_path, setting=setting).write_truth().train(epochs=1, selection="oracle")
    record = json.loads((tmp_path / "joint_training/metrics.jsonl").read_text())
    assert record["oracle_accuracy"] == pytest.approx(run.finish()[protocol]["unlabelled"]["all"])


def test_the_oracle_needs_the_truth(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nobody knows any of them") as caught:
        Run(tmp_path).train(selection="oracle")
    assert "selection: last" in caught.value.hint


def test_selection_needs_held_out_samples() -> None:
    samples = Samples(("a",), np.array(["labelled"]), np.array([0]), ("ant",), "gcd")
    with pytest.raises(RecipeError, match="selection: known-val"):
        check_selection(JointTrainingConfig(method=SimGCD(), selection="known-val"), samples)


@pytest.mark.usefixtures("quick_processes")
def test_two_processes_give_the_weights_of_one(tmp_path: Path) -> None:
    one = Run(tmp_path / "one").train()
    two = Run(tmp_path / "two")
    two.resources = Resources("cpu", processes=2)
    two.train()
    np.testing.assert_allclose(two.array("logits"), one.array("logits"), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(two.array("embeddings"), one.array("embeddings"), rtol=1e-3, atol=1e-3)
