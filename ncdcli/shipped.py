"""The recipes and dataset cards that come with `ncd`, by name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

SWEEPS = "sweeps"  # the folder among the recipes that holds none


def shipped_recipes() -> Mapping[str, Path]:
    """Name -> file of every recipe that comes with `ncd`, sorted by modality and name."""
    return {name: path for name, path in _named_files("recipes").items() if path.parent.name != SWEEPS}


def shipped_sweeps() -> Mapping[str, Path]:
    """Name -> file of every sweep that comes with `ncd`, sorted by name."""
    return {name: path for name, path in _named_files("recipes").items() if path.parent.name == SWEEPS}


def shipped_cards() -> Mapping[str, Path]:
    """Name -> file of every dataset card that comes with `ncd`, sorted by name."""
    return _named_files("datasets")


@lru_cache
def _named_files(folder: str) -> Mapping[str, Path]:
    return {path.stem: path for path in sorted(_home(folder).rglob("*.yaml"))}


def _home(folder: str) -> Path:
    """The folder beside the package in a source checkout, or inside it where it was installed from a wheel."""
    package = Path(__file__).resolve().parent
    checkout = package.parent
    if (checkout / "pyproject.toml").is_file() and (checkout / folder).is_dir():
        return checkout / folder
    return package / "shipped" / folder
