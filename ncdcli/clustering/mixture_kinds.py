"""Settings of the mixtures of Gaussians."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from ncdcli.clustering.section import RESTARTS_RULE, ClusterSection, RestartsRuleWithoutLabels


class Mixture(ClusterSection):
    """What mixtures of Gaussians share."""

    kind: str  # first, where every section has it
    covariance: Literal["tied", "full", "diagonal", "spherical"] = Field(
        "tied",
        description="one for all clusters; or of each cluster: any, along the axes, or the same in all directions",
    )
    dimensions: int | None = Field(
        64, ge=1, description="principal components in which the mixture is fitted; null: the embeddings as they are"
    )
    regularization: float = Field(
        0.01, gt=0, description="added to every variance, as a part of the mean variance of the columns"
    )
    restarts: int = Field(10, ge=1, description="of the k-means that gives the start; see `restarts_rule`")
    restarts_rule: RestartsRuleWithoutLabels = Field("lowest_objective", description=RESTARTS_RULE)
    iterations: int = Field(100, ge=1, description="of EM, at most")
    tolerance: float = Field(1e-3, ge=0, description="stop when the mean log-likelihood grows by less than this")


class SemiGmm(Mixture):
    """Gaussian mixture with labelled samples pinned, that can find k by splits and merges (GPC, Zhao et al. 2023)."""

    k: ClassVar[Literal["needs", "may find", "finds"]] = "may find"

    kind: Literal["semi_gmm"] = "semi_gmm"
    restarts: int = Field(10, ge=1, description="of the NCD k-means that gives the start; see `restarts_rule`")
    split_merge: bool | None = Field(
        None, description="find k by splits and merges, from k or `start`; default: where `estimate_k` gives no k"
    )
    start: int | None = Field(
        None, ge=1, description="clusters to begin the search of k with; default: k, or twice the known classes"
    )
    rounds: int = Field(30, ge=1, description="of splits and merges, at most")
    explore: float = Field(
        0.0, ge=0, le=1, description="chance of a split or merge that is not for the better (GPC: 0.1)"
    )
    calibrate: bool = Field(
        True, description="judge splits and merges so that known classes are neither split nor merged; false: as GPC"
    )
    ratio_dimensions: int | None = Field(
        None, ge=1, description="principal components to judge by; default: by known classes, 16 without `calibrate`"
    )
    mean_strength: float = Field(
        0.1, gt=0, description="rows that the prior of a cluster's mean is worth (GPC: 0.0001)"
    )


class Gmm(Mixture):
    """Gaussian mixture fitted by EM from several k-means; labels are used only to name clusters."""

    kind: Literal["gmm"] = "gmm"
    restarts_rule: RestartsRuleWithoutLabels = Field("consensus", description=RESTARTS_RULE)
