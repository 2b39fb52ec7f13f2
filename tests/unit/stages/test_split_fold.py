"""`data.hide`: a fold is made of what was known before, and of nothing else."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ncdcli.data import packaged
from ncdcli.data.kinds import DataConfig
from ncdcli.data.samples import Samples
from ncdcli.data.sources import Listing
from ncdcli.errors import DataError
from ncdcli.pipeline.context import Resources, SilentProgress, StageContext, stage_stream
from ncdcli.recipe.base import fields_that_matter
from ncdcli.stages import split

KNOWN = {"known_classes": ["0", "1", "2", "3", "4"]}
HIDE = {"classes": ["3", "1"]}


def run_split(folder: Path, *, seed: int = 0, **fields: Any) -> Samples:
    config = DataConfig.model_validate_json(json.dumps({"source": {"kind": "sklearn_digits"}, **KNOWN, **fields}))
    folder.mkdir()
    context = StageContext({}, folder, stage_stream(seed, "split"), Resources(), SilentProgress(), config)
    split.run(context, SimpleNamespace(data=config))
    return Samples.read(folder / "samples.csv", folder / "classes.json")


def truth_of(folder: Path, samples: Samples) -> dict[str, str]:
    """Key -> class, of the samples whose class is written down."""
    with open(folder / "truth.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return {samples.keys[int(row["row"])]: row["class"] for row in rows if row["class"]}


def labels_of(samples: Samples) -> dict[str, str]:
    """Key -> class, of the samples whose label may be seen."""
    return {samples.keys[row]: samples.known[samples.labels[row]] for row in samples.rows("labelled", "validation")}


@pytest.mark.parametrize("validation", [0.0, 0.2])
def test_a_fold_holds_the_labelled_samples_and_no_other(tmp_path: Path, validation: float) -> None:
    parent = labels_of(run_split(tmp_path / "parent", validation_fraction=validation))
    fold = run_split(tmp_path / "fold", validation_fraction=validation, hide=HIDE)

    assert fold.known == ("0", "2", "4")
    assert set(fold.keys) == set(parent)
    assert truth_of(tmp_path / "fold", fold) == parent
    assert all(parent[key] == name for key, name in labels_of(fold).items())
    pool = [parent[fold.keys[row]] for row in fold.rows("unlabelled")]
    assert pool.count("1") == list(parent.values()).count("1")  # all of a hidden class
    assert pool.count("3") == list(parent.values()).count("3")
    for name in fold.known:  # half of each other one, as in the parent
        labelled = list(labels_of(fold).values()).count(name)
        assert labelled == round(0.5 * list(parent.values()).count(name))
    assert len(fold.rows("validation")) == (
        0 if not validation else pytest.approx(validation * len(labels_of(fold)), abs=2)
    )


def test_in_the_ncd_setting_the_pool_holds_the_hidden_classes_alone(tmp_path: Path) -> None:
    fold = run_split(tmp_path / "fold", setting="ncd", hide=HIDE)
    truth = truth_of(tmp_path / "fold", fold)
    assert {truth[fold.keys[row]] for row in fold.rows("unlabelled")} == {"1", "3"}
    assert {truth[fold.keys[row]] for row in fold.rows("labelled")} == {"0", "2", "4"}


def test_the_real_pool_may_take_part_without_its_truth(tmp_path: Path) -> None:
    parent = run_split(tmp_path / "parent")
    fold = run_split(tmp_path / "fold", hide={**HIDE, "pool": "all"})
    pool = {fold.keys[row] for row in fold.rows("unlabelled")}
    real = {parent.keys[row] for row in parent.rows("unlabelled")}
    assert real < pool
    assert truth_of(tmp_path / "fold", fold) == labels_of(parent)


def test_no_byte_of_a_fold_depends_on_what_nobody_may_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither novel classes nor the classes of known samples that carry no label: the parent shows neither."""
    honest = packaged.SklearnDigits.listing
    parent = labels_of(run_split(tmp_path / "parent"))
    for pool in ("known", "all"):
        run_split(tmp_path / f"{pool}-before", hide={**HIDE, "pool": pool})

    def listing(self: packaged.SklearnDigits) -> Listing:
        found = honest(self)
        classes = np.array(found.classes)
        free = np.flatnonzero(~np.isin(classes, list("01234")))
        classes[free] = np.random.default_rng(3).permutation(classes[free])
        unseen = [row for row, key in enumerate(found.keys) if key not in parent and classes[row] in set("01234")]
        classes[unseen] = np.random.default_rng(4).permutation(classes[unseen])
        return Listing(found.keys, tuple(classes.tolist()), found.parts, found.class_order)

    monkeypatch.setattr(packaged.SklearnDigits, "listing", listing)
    for pool in ("known", "all"):
        run_split(tmp_path / f"{pool}-after", hide={**HIDE, "pool": pool})
        for name in ("samples.csv", "classes.json", "source.json", "truth.csv"):
            before, after = (tmp_path / f"{pool}-{when}" / name for when in ("before", "after"))
            assert before.read_bytes() == after.read_bytes()


def test_test_samples_take_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = tuple("abcdef"[row % 6] for row in range(60))
    parts = np.array(["test" if row % 5 == 0 else "train" for row in range(60)])
    listing = Listing(tuple(f"k{row}" for row in range(60)), names, parts, tuple("abcdef"))
    monkeypatch.setattr(packaged.SklearnDigits, "listing", lambda self: listing)
    fold = run_split(tmp_path / "fold", known_classes=["a", "b", "c", "d"], hide={"classes": ["b", "c"]})
    assert not len(fold.rows("test"))
    assert set(truth_of(tmp_path / "fold", fold)) == set(fold.keys)
    assert "k0" not in fold.keys


@pytest.mark.parametrize("setting", ["gcd", "ncd"])
def test_of_a_users_own_data_the_labelled_samples_make_the_fold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    names = tuple("abcd"[row % 4] if row < 40 else None for row in range(60))
    parts = np.array(["labelled"] * 40 + ["unlabelled"] * 20)
    listing = Listing(tuple(f"k{row}" for row in range(60)), names, parts, tuple("abcd"))
    monkeypatch.setattr(packaged.SklearnDigits, "listing", lambda self: listing)
    hide = {"classes": ["b", "d"]}
    fold = run_split(tmp_path / "fold", known_classes=None, setting=setting, hide=hide)
    assert set(fold.keys) == {f"k{row}" for row in range(40)}
    assert fold.known == ("a", "c")
    assert len(fold.rows("unlabelled")) == (30 if setting == "gcd" else 20)
    whole = run_split(tmp_path / "whole", known_classes=None, setting=setting, hide={**hide, "pool": "all"})
    assert len(whole.rows("unlabelled")) == len(fold.rows("unlabelled")) + 20
    assert len(truth_of(tmp_path / "whole", whole)) == 40


@pytest.mark.parametrize(
    ("hidden", "message"),
    [
        (["7"], "no known class is called `7`"),
        (["0", "1", "2", "4"], "1 known class left"),
    ],
)
def test_what_cannot_be_hidden(tmp_path: Path, hidden: list[str], message: str) -> None:
    with pytest.raises(DataError) as caught:
        run_split(tmp_path / "fold", hide={"classes": hidden})
    assert [problem.message for problem in caught.value.problems] == [message]
    assert caught.value.problems[0].place == "data.hide.classes"


def test_without_hidden_classes_fingerprints_are_what_they_were() -> None:
    assert "hide" not in fields_that_matter(DataConfig(card="digits"))
