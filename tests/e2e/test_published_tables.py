"""Recipes for tables that are not here run on small files in the form that their cards ask for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ncdcli.data.kinds import Table
from ncdcli.data.resolve import load_card

Ncd = Callable[..., tuple[int, str, str]]
ROWS = 8  # of a class, in each file
# Card -> columns beside the class (fewer than there are where they are hundreds), the greatest of their whole numbers,
# those that become inputs, and a recipe.
FORMS = {
    "satimage": (36, 140, 36, "satimage-tabular-ncd"),
    "texture": (40, 9000, 40, "texture-tabular-ncd"),
    "covtype": (54, 1, 54, "covtype-tabular-ncd"),
    "mnist-table": (49, 255, 49, "mnist-table-raw"),
    "har": (30, 9, 30, "har-tabular-ncd-2024-k"),
    "census1990": (68, 4, 67, "census1990-baseline"),
    "mfeat": (21, 999, 20, "mfeat-tabular-ncd-2024"),
    "cnae9": (40, 2, 40, "cnae9-raw"),
}


def file_of(card: str, source: Table, classes: tuple[str, ...]) -> str:
    """The text of a file: every class has as many rows, around its own centre, one after the other."""
    columns, greatest, _, _ = FORMS[card]
    rng = np.random.default_rng(0)
    centres = {name: rng.integers(0, greatest + 1, columns) for name in classes}
    lines = []
    for name in classes * ROWS:
        numbers = np.where(rng.random(columns) < 0.8, centres[name], rng.integers(0, greatest + 1, columns))
        lines.append(cells(card, numbers.tolist(), name))
    front = {
        "texture": "@relation texture\n@attribute A1 real [0.0, 9.0]\n@inputs A1\n@outputs Class\n@data\n",
        "census1990": ",".join(["caseid", *(f"d{n}" for n in range(65)), "iYearsch", "iYearwrk", "dYrsserv"]) + "\n",
    }
    between = " " if card == "satimage" or source.separator == "space" else ","
    return front.get(card, "") + "".join(between.join(line) + "\n" for line in lines)


def cells(card: str, numbers: list[int], name: str) -> list[str]:
    """A row: the class is the last cell, the first one, or where it stands in the census."""
    texts = [str(number) for number in numbers]
    if card == "har":  # features have an exponent; the last one is the number of the person
        return [*(f" {number / 10:e}" for number in numbers[:-1]), texts[-1], name]
    if card == "texture":
        return [*(f" {number / 1000:.3f}" for number in numbers), f" {name}"]
    if card == "census1990":
        return [*texts[:66], name, *texts[66:]]
    return [name, *texts] if card in ("mnist-table", "cnae9") else [*texts, name]


@pytest.mark.parametrize("card", FORMS)
def test_a_recipe_runs_on_files_in_the_form_of_its_card(card: str, run_ncd: Ncd, tmp_path: Path) -> None:
    loaded = load_card(card)
    source, recipe, n_inputs = loaded.source, FORMS[card][3], FORMS[card][2]
    assert isinstance(source, Table)
    (tmp_path / "tables").mkdir()
    for path in filter(None, (source.train, source.test)):
        (tmp_path / path).write_text(file_of(card, source, loaded.class_names))
    settings = [f"data.root={tmp_path}", "evaluate.stability_seeds=0"]
    settings += ["pretrain.epochs=1"] * (recipe.endswith(("-tabular-ncd", "-baseline")))
    settings += ["joint_training.epochs=2"] * ("-tabular-ncd" in recipe)
    words = [word for setting in settings for word in ("--set", setting)]
    code, _, err = run_ncd("run", recipe, *words, "--run", "run", "--until", "evaluate", "--quiet")
    assert code == 0, err
    known = json.loads((tmp_path / "run/split/classes.json").read_text("utf-8"))["known"]
    if isinstance(loaded.known_classes, str):
        assert sorted(known) == sorted(loaded.splits[loaded.known_classes])
    model = json.loads((tmp_path / "run/pretrain/model.json").read_text("utf-8"))
    assert model["input_spec"]["shape"] == [n_inputs]
    rows = len(loaded.class_names) * ROWS
    samples = (tmp_path / "run/split/samples.csv").read_text("utf-8")
    assert samples.count(",test,") == (rows if source.test else round(rows * (source.test_fraction or 0)))
