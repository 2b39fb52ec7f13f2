"""The scripts for a GPU: their recipes are valid and shorten what they extend, and they say what they need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ncdcli.recipe.resolve import load_recipe

SCRIPTS = Path(__file__).parents[2] / "scripts" / "gpu"
RECIPES = ("cifar10-autonovel", "cifar10-uno", "cifar10-crncd")


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [str(SCRIPTS / "cifar10_ncd.sh"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **variables})


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


def write_jpegs(folder: Path, *, classes: int, train: int, test: int) -> None:
    """Images of 32 pixels, each class of one colour."""
    rng = np.random.default_rng(0)
    for number, colour in enumerate(rng.integers(0, 200, (classes, 3))):
        for part, count in (("train", train), ("test", test)):
            place = folder / part / f"class-{number}"
            place.mkdir(parents=True)
            for image in range(count):
                pixels = colour + rng.integers(0, 56, (32, 32, 3))
                Image.fromarray(pixels.astype(np.uint8)).save(place / f"{image:02}.jpg")


@pytest.mark.slow
def test_the_tiny_form_comes_to_its_table_on_a_cpu(tmp_path: Path) -> None:
    """Three methods, one epoch each; more images than it takes, so that it is seen to take the first ones."""
    write_jpegs(tmp_path / "data", classes=10, train=9, test=3)
    ncd = tmp_path / "ncd"
    ncd.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m ncdcli "$@"\n')
    ncd.chmod(0o755)
    arguments = (str(tmp_path / "data"), "--tiny", "--out", str(tmp_path / "out"))
    variables = {"NCD": str(ncd), "PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    done = run(*arguments, **variables)
    assert done.returncode == 0, done.stderr
    table = [line.split() for line in done.stdout.splitlines()]
    assert [row[0] for row in table[:4]] == ["method", "AutoNovel", "UNO", "crNCD"]
    assert all(row[1] == "1" and 0 <= float(row[3]) <= 100 for row in table[1:4]), done.stdout
    for method in ("autonovel", "uno", "crncd"):
        out = tmp_path / "out-tiny" / method
        metrics = json.loads((out / "evaluate/metrics.json").read_text())
        assert metrics["rows"]["unlabelled"]["total"] == 5 * 8
        assert metrics["rows"]["test"]["total"] == 10 * 2
        assert f"{100 * metrics['ncd_task_aware']['unlabelled']['novel']:.1f}" in done.stdout
        assert json.loads((out / "joint_training/manifest.json").read_text())["device"] == "cpu"
    again = run(*arguments, **variables)
    assert again.returncode == 0, again.stderr
    assert again.stdout == done.stdout
