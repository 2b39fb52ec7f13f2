"""`ncd init` writes recipes that check, say what was found, and fit the size of the data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ncdcli.data.draft import draft_recipe
from ncdcli.data.survey import Survey
from ncdcli.recipe.resolve import load_recipe
from ncdcli.recipe.schema import Recipe


def make_images(root: Path, side: int, *, labelled: int = 12, pool: int = 30) -> None:
    rng = np.random.default_rng(0)
    names = [f"labelled/{name}/{n}.png" for name in ("cat", "a dog: brown") for n in range(labelled)]
    for name in [*names, *(f"pool/{n}.png" for n in range(pool))]:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (side, side, 3), np.uint8)).save(root / name)


def recipe_of(path: Path) -> Recipe:
    return load_recipe(str(path)).recipe


def test_tiny_images_get_a_small_network_and_unreadable_ones_are_left_out(run_ncd, tmp_path):
    make_images(tmp_path, 16)
    (tmp_path / "pool" / "broken.jpg").write_bytes(b"nothing")
    code, out, err = run_ncd("init", "images", "--labelled", "labelled", "--unlabelled", "pool", "-o", "r.yaml")
    assert (code, out) == (0, "r.yaml\n")
    for line in ("24 labelled, 30 unlabelled", "known classes: 2, from 12 samples", "all images are 16 × 16 pixels",
                 "unreadable: 1 file", "broken.jpg", "next: ncd run r.yaml"):  # fmt: skip
        assert line in err
    recipe = recipe_of(tmp_path / "r.yaml")
    assert recipe.backbone.kind == "small_cnn"
    assert recipe.data.source.leave_out == ("unlabelled/broken.jpg",)
    assert recipe.data.validation_fraction == 0.2
    assert (recipe.estimate_k.low, recipe.estimate_k.high) == (2, 10)


@pytest.mark.parametrize(("installed", "kind"), [(True, "efficientnet_lite"), (False, "timm")])
def test_larger_images_get_a_pretrained_backbone(run_ncd, tmp_path, monkeypatch, installed, kind):
    make_images(tmp_path, 80, labelled=3, pool=5)
    monkeypatch.setattr("ncdcli.data.draft.find_spec", lambda name: object() if installed else None)
    assert run_ncd("init", "images", "--labelled", "labelled", "--unlabelled", "pool")[0] == 0
    recipe = recipe_of(tmp_path / "recipe.yaml")
    assert (recipe.backbone.kind, recipe.pretrain.objective.kind) == (kind, "none")
    assert recipe.data.validation_fraction == 0  # three samples a class are too few


def test_the_recipe_moves_with_its_data(run_ncd, tmp_path):
    make_images(tmp_path / "one", 8)
    folders = ("--labelled", "one/labelled", "--unlabelled", "one/pool", "--output", "one/r.yaml")
    assert run_ncd("init", "images", *folders)[0] == 0
    assert "labelled: labelled" in (tmp_path / "one/r.yaml").read_text()
    shutil.move(tmp_path / "one", tmp_path / "two")
    assert recipe_of(tmp_path / "two/r.yaml").data.source.unlabelled == str(tmp_path / "two/pool")


def test_a_table_with_names_and_a_constant(run_ncd, tmp_path):
    rows = [f"{n},{n * n % 7},5,row {n},{'ab'[n % 2] if n < 60 else ''}" for n in range(300)]
    (tmp_path / "t.csv").write_text("\n".join(["x,y,k,who,label", *rows]))
    code, out, err = run_ncd("init", "table", "--data", "t.csv", "--label", "label", "--json")
    assert code == 0
    assert json.loads(out)["samples"] == {"labelled": 60, "unlabelled": 240}
    assert "constant columns, which carry nothing: 1 (`k`)" in err
    assert "columns to drop, with too many different texts: 1 (`who`)" in err
    recipe = recipe_of(tmp_path / "recipe.yaml")
    assert (recipe.name, recipe.backbone.kind) == ("t", "mlp")
    assert "columns to drop, that count the rows: 1 (`x`)" in err
    assert recipe.data.source.drop == ("who", "x")


def test_how_numbers_and_dates_are_written_is_found_said_and_kept(run_ncd, tmp_path):
    rows = [
        f"{1 + n % 7}.{n % 900:03d},5;{1 + n % 28}.{1 + n % 12}.2024;{'ab'[n % 2] if n < 60 else ''}"
        for n in range(100)
    ]
    (tmp_path / "t.csv").write_text("\n".join(["x;day;k", *rows]))
    code, _, err = run_ncd("init", "table", "--data", "t.csv", "--label", "k")
    assert code == 0
    for line in ("with decimal: comma", "with thousands: point", "column `day` holds dates: %d.%m.%Y"):
        assert line in err
    source = recipe_of(tmp_path / "recipe.yaml").data.source
    assert (source.decimal, source.thousands, source.dates) == ("comma", "point", {"day": "%d.%m.%Y"})


def test_what_the_user_says_of_dates_and_numbers_is_kept(run_ncd, tmp_path):
    rows = [f"{1 + n % 9},{900 + n % 90};0{1 + n % 9}/03/2024;{'ab'[n % 2] if n < 60 else ''}" for n in range(100)]
    (tmp_path / "t.csv").write_text("\n".join(["x;day;k", *rows]))
    command = ("init", "table", "--data", "t.csv", "--label", "k")
    assert run_ncd(*command)[0] == 3  # neither can be told from the cells
    assert run_ncd(*command, "--date", "day=%m/%d/%Y", "--thousands", "comma")[0] == 0
    source = recipe_of(tmp_path / "recipe.yaml").data.source
    assert (source.decimal, source.thousands, source.dates) == ("point", "comma", {"day": "%m/%d/%Y"})


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [("--date", "day", "no format"), ("--date", "day=dd/mm", "has no year"), ("--decimal", "dot", "point or comma")],
)
def test_options_that_say_nothing_are_refused(run_ncd, tmp_path, option, value, message):
    (tmp_path / "t.csv").write_text("x,k\n1,a\n2,b\n3,\n")
    code, _, err = run_ncd("init", "table", "--data", "t.csv", "--label", "k", option, value)
    assert code == 2
    assert message in err


def test_a_table_in_which_all_rows_are_labelled_becomes_a_benchmark(run_ncd, tmp_path):
    (tmp_path / "t.csv").write_text("".join(f"{n},{n * n},{'abcde'[n % 5]}\n" for n in range(100)))
    assert run_ncd("init", "table", "--data", "t.csv", "--label", "-1")[0] == 0
    recipe = recipe_of(tmp_path / "recipe.yaml")
    assert recipe.data.known_classes == 3
    assert recipe.estimate_k.low == 3


def test_embeddings_are_used_as_they_are(run_ncd, tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(40, 3)).astype("float32"))
    (tmp_path / "y.csv").write_text("\n".join(["a", "b"] * 10 + [""] * 20) + "\n")
    code, _, err = run_ncd("init", "embeddings", "--embeddings", "x.npy", "--labels", "y.csv")
    assert code == 0
    assert "3 values a row, float32" in err
    recipe = recipe_of(tmp_path / "recipe.yaml")
    assert (recipe.backbone.kind, recipe.pretrain.objective.kind) == ("precomputed", "none")


def test_a_recipe_that_is_there_is_not_overwritten(run_ncd, tmp_path):
    np.save(tmp_path / "x.npy", np.ones((4, 2), "float32"))
    (tmp_path / "y.csv").write_text("a\nb\n\n\n")
    (tmp_path / "recipe.yaml").write_text("mine")
    arguments = ("init", "embeddings", "--embeddings", "x.npy", "--labels", "y.csv")
    code, _, err = run_ncd(*arguments)
    assert (code, (tmp_path / "recipe.yaml").read_text()) == (2, "mine")
    assert "--force" in err
    assert run_ncd(*arguments, "--force")[0] == 0


@pytest.mark.parametrize(
    ("labels", "message"),
    [("a\na\n\n\n", "1 known class with labelled samples: too few"), ("a\nb\na\nb\n", "of two classes")],
)
def test_data_in_which_nothing_can_be_discovered_are_refused(run_ncd, tmp_path, labels, message):
    np.save(tmp_path / "x.npy", np.ones((4, 2), "float32"))
    (tmp_path / "y.csv").write_text(labels)
    code, _, err = run_ncd("init", "embeddings", "--embeddings", "x.npy", "--labels", "y.csv")
    assert code == 3
    assert message in err
    assert not (tmp_path / "recipe.yaml").exists()


@pytest.mark.parametrize(
    ("labelled", "pool", "batch", "epochs"), [(20, 10, 16, 100), (400, 800, 64, 100), (20_000, 9, 128, 16)]
)
def test_training_is_fitted_to_the_size_of_the_data(tmp_path, labelled, pool, batch, epochs):
    survey = Survey("table", {"labelled": labelled, "unlabelled": pool}, {"a": labelled // 2, "b": labelled // 2}, ())
    text = draft_recipe(survey, {"kind": "table", "train": tmp_path / "t.csv"}, name="n", folder=tmp_path)
    assert f"batch_size: {batch}" in text
    assert f"epochs: {epochs}" in text


@pytest.mark.parametrize(("pool", "known", "part"), [(90_000, 5, None), (900_000, 5, 50_000), (900_000, 200, 100_000)])
def test_classes_of_very_many_samples_are_counted_on_a_part(tmp_path, pool, known, part):
    known_classes = {f"c{number}": 50 for number in range(known)}
    survey = Survey("table", {"labelled": 50 * known, "unlabelled": pool}, known_classes, ())
    source = {"kind": "table", "train": tmp_path / "t.csv", "label": "y"}
    (tmp_path / "r.yaml").write_text(draft_recipe(survey, source, name="big", folder=tmp_path))
    assert recipe_of(tmp_path / "r.yaml").estimate_k.max_samples == part


@pytest.mark.parametrize("name", ["a: b", "yes", "1", "ü", "x # y", "- a", "it's", '"q"', "a,b", "{c}"])
def test_strange_names_survive_the_recipe(tmp_path, name):
    survey = Survey("table", {"labelled": 4}, {"a": 2, "b": 2}, (), drop=(name,))
    source = {"kind": "table", "train": tmp_path / f"{name}.csv", "label": name}
    (tmp_path / "r.yaml").write_text(draft_recipe(survey, source, name="n", folder=tmp_path), "utf-8")
    read = recipe_of(tmp_path / "r.yaml").data.source
    assert (read.label, read.drop, Path(read.train).name) == (name, (name,), f"{name}.csv")
