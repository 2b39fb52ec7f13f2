"""The `tune` section of a recipe: what is searched, and how it is scored. It enters no stage's fingerprint."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PlainSerializer

from ncdcli.recipe.base import Section


def _as_written(value: float) -> Any:  # "-> float" would make 5.0 of it again
    return int(value) if value.is_integer() else value


# A number that is written without a decimal point where it has none, as fields of whole numbers are read.
Number = Annotated[float, PlainSerializer(_as_written)]


class Range(Section):
    """Numbers between two ends, both included."""

    low: Number = Field(description="least value")
    high: Number = Field(description="greatest value")
    log: bool = Field(False, description="draw the logarithm evenly, in place of the value")
    step: Number | None = Field(None, gt=0, description="only low, low + step, …; default: every number")


class TuneConfig(Section):
    """How `ncd tune` searches: hide known classes, treat them as novel, and score on them alone."""

    score: Literal["ari", "accuracy"] = Field(
        "ari", description="of the hidden classes: adjusted Rand index, or the setting's standard accuracy"
    )
    folds: int = Field(3, ge=1, description="subsets of the known classes that are hidden, one after the other")
    hidden: int | None = Field(
        None,
        ge=2,
        description="known classes hidden in a fold; default: in the proportion of novel ones, or 4 of 10 without k",
    )
    k: Literal["given", "estimate"] | None = Field(
        None, description="whether folds are told their number of classes; default: as the recipe, given if it is fixed"
    )
    pool: Literal["known", "all"] = Field(
        "known", description="folds of samples with labels only, or of the real pool too, which is not scored"
    )
    trials: int = Field(30, ge=1, description="points of the space that are tried")
    sampler: Literal["tpe", "random"] = Field("tpe", description="tree-structured Parzen estimators, or random search")
    pruner: Literal["median", "none"] = Field(
        "median", description="give a trial up that after some folds is below the median of the others"
    )
    space: dict[str, Range | tuple[Any, ...]] = Field(
        description="field, with dots -> a range `{low: …, high: …}` or a list of values"
    )
