"""Which novel class a sample belongs to must change nothing before `evaluate`, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ncdcli.cli.main import main
from ncdcli.data.packaged import SklearnDigits
from ncdcli.data.sources import Listing
from ncdcli.recipe.resolve import load_recipe
from ncdcli.run.manifest import Manifest
from ncdcli.shipped import shipped_recipes

SCORING_ONLY = {"split/truth.csv"}
JOINT = [name for name in shipped_recipes() if name.startswith("digits-") and load_recipe(name).recipe.joint_training]
STAGES = ("split", "pretrain", "embed", "estimate_k", "joint_training", "cluster", "evaluate")
TIMES = {"manifest.json", "timing.jsonl"}
SHORTER = {  # what methods do beside their epochs
    "pim": ["joint_training.method.search_steps=20", "joint_training.method.restarts=2"],
    "kcl": ["joint_training.method.pair_epochs=2"],
    "mcl": ["joint_training.method.pair_epochs=2"],
}
FAST = [
    word
    for field in (
        "pretrain.epochs=2",
        "estimate_k.high=12",
        "estimate_k.restarts=2",
        "cluster.restarts=2",
    )
    for word in ("--set", field)
]


def artefacts(run: Path) -> dict[str, bytes]:
    """Every file that a stage before `evaluate` wrote, but for the two that hold times."""
    files = [path for stage in STAGES[:-1] for path in (run / stage).rglob("*") if path.name not in TIMES]
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


def ncd(*words: str) -> None:
    """All stages but the report; how steady a clustering is, is not asked: that is `evaluate`'s, and takes longest."""
    with pytest.raises(SystemExit) as end:
        main([*words, "--set", "evaluate.stability_seeds=0", "--until", "evaluate", "--quiet"])
    assert end.value.code == 0


def scrambled(classes: list[str], known: set[str]) -> list[str]:
    """The same classes with those of novel samples shuffled among novel samples."""
    novel = [row for row, name in enumerate(classes) if name not in known]
    shuffled = np.random.default_rng(7).permutation(novel)
    result = list(classes)
    for row, other in zip(novel, shuffled, strict=True):
        result[row] = classes[other]
    return result


def assert_same_but_scores(first: Path, second: Path) -> None:
    before, after = artefacts(first), artefacts(second)
    assert before.keys() == after.keys()
    assert {"pretrain/metrics.jsonl", "embed/embeddings.npy", "cluster/assignments.csv"} <= before.keys()
    assert [name for name in before if before[name] != after[name]] == sorted(SCORING_ONLY)
    assert (first / "evaluate/metrics.json").read_bytes() != (second / "evaluate/metrics.json").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "rule", "counting"),
    [
        ("digits-gcd", "uniform", "max_acc"),
        ("digits-gcd", "stratified", "silhouette"),
        ("digits-gcd", "seed0", "max_acc"),
        ("digits-ncd", "uniform", "max_acc"),
        ("digits-ncd", "uniform", "silhouette"),
    ],
)
def test_images(recipe: str, rule: str, counting: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = [f"data.labelled_rule={rule}", f"estimate_k.kind={counting}", "data.subset=600", "backbone.widths=[8,16]"]
    run_both([recipe, *FAST, *(word for field in fields for word in ("--set", field))], tmp_path, monkeypatch)


@pytest.mark.parametrize(
    "recipe", [pytest.param(name, marks=() if name == "digits-simgcd" else pytest.mark.slow) for name in JOINT]
)
def test_joint_methods(recipe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = ["data.subset=240", "backbone.widths=[8,16]", "pretrain.epochs=1", "joint_training.epochs=2"]
    fields += SHORTER.get(recipe.removeprefix("digits-"), [])
    run_both([recipe, *(word for field in fields for word in ("--set", field))], tmp_path, monkeypatch)
    method = load_recipe(recipe).recipe.joint_training.method  # type: ignore[union-attr]
    assert (tmp_path / "true/run/joint_training/logits.npy").is_file() == method.classifies


def run_both(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a recipe on digits with the true labels, and with those of novel classes shuffled, and compare."""
    assert_same_but_scores(*run_true_and_scrambled(words, tmp_path, monkeypatch))


def run_true_and_scrambled(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Two runs of a recipe on digits: with the true labels, and with those of novel classes shuffled."""
    ncd("run", *words, "--run", str(tmp_path / "true" / "run"))

    honest = SklearnDigits.listing

    def listing(self: SklearnDigits) -> Listing:
        found = honest(self)
        return replace(found, classes=tuple(scrambled(list(found.classes), set("01234"))))  # type: ignore[arg-type]

    monkeypatch.setattr(SklearnDigits, "listing", listing)
    ncd("run", *words, "--run", str(tmp_path / "scrambled" / "run"))
    return tmp_path / "true" / "run", tmp_path / "scrambled" / "run"


@pytest.mark.parametrize("section", ["pretrain", "joint_training"])
def test_the_oracle_alone_reads_novel_labels_and_is_stamped(
    section: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What holds for every other rule does not for this one, from the stage that asks for it on and not before."""
    fields = [
        "data.subset=240", "backbone.widths=[8,16]", "pretrain.epochs=1", "joint_training.epochs=2",
        f"{section}.selection=oracle",
    ]  # fmt: skip
    words = ["digits-simgcd", *(word for field in fields for word in ("--set", field))]
    runs = run_true_and_scrambled(words, tmp_path, monkeypatch)
    before, after = map(artefacts, runs)
    changed = {name for name in before if before[name] != after[name]}
    assert f"{section}/metrics.jsonl" in changed
    assert all(name.split("/")[0] != "pretrain" for name in changed) == (section == "joint_training")
    assert {name for name in changed if name.startswith("split/")} == SCORING_ONLY
    for run in runs:
        given = [stage for stage in STAGES if "split/truth.csv" in Manifest.read(run / stage).inputs]
        assert given == [section, "evaluate"]
        assert json.loads((run / "evaluate/metrics.json").read_text())["selection"] == "oracle"


RECIPE = """\
version: 1
name: own
data:
  source: {source}
  known_classes: {known}
  validation_fraction: 0.2
backbone: {{kind: mlp, hidden: [16], dim: 8}}
pretrain:
  objective: {{kind: supcon_infonce, head_hidden: 16, head_bottleneck: 8, head_out: 32}}
  selection: known-val
  augment: {{noise: 0.1}}
estimate_k: {{kind: {counting}}}
"""
KNOWN = ["0", "1", "2"]
LISTED = '["0", "1", "2"]'


def blobs() -> tuple[np.ndarray, list[str]]:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(6), 50)[rng.permutation(300)]
    return rng.normal(size=(6, 5))[labels] * 4 + rng.normal(size=(300, 5)), [str(label) for label in labels]


def write_table(folder: Path, points: np.ndarray, classes: list[str]) -> tuple[str, str]:
    rows = [",".join([*(f"{value:.6f}" for value in point), name]) for point, name in zip(points, classes, strict=True)]
    (folder / "data.csv").write_text("\n".join(["a,b,c,d,e,class", *rows]) + "\n")
    return "{kind: table, train: data.csv, label: class}", LISTED


def write_embeddings(folder: Path, points: np.ndarray, classes: list[str]) -> tuple[str, str]:
    np.save(folder / "x.npy", points)
    (folder / "y.csv").write_text("\n".join(["class", *classes]) + "\n")
    return "{kind: embeddings, train: x.npy, labels: y.csv}", LISTED


def write_own_pool(folder: Path, points: np.ndarray, classes: list[str]) -> tuple[str, str]:
    """The user's own data: every other known sample carries a label, and the truth of all lies in a file of its own."""
    np.save(folder / "x.npy", points)
    labels = [name if name in KNOWN and row % 2 else "" for row, name in enumerate(classes)]
    (folder / "y.csv").write_text("\n".join(["class", *(f'"{name}"' for name in labels)]) + "\n")
    (folder / "truth.csv").write_text("\n".join(["class", *classes]) + "\n")
    return "{kind: embeddings, train: x.npy, labels: y.csv, truth: truth.csv}", "null"


@pytest.mark.parametrize(
    ("write", "counting"),
    [(write_table, "silhouette"), (write_embeddings, "max_acc"), (write_own_pool, "silhouette")],
)
def test_tables_and_embeddings(
    write: Callable[[Path, np.ndarray, list[str]], tuple[str, str]], counting: str, tmp_path: Path
) -> None:
    points, classes = blobs()
    runs = []
    for name, labels in (("true", classes), ("scrambled", scrambled(classes, set(KNOWN)))):
        folder = tmp_path / name
        folder.mkdir()
        source, known = write(folder, points, labels)
        (folder / "recipe.yaml").write_text(RECIPE.format(source=source, known=known, counting=counting))
        ncd("run", str(folder / "recipe.yaml"), *FAST, "--run", str(folder / "run"))
        runs.append(folder / "run")
    assert_same_but_scores(*runs)
