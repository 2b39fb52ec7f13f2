"""The scripts for a GPU: their recipes are valid and shorten what they extend, and they say what they need."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ncdcli.recipe.resolve import load_recipe

SCRIPTS = Path(__file__).parents[2] / "scripts" / "gpu"
RECIPES = ("cifar10-autonovel", "cifar10-uno", "cifar10-crncd")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SCRIPTS / "cifar10_ncd.sh", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_differs_from_the_published_one_in_length_only(name: str) -> None:
    short = load_recipe(str(SCRIPTS / f"{name}.yaml")).recipe
    published = load_recipe(name).recipe
    assert short.joint_training is not None
    assert published.joint_training is not None
    assert 1 <= short.joint_training.epochs < published.joint_training.epochs
    assert short.pretrain.epochs < published.pretrain.epochs
    assert short.backbone == published.backbone
    unused = {} if short.joint_training.augment.small_crops else {"small_size": None}
    assert short.joint_training.augment.model_copy(update=unused) == published.joint_training.augment
    shorter = {"rampup_epochs": 0, "supervised_epochs": 0}
    mine, theirs = short.joint_training.method, published.joint_training.method
    assert mine.model_copy(update=shorter) == theirs.model_copy(update=shorter)


def test_the_recipes_share_their_pretraining() -> None:
    recipes = [load_recipe(str(SCRIPTS / f"{name}.yaml")).recipe for name in RECIPES]
    assert len({recipe.pretrain.model_dump_json() for recipe in recipes}) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["."], "give the folder that holds train/ and test/"),
        (["--fast", "."], "no option --fast"),
    ],
)
def test_the_script_says_what_it_needs(arguments: list[str], said: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "--tiny" in run("--help").stdout
