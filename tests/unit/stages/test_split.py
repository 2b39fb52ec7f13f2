"""Who plays which role: the field's splits, the user's own roles, and no dependence on novel labels."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from ncdcli.data import packaged
from ncdcli.data.kinds import DataConfig
from ncdcli.data.samples import Samples
from ncdcli.data.sources import Listing
from ncdcli.errors import DataError
from ncdcli.pipeline.context import Resources, SilentProgress, StageContext, stage_stream
from ncdcli.stages import split

FILES = ("samples.csv", "classes.json", "source.json")


def run_split(folder: Path, seed: int = 0, **fields) -> Samples:
    config = DataConfig.model_validate_json(json.dumps({"source": {"kind": "sklearn_digits"}, **fields}))
    folder.mkdir(exist_ok=True, parents=True)
    context = StageContext({}, folder, stage_stream(seed, "split"), Resources(), SilentProgress(), config)
    split.run(context, SimpleNamespace(data=config))
    return Samples.read(folder / "samples.csv", folder / "classes.json")


def fake_listing(monkeypatch, classes, parts=None, order=None):
    """Make the digits reader list other samples."""
    names = tuple(str(name) if name is not None else None for name in classes)
    parts = np.array(parts if parts is not None else ["train"] * len(names))
    order = tuple(order or sorted({name for name in names if name is not None}))
    listing = Listing(tuple(f"k{row}" for row in range(len(names))), names, parts, order)
    monkeypatch.setattr(packaged.SklearnDigits, "listing", lambda self: listing)


def problem_of(raised) -> str:
    return "\n".join(str(problem) for problem in raised.value.problems)


def truth_of(folder: Path) -> list[str]:
    with open(folder / "truth.csv", newline="") as file:
        return [row["class"] for row in csv.DictReader(file)]


def test_gcd_labels_half_of_the_known_digits(tmp_path):
    samples = run_split(tmp_path, known_classes=5)
    known = np.array(truth_of(tmp_path)).astype(int) < 5
    assert len(samples.keys) == 1797
    assert len(samples.rows("labelled")) == round(0.5 * known.sum())
    assert known[samples.rows("labelled")].all()
    assert (~known).sum() == (~known[samples.rows("unlabelled")]).sum() == 896


def test_the_pool_of_the_ncd_setting_is_exactly_the_novel_digits(tmp_path):
    samples = run_split(tmp_path, known_classes=["7", "2", 4], setting="ncd")
    truth = np.array(truth_of(tmp_path))
    assert samples.known == ("7", "2", "4")
    assert set(truth[samples.rows("labelled")]) == {"7", "2", "4"}
    assert set(truth[samples.rows("unlabelled")]) == {"0", "1", "3", "5", "6", "8", "9"}
    assert len(samples.rows("labelled", "unlabelled")) == 1797


def test_labels_of_labelled_rows_are_the_truth_and_others_are_hidden(tmp_path):
    samples = run_split(tmp_path, known_classes=["9", "3"], validation_fraction=0.25)
    truth = truth_of(tmp_path)
    for row in samples.rows("labelled", "validation"):
        assert samples.known[samples.labels[row]] == truth[row]
    assert (samples.labels[samples.rows("unlabelled")] == -1).all()


def test_the_fields_seed_0_half_of_cifar100(tmp_path, monkeypatch):
    # 500 samples of each of 100 classes in a fixed shuffled order; the published picks are positions among the
    # 40,000 known ones (GCD, the first ten of the draw).
    classes = np.random.default_rng(5).permutation(np.repeat(np.arange(100), 500))
    fake_listing(monkeypatch, classes, order=[str(name) for name in range(100)])
    samples = run_split(tmp_path, known_classes=80, labelled_rule="seed0")
    labelled = samples.rows("labelled")
    assert len(labelled) == 20_000
    known_rows = np.flatnonzero(classes < 80)
    published = [12836, 10913, 4214, 8198, 31403, 13917, 27440, 11667, 29616, 39864]
    assert np.isin(known_rows[published], labelled).all()
    # The whole draw, independently: membership among the known ones in dataset order.
    expected = known_rows[np.sort(np.random.RandomState(0).permutation(40_000)[:20_000])]
    np.testing.assert_array_equal(labelled, expected)


def test_another_seed_gives_another_uniform_draw_and_the_same_seed0_draw(tmp_path):
    draws = {
        (rule, seed): run_split(tmp_path / f"{rule}{seed}", seed, known_classes=5, labelled_rule=rule).rows("labelled")
        for rule in ("uniform", "seed0")
        for seed in (0, 1)
    }
    assert not np.array_equal(draws["uniform", 0], draws["uniform", 1])
    np.testing.assert_array_equal(draws["seed0", 0], draws["seed0", 1])


def test_stratified_takes_the_fraction_of_each_class(tmp_path, monkeypatch):
    fake_listing(monkeypatch, ["a"] * 100 + ["b"] * 20 + ["c"] * 2 + ["d"] * 30)
    fields = {"known_classes": ["a", "b", "c"], "labelled_fraction": 0.2, "labelled_rule": "stratified"}
    samples = run_split(tmp_path, **fields)
    counts = np.bincount(samples.labels[samples.rows("labelled")])
    assert counts.tolist() == [20, 4, 1]  # one at least, where the fraction gives none


def test_validation_holds_out_each_class_and_leaves_one_labelled_sample(tmp_path, monkeypatch):
    fake_listing(monkeypatch, ["a"] * 40 + ["b"] * 2 + ["c"] * 10)
    fields = {"known_classes": ["a", "b"], "labelled_fraction": 1.0, "validation_fraction": 0.9}
    samples = run_split(tmp_path, **fields)
    assert np.bincount(samples.labels[samples.rows("validation")]).tolist() == [36, 1]
    assert np.bincount(samples.labels[samples.rows("labelled")]).tolist() == [4, 1]


@pytest.mark.parametrize("setting", ["gcd", "ncd"])
@pytest.mark.parametrize("rule", ["uniform", "stratified", "seed0"])
def test_scrambled_novel_labels_change_nothing_but_the_truth(tmp_path, monkeypatch, setting, rule):
    rng = np.random.default_rng(1)
    classes = rng.integers(0, 10, 400)
    parts = np.where(rng.random(400) < 0.2, "test", "train")
    fields = {
        "known_classes": 4, "setting": setting, "labelled_rule": rule, "subset": 250, "validation_fraction": 0.2,
    }  # fmt: skip
    fake_listing(monkeypatch, classes, parts)
    run_split(tmp_path / "before", **fields)
    scrambled = classes.copy()
    novel = np.flatnonzero(classes >= 4)
    scrambled[novel] = classes[rng.permutation(novel)]
    fake_listing(monkeypatch, scrambled, parts)
    run_split(tmp_path / "after", **fields)
    for name in FILES:
        assert (tmp_path / "before" / name).read_bytes() == (tmp_path / "after" / name).read_bytes()
    assert truth_of(tmp_path / "before") != truth_of(tmp_path / "after")


def test_a_subset_keeps_all_test_samples_and_the_dataset_order(tmp_path, monkeypatch):
    parts = ["test", "train"] * 50
    fake_listing(monkeypatch, [row % 5 for row in range(100)], parts)
    samples = run_split(tmp_path, known_classes=3, subset=20)
    numbers = [int(key[1:]) for key in samples.keys]
    assert numbers[-50:] == list(range(0, 100, 2))
    assert len(numbers) == 70
    assert numbers[:20] == sorted(numbers[:20])
    assert len(samples.rows("test")) == 50


def test_the_users_own_roles_are_kept(tmp_path, monkeypatch):
    fake_listing(
        monkeypatch,
        [None, "cat", "dog", None, "cat", "owl"],
        ["unlabelled", "labelled", "labelled", "unlabelled", "labelled", "unlabelled"],
    )
    samples = run_split(tmp_path, labelled_fraction=0.5)
    assert samples.known == ("cat", "dog")
    assert samples.keys == ("k1", "k2", "k4", "k0", "k3", "k5")
    assert samples.roles.tolist() == ["labelled"] * 3 + ["unlabelled"] * 3
    assert truth_of(tmp_path) == ["cat", "dog", "cat", "", "", "owl"]


def test_without_any_truth_of_the_pool_there_is_no_truth_file(tmp_path, monkeypatch):
    fake_listing(monkeypatch, ["cat", "dog", None], ["labelled", "labelled", "unlabelled"])
    run_split(tmp_path)
    assert not (tmp_path / "truth.csv").exists()


def test_a_labelled_class_that_the_recipe_does_not_name_joins_the_pool(tmp_path, monkeypatch):
    fake_listing(monkeypatch, ["a", "b", "c", None], ["labelled", "labelled", "labelled", "unlabelled"])
    samples = run_split(tmp_path, known_classes=["a", "c"])
    assert dict(zip(samples.keys, samples.roles.tolist(), strict=True))["k1"] == "unlabelled"


def test_the_checksum_follows_the_split(tmp_path):
    run_split(tmp_path / "a", known_classes=5)
    run_split(tmp_path / "b", known_classes=5)
    run_split(tmp_path / "c", seed=1, known_classes=5)
    sums = [json.loads((tmp_path / name / "source.json").read_text())["split_checksum"] for name in "abc"]
    assert sums[0] == sums[1] != sums[2]


@pytest.mark.parametrize(
    ("fields", "message", "hint"),
    [
        ({"known_classes": 1}, "1 known class: too few", "at least two"),
        ({"known_classes": 10}, "all classes are known", "fewer than 10"),
        ({"known_classes": 11}, "11 known classes of 10", "classes: `0`"),
        ({"known_classes": [0, 10]}, "no class `10`", "positions run from 0 to 9"),
        ({"known_classes": ["0", "1", "0"]}, "class `0` is named twice", ""),
        ({"known_classes": 5, "subset": 2000}, "asks for 2000", "leave `subset` out"),
        ({}, "nothing says which classes are known", "set `data.known_classes`"),
        ({"known_classes": 5, "labelled_fraction": 0.001}, "has no labelled sample", "stratified"),
    ],
)
def test_what_cannot_be_split_is_refused(tmp_path, fields, message, hint):
    with pytest.raises(DataError) as raised:
        run_split(tmp_path, **fields)
    assert message in problem_of(raised)
    assert hint in problem_of(raised)


def test_a_misspelt_class_is_met_with_a_suggestion(tmp_path, monkeypatch):
    fake_listing(monkeypatch, ["maple", "birch", "cedar"] * 4)
    with pytest.raises(DataError) as raised:
        run_split(tmp_path, known_classes=["mapel", "birch"])
    assert "did you mean `maple`?" in problem_of(raised)


def test_an_empty_pool_is_refused(tmp_path, monkeypatch):
    fake_listing(monkeypatch, ["a", "b", "c"] * 4, ["train"] * 2 + ["test"] + ["train", "train", "test"] * 3)
    with pytest.raises(DataError) as raised:
        run_split(tmp_path, known_classes=["a", "b"], labelled_fraction=1.0)
    assert "the pool is empty" in problem_of(raised)
