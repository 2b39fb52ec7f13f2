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
    "calinski_harabasz": "ncdcli.counting.dispersion:calinski_harabasz",
    "davies_bouldin": "ncdcli.counting.dispersion:davies_bouldin",
    "elbow": "ncdcli.counting.dispersion:elbow",
}

# Fields that several sections have.
_Low = Annotated[int | None, Field(ge=2, description="least k tried; default: number of known classes (ncd: and 2)")]
_High = Annotated[
    int | None, Field(ge=2, description="greatest k tried; default: 3 × known classes + 10 (ncd: 29 or more)")
]
_Restarts = Annotated[
    int, Field(ge=1, description="k-means runs for every k; the one with the lowest objective counts")
]
_PoolSample = Annotated[int | None, Field(ge=100, description="estimate on a sample of so many unlabelled rows")]


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
    clustering: Literal["kmeans", "semi_kmeans"] = Field(
        "kmeans", description="GCD's plain k-means, or one with labelled samples pinned, scored on those held out of it"
    )
    held_out: float = Field(
        0.5, gt=0, lt=1, description="semi_kmeans: share of each class's labelled samples that are scored, not pinned"
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


class CalinskiHarabasz(Section):
    """The k whose clusters of the pool lie farthest apart for their own spread (Caliński and Harabasz 1974)."""

    kind: Literal["calinski_harabasz"] = "calinski_harabasz"
    low: _Low = None
    high: _High = None
    restarts: _Restarts = 10
    max_samples: _PoolSample = None


class DaviesBouldin(Section):
    """The k whose clusters of the pool are least like their nearest one (Davies and Bouldin 1979).

    Tends to run away with k: bound the range.
    """

    kind: Literal["davies_bouldin"] = "davies_bouldin"
    low: _Low = None
    high: _High = None
    restarts: _Restarts = 10
    max_samples: _PoolSample = None


class Elbow(Section):
    """The k at which the inertia of the pool's k-means stops falling steeply (Kneedle, Satopää et al. 2011).

    Depends on the range, whose ends it never answers.
    """

    kind: Literal["elbow"] = "elbow"
    low: int | None = Field(None, ge=2, description="least k tried; default: number of known classes (ncd: and 1)")
    high: _High = None
    restarts: _Restarts = 10
    max_samples: _PoolSample = None


CountingConfig = Annotated[
    Fixed | LeftToClustering | MaxAcc | Silhouette | CalinskiHarabasz | DaviesBouldin | Elbow,
    Field(discriminator="kind"),
]
