"""Clustering methods by `kind`. Adding one = one class and one row here, one file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ncdcli.recipe.base import Section

# Each value is a function `cluster(problem, config, rng, progress) -> Clustering` (see `ncdcli.clustering.base`).
KINDS = {
    "kmeans": "ncdcli.clustering.kmeans:cluster",
    "semi_kmeans": "ncdcli.clustering.semi_kmeans:cluster",
}


class KMeans(Section):
    """k-means on labelled and unlabelled samples together; labels are used only to name clusters afterwards."""

    kind: Literal["kmeans"] = "kmeans"
    restarts: int = Field(10, ge=1)
    iterations: int = Field(100, ge=1)
    seeding: Literal["kmeans++", "random"] = "kmeans++"
    spherical: bool = False


class SemiKMeans(Section):
    """k-means in which labelled samples are pinned to their class (GCD, Vaze et al. 2022)."""

    kind: Literal["semi_kmeans"] = "semi_kmeans"
    init: Literal["matched", "gcd"] = Field(
        "matched",
        description="start: unmatched centroids of plain k-means, or GCD's k-means++ from known means",
    )
    restarts: int = Field(10, ge=1)
    iterations: int = Field(200, ge=1)
    tolerance: float = Field(1e-4, ge=0, description="stop when (sum of centre moves)² is below this")


ClusterConfig = Annotated[KMeans | SemiKMeans, Field(discriminator="kind")]
