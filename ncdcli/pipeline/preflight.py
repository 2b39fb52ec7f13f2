"""Cheap checks before anything runs: data, weights, packages, disk. Imports none of what it looks for."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from ncdcli.errors import MissingError
from ncdcli.pipeline.context import Resources
from ncdcli.pipeline.spec import BY_NAME
from ncdcli.recipe.base import Package
from ncdcli.recipe.paths import WEIGHT_WORDS
from ncdcli.recipe.schema import Recipe
from ncdcli.recipe.trainings import trainings

# What a stage needs; backbones name theirs in their section, and sources see to their own.
STAGE_PACKAGES = {
    "pretrain": Package("torch", "pip install torch"),
    "embed": Package("torch", "pip install torch"),
    "joint_training": Package("torch", "pip install torch"),
}
MAP_PACKAGES = {"umap": Package("umap", "pip install 'ncd-cli[umap]'")}
FREE_BYTES = 100_000_000  # a run without its arrays: tables, logs, a small model and its checkpoint
WIDEST_EMBEDDING = 2048  # where the backbone's kind does not say


def check_prerequisites(recipe: Recipe, folder: Path, *, stages: Sequence[str], resources: Resources) -> None:
    """Nothing, or MissingError for the first thing that the `stages` need and that is not there.

    The order is from cheap to expensive: data (downloaded where `resources` says so), weights, packages, disk space.
    """
    if any(BY_NAME[stage].reads_data for stage in stages):
        _check_data(recipe, download=resources.download)
    if "pretrain" in stages:
        _check_weights(recipe)
        _check_package(recipe.backbone.package, f"backbone `{recipe.backbone.kind}`")
    if "cluster" in stages:
        _check_package(recipe.cluster.package, f"clustering `{recipe.cluster.kind}`")
    if "report" in stages:
        _check_package(MAP_PACKAGES.get(recipe.report.map), f"map `{recipe.report.map}` of the report")
    for stage in stages:
        _check_package(STAGE_PACKAGES.get(stage), f"stage `{stage}`")
    _check_compiler(recipe, stages, resources.device)
    if stages:
        _check_disk(folder, _bytes_needed(recipe) if "embed" in stages else FREE_BYTES)


def _check_data(recipe: Recipe, *, download: bool) -> None:
    from ncdcli.data.resolve import ensure_data

    ensure_data(recipe.data, download)


def _check_weights(recipe: Recipe) -> None:
    weights = getattr(recipe.backbone, "weights", WEIGHT_WORDS[0])
    if weights not in WEIGHT_WORDS and not Path(weights).is_file():
        raise MissingError(
            f"backbone.weights: no file `{weights}`",
            hint="give a .safetensors or .pth file, `hub` or `none`: `--set backbone.weights=FILE`",
        )


def _check_package(package: Package | None, what: str) -> None:
    if package is not None and find_spec(package.module) is None:
        message = f"{what} needs the package `{package.module}`, which is not installed"
        raise MissingError(message, hint=package.install)


def _check_compiler(recipe: Recipe, stages: Sequence[str], device: str) -> None:
    """What torch compiles for a CPU passes through a C++ compiler; for a GPU, torch itself says what it needs."""
    if device not in ("cpu", "auto"):
        return
    compiler = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")  # as torch looks for it
    for training in trainings(dict(recipe)):
        if training.name in stages and training.trains and training.config.compile and shutil.which(compiler) is None:
            raise MissingError(
                f"`{training.name}.compile` needs a C++ compiler, and `{compiler}` is not there",
                hint=f"`apt install g++`, name yours in `CXX`, or set `{training.name}.compile: false`",
            )


def _check_disk(folder: Path, needed: int) -> None:
    existing = next(parent for parent in [folder.absolute(), *folder.absolute().parents] if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise MissingError(
            f"`{existing}` has {free / 1e6:.0f} MB free, the run needs about {needed / 1e6:.0f} MB",
            hint="free some space (`ncd clean` removes replaced results), or write elsewhere with `--run`",
        )


def _bytes_needed(recipe: Recipe) -> int:
    """The floor and the embeddings, as far as the card tells the number of samples."""
    from ncdcli.data.resolve import resolve_data

    card = resolve_data(recipe.data).card
    samples = 0 if card is None else min(card.train_samples, recipe.data.subset or card.train_samples)
    samples += 0 if card is None else card.test_samples
    width = getattr(recipe.backbone, "dim", WIDEST_EMBEDDING)
    return FREE_BYTES + 4 * samples * width
