"""The sweep file: which recipe, which seeds, which values of which fields."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from ncdcli.recipe.base import Section, Version


class SweepFile(Section):
    """One recipe or several, run once for each seed at each point of a grid."""

    version: Version = Field(1, description="of the form of sweeps")
    recipe: str | Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        description="the shipped recipe's name, or a file beside the sweep, to start from; or a list"
    )
    description: str = Field("", description="what the sweep is for, in your own words")
    seeds: int | tuple[int, ...] | None = Field(
        None, description="how many (0, 1, …), or a list; default: the recipe's own"
    )
    grid: dict[str, tuple[Any, ...]] = Field(
        default_factory=dict, description="field, with dots -> list of values; every combination is run"
    )
    runs: str | None = Field(
        None, min_length=1, description="folder that holds the runs; default: `runs/` and the file's name"
    )
