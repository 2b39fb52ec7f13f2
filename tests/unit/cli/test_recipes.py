from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from ncdcli.recipe.resolve import load_recipe
from ncdcli.shipped import shipped_recipes

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(run_ncd: Run) -> Run:
    return partial(run_ncd, "recipes")


def test_list_names_every_shipped_recipe_with_its_purpose(run: Run) -> None:
    code, out, _ = run("list", "--json")

    rows = json.loads(out)["recipes"]
    assert code == 0
    assert [row["name"] for row in rows] == list(shipped_recipes())
    assert {row["name"]: row["modality"] for row in rows}["digits-gcd"] == "images"
    assert all(row["purpose"] for row in rows)


def test_a_copy_is_the_recipe_byte_for_byte_and_valid(run: Run, tmp_path: Path) -> None:
    code, out, err = run("copy", "digits-gcd-raw", "mine.yaml")

    assert (code, out) == (0, "mine.yaml\n")
    assert "ncd run mine.yaml" in err
    assert (tmp_path / "mine.yaml").read_bytes() == shipped_recipes()["digits-gcd-raw"].read_bytes()
    assert run("check", "mine.yaml") == (0, "mine.yaml: valid\n", "")


def test_force_replaces_a_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "digits-gcd.yaml").write_text("old")

    assert run("copy", "digits-gcd", "--force")[0] == 0
    assert (tmp_path / "digits-gcd.yaml").read_bytes() == shipped_recipes()["digits-gcd"].read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["digits-gcd.yaml"]


def test_show_prints_the_file_or_the_resolved_recipe(run: Run, tmp_path: Path) -> None:
    assert run("show", "digits-ncd")[1] == shipped_recipes()["digits-ncd"].read_text("utf-8")

    (tmp_path / "shown.yaml").write_text(run("show", "digits-ncd", "--resolved", "--set", "seed=5")[1])
    assert load_recipe("shown.yaml").recipe == load_recipe("digits-ncd", ["seed=5"]).recipe


def test_check_prints_one_json_object_with_every_problem(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text("extends: digits-gcd\nname: bad\nseed: x\nembed: {normalise: true}\n")

    code, out, _ = run("check", "bad.yaml", "--json")
    assert code == 3
    assert [problem["place"] for problem in json.loads(out)["error"]["problems"]] == [
        "bad.yaml:3:7: seed",
        "bad.yaml:4:9: embed.normalise",
    ]


def test_schema_is_json_that_an_editor_can_read(run: Run) -> None:
    code, out, _ = run("schema")

    schema = json.loads(out)
    assert code == 0
    assert schema["properties"]["pretrain"]["$ref"] == "#/$defs/PretrainConfig"
    assert "epochs" in schema["$defs"]["PretrainConfig"]["properties"]
