"""Estimators of the number of classes by `kind`.

Adding one = one class (named in `CountingConfig`) and one row here, one file.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ncdcli.recipe.base import Section

# Each value is a function `estimate(problem, config, rng, progress) -> CountEstimate` (see `ncdcli.counting.base`).
KINDS = {
    "fixed": "ncdcli.counting.fixed:estimate",
    "none": "ncdcli.counting.fixed:leave_to_clustering",
    "max_acc": "ncdcli.counting.max_acc:estimate",
    "silhouette": "ncdcli.counting.silhouette:estimate",
}


class Fixed(Section):
    """The number of classes is given: known and novel ones together."""

    kind: Literal["fixed"] = "fixed"
    k: int = Field(ge=2, description="known and novel classes together")


class LeftToClustering(Section):
    """No estimate: the clustering method finds the number of classes itself."""

    kind: Literal["none"] = "none"


class MaxAcc(Section):
    """GCD's criterion: the k whose k-means agrees best with the labelled samples."""

    kind: Literal["max_acc"] = "max_acc"
    low: int | None = Field(None, ge=2, description="least k tried; default: number of known classes")
    high: int | None = Field(None, ge=2, description="greatest k tried; default: 3 × known classes + 10")
    search: Literal["brent", "all"] = Field("brent", description="bounded search, memoised on the integer, or every k")
    ties: Literal["silhouette", "smallest"] = Field(
        "silhouette",
        description="which of the k that labelled samples cannot tell apart: best pool clusters, or least k",
    )
    restarts: int = Field(10, ge=1, description="k-means runs for every k; the one with the lowest objective counts")
    max_samples: int | None = Field(None, ge=100, description="estimate on a sample of so many rows")


class Silhouette(Section):
    """PBN's criterion: the k with the greatest mean silhouette on unlabelled samples."""

    kind: Literal["silhouette"] = "silhouette"
    low: int | None = Field(None, ge=2, description="least k tried; default: number of known classes (ncd: and 2)")
    high: int | None = Field(
        None, ge=2, description="greatest k tried; default: 3 × known classes + 10 (ncd: 29 or more)"
    )
    restarts: int = Field(10, ge=1, description="k-means runs for every k; the one with the lowest objective counts")
    max_samples: int = Field(5000, ge=100, description="silhouette is quadratic: computed on so many rows at most")


CountingConfig = Annotated[Fixed | LeftToClustering | MaxAcc | Silhouette, Field(discriminator="kind")]
