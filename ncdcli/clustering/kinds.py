"""Clustering methods by `kind`. Adding one = one class (named in `ClusterConfig`) and one row here, one file."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ncdcli.recipe.base import Package, Section

# Each value is a function `cluster(problem, config, rng, progress) -> Clustering` (see `ncdcli.clustering.base`).
KINDS = {
    "kmeans": "ncdcli.clustering.kmeans:cluster",
    "semi_kmeans": "ncdcli.clustering.semi_kmeans:cluster",
    "ward": "ncdcli.clustering.ward:cluster",
}


class ClusterSection(Section):
    """What is known of a kind of clustering without importing its code."""

    k: ClassVar[Literal["needs", "may find", "finds"]] = "needs"  # may find: where `estimate_k` leaves k to it
    package: ClassVar[Package | None] = None


class KMeans(ClusterSection):
    """k-means on labelled and unlabelled samples together; labels are used only to name clusters afterwards."""

    kind: Literal["kmeans"] = "kmeans"
    restarts: int = Field(10, ge=1, description="runs from other starts; the one with the lowest objective counts")
    iterations: int = Field(100, ge=1, description="of Lloyd's algorithm, at most")
    seeding: Literal["kmeans++", "random"] = Field("kmeans++", description="how the first centroids are drawn")
    spherical: bool = Field(False, description="cosine in place of Euclidean distance")


class SemiKMeans(ClusterSection):
    """k-means in which labelled samples are pinned to their class (GCD, Vaze et al. 2022)."""

    kind: Literal["semi_kmeans"] = "semi_kmeans"
    init: Literal["matched", "gcd"] = Field(
        "matched",
        description="start: unmatched centroids of plain k-means, or GCD's k-means++ from known means",
    )
    restarts: int = Field(10, ge=1, description="runs from other starts; the one with the lowest objective counts")
    iterations: int = Field(200, ge=1, description="of Lloyd's algorithm, at most")
    tolerance: float = Field(1e-4, ge=0, description="stop when (sum of centre moves)² is below this")


class Ward(ClusterSection):
    """Ward's agglomerative clustering of embeddings that are smoothed by mean shift (CMS, Choi et al. 2024)."""

    kind: Literal["ward"] = "ward"
    mean_shift: int = Field(
        10, ge=0, description="rounds of smoothing at most; labelled samples tell when to stop; 0: plain Ward"
    )
    alpha: float = Field(0.5, gt=0, le=1, description="how far a round moves a sample to the mean of its neighbours")
    neighbours: int = Field(8, ge=1, description="nearest samples by cosine that a round looks at")
    max_samples: int = Field(
        10_000, ge=100, description="trees are quadratic in memory: rows to cluster; others go to the nearest mean"
    )


ClusterConfig = Annotated[KMeans | SemiKMeans | Ward, Field(discriminator="kind")]
