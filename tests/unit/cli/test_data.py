"""`ncd data`: what is listed, shown and checked."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from ncdcli.shipped import shipped_cards


@pytest.fixture
def run(run_ncd):
    return partial(run_ncd, "data")


def test_list_names_every_card_and_whether_it_is_here(run):
    code, out, _ = run("list", "--json")
    cards = {card["name"]: card for card in json.loads(out)["cards"]}
    assert code == 0
    assert set(cards) == set(shipped_cards())
    assert cards["digits"]["here"]
    assert not cards["cifar100"]["here"]
    assert cards["cifar100"]["classes"] == 100
    assert "cifar100" in run("list")[1]


def test_show_prints_the_card_as_it_is_written_or_as_one_object(run):
    assert run("show", "digits")[1].startswith("# The 1,797 handwritten digits")
    assert json.loads(run("show", "digits", "--json")[1])["known_classes"] == 5


def test_check_reads_the_digits(run):
    code, out, err = run("check", "digits")
    assert code == 0
    assert "samples: 1,797 train (8 × 8 pixels, gray)" in out
    assert "(as on the card)" in out
    assert "no problem found" in err


def test_check_reads_a_table_below_another_root(run, tmp_path: Path):
    folder = tmp_path / "elsewhere" / "tables"
    folder.mkdir(parents=True)
    (folder / "letter.dat").write_text("1,2,A\n3,4,B\n")
    code, out, err = run("check", "letter", "--root", str(tmp_path / "elsewhere"))
    assert (code, "samples: 2 train" in out) == (3, True)
    assert "train_samples: the card says 20000; found 2" in err
    assert "classes: the card says 26; found 2" in err


def test_a_path_may_be_a_table_a_recipe_or_a_card(run, tmp_path: Path):
    (tmp_path / "t.csv").write_text("x,y,k\n1,2,a\n3,4,b\n5,6,c\n")
    assert run("check", "t.csv")[0] == 0
    (tmp_path / "r.yaml").write_text(
        "name: r\nbackbone: {kind: mlp}\ndata: {known_classes: 2, source: {kind: table, train: t.csv, label: k}}\n"
    )
    code, out, _ = run("check", "r.yaml", "--json")
    assert (code, json.loads(out)["classes"]) == (0, {"a": 1, "b": 1, "c": 1})
    (tmp_path / "card.yaml").write_text(shipped_cards()["digits"].read_text())
    assert run("check", "card.yaml")[0] == 0


def test_data_that_are_not_here_exit_with_4_and_one_object(run):
    code, out, err = run("check", "cifar10", "--json")
    assert code == 4
    assert "`ncd data check cifar10 --download`" in json.loads(out)["error"]["hint"]
    assert "cifar-10-batches-py" in err


def test_an_unknown_name_is_missing_on_the_command_line_and_not_valid_in_a_recipe(run, run_ncd, tmp_path):
    """What an argument names is not there: 4. What a recipe says is wrong: 3, with its line. The same hint."""
    recipe = "name: r\ndata: {card: cifar, known_classes: 5}\nbackbone: {kind: small_cnn}\n"
    (tmp_path / "r.yaml").write_text(recipe)
    hint = "hint: did you mean `cifar10` or `cifar100`?"
    for command in ("show", "check"):
        code, _, err = run(command, "cifar")
        assert (code, err.splitlines()[-1]) == (4, hint)
    code, _, err = run_ncd("run", "r.yaml")
    assert code == 3
    assert "r.yaml:2:14: data.card: no dataset card is named 'cifar'" in err
    assert hint in err
