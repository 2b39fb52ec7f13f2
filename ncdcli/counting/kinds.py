"""Estimators of the number of classes by `kind`.

Adding one = one class (named in `CountingConfig`) and one row here, one file.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ncdcli.recipe.base import ADDED, Section

# Each value is a function `estimate(problem, config, rng, progress) -> CountEstimate` (see `ncdcli.counting.base`).
KINDS = {
    "fixed": "ncdcli.counting.fixed:estimate",
    "none": "ncdcli.counting.fixed:leave_to_clustering",
    "max_acc": "ncdcli.counting.max_acc:estimate",
    "silhouette": "ncdcli.counting.silhouette:estimate",
    "calinski_harabasz": "ncdcli.counting.dispersion:calinski_harabasz",
    "davies_bouldin": "ncdcli.counting.dispersion:davies_bouldin",
    "elbow": "ncdcli.counting.dispersion:elbow",
    "ward_acc": "ncdcli.counting.ward_acc:estimate",
    "prototype_score": "ncdcli.counting.prototype_score:estimate",
    "dtc": "ncdcli.counting.dtc:estimate",
    "snc_score": "ncdcli.counting.snc_score:estimate",
    "size_filter": "ncdcli.counting.size_filter:all_large",
    "matched_size_filter": "ncdcli.counting.size_filter:unmatched_large",
    "split_merge": "ncdcli.counting.split_merge:estimate",
    "consensus": "ncdcli.counting.consensus:estimate",
}

# Fields that several sections have.
_KnownLow = Annotated[int | None, Field(ge=2, description="least k tried; default: number of known classes")]
_Low = Annotated[int | None, Field(ge=2, description="least k tried; default: number of known classes (ncd: and 2)")]
_High = Annotated[
    int | None, Field(ge=2, description="greatest k tried; default: 3 × known classes + 10 (ncd: 29 or more)")
]
_Restarts = Annotated[
    int, Field(ge=1, description="k-means runs for every k; the one with the lowest objective counts")
]
_KnownHigh = Annotated[int | None, Field(ge=2, description="greatest k tried; default: 3 × known classes + 10")]
_Search = Annotated[Literal["brent", "all"], Field(description="bounded search, memoised on the integer, or every k")]
_Ties = Annotated[
    Literal["silhouette", "smallest"],
    Field(description="which of the k that labelled samples cannot tell apart: best pool clusters, or least k"),
]
_Member = Literal[
    "max_acc", "silhouette", "calinski_harabasz", "davies_bouldin", "elbow", "ward_acc", "prototype_score", "dtc",
    "snc_score", "size_filter", "matched_size_filter", "split_merge",
]  # fmt: skip
_PoolSample = Annotated[int | None, Field(ge=100, description="estimate on a sample of so many unlabelled rows")]


class CountingSection(Section):
    """What every estimator has that looks at embeddings."""

    normalize: bool = Field(
        False,
        description="count on embeddings scaled to unit length (PBN), also where they are clustered as they are "
        "(with `embed.normalize: true` they always are)",
    )


class Fixed(Section):
    """The number of classes is given: known and novel ones together. There is no curve and no cost then."""

    kind: Literal["fixed"] = "fixed"
    k: int = Field(ge=2, description="known and novel classes together")


class LeftToClustering(Section):
    """No estimate: the clustering method finds the number of classes itself."""

    kind: Literal["none"] = "none"


class MaxAcc(CountingSection):
    """GCD's criterion: the k whose k-means agrees best with the labelled samples."""

    kind: Literal["max_acc"] = "max_acc"
    low: _KnownLow = None
    high: _KnownHigh = None
    search: _Search = "brent"
    ties: _Ties = "silhouette"
    clustering: Literal["kmeans", "semi_kmeans"] = Field(
        "kmeans", description="GCD's plain k-means, or one with labelled samples pinned, scored on those held out of it"
    )
    held_out: float = Field(
        0.5, gt=0, lt=1, description="semi_kmeans: share of each class's labelled samples that are scored, not pinned"
    )
    restarts: int = Field(
        10, ge=1, description="k-means runs for every k; the lowest objective counts, brent goes by the mean of half"
    )
    max_samples: int | None = Field(None, ge=100, description="estimate on a sample of so many rows")


class Silhouette(CountingSection):
    """PBN's criterion: the k with the greatest mean silhouette on unlabelled samples."""

    kind: Literal["silhouette"] = "silhouette"
    low: int | None = Field(None, ge=2, description="least k tried; default: number of known classes (ncd: and 2)")
    high: int | None = Field(
        None, ge=2, description="greatest k tried; default: 3 × known classes + 10 (ncd: 29 or more)"
    )
    restarts: int = Field(10, ge=1, description="k-means runs for every k; the one with the lowest objective counts")
    max_samples: int = Field(5000, ge=100, description="silhouette is quadratic: computed on so many rows at most")


class CalinskiHarabasz(CountingSection):
    """The k whose clusters of the pool lie farthest apart for their own spread (Caliński and Harabasz 1974)."""

    kind: Literal["calinski_harabasz"] = "calinski_harabasz"
    low: _Low = None
    high: _High = None
    restarts: _Restarts = 10
    max_samples: _PoolSample = None


class DaviesBouldin(CountingSection):
    """The k whose clusters of the pool are least like their nearest one (Davies and Bouldin 1979).

    Tends to run away with k: bound the range.
    """

    kind: Literal["davies_bouldin"] = "davies_bouldin"
    low: _Low = None
    high: _High = None
    restarts: _Restarts = 10
    max_samples: _PoolSample = None


class Elbow(CountingSection):
    """The k at which the inertia of the pool's k-means stops falling steeply (Kneedle, Satopää et al. 2011).

    Depends on the range, whose ends it never answers.
    """

    kind: Literal["elbow"] = "elbow"
    low: int | None = Field(None, ge=2, description="least k tried; default: number of known classes (ncd: and 1)")
    high: _High = None
    restarts: _Restarts = 10
    max_samples: _PoolSample = None


class WardAcc(CountingSection):
    """CMS's criterion: the k at which Ward's tree, cut there, agrees best with the labelled samples."""

    kind: Literal["ward_acc"] = "ward_acc"
    low: _KnownLow = None
    high: _KnownHigh = None
    patience: int | None = Field(
        None, ge=1, description="stop after so many greater k that agree no better (CMS: 50); default: try every k"
    )
    ties: _Ties = "silhouette"
    max_samples: int = Field(5000, ge=100, description="Ward's tree is quadratic: built of so many rows at most")


class PrototypeScore(CountingSection):
    """ProtoGCD's criterion: held-out labelled samples, and class centroids, fit semi-supervised k-means best."""

    kind: Literal["prototype_score"] = "prototype_score"
    low: _KnownLow = None
    high: _KnownHigh = None
    search: _Search = "all"
    ties: _Ties = "silhouette"
    held_out: float = Field(
        0.5, gt=0, lt=1, description="share of each class's labelled samples that are scored, not pinned"
    )
    restarts: int = Field(3, ge=1, description="runs for every k; the one with the lowest objective counts")
    max_samples: int | None = Field(None, ge=100, description="estimate on a sample of so many rows")


class Dtc(CountingSection):
    """DTC's criterion: accuracy on validation classes, and silhouette, of k-means with anchor classes pinned."""

    kind: Literal["dtc"] = "dtc"
    low: _KnownLow = None
    high: _KnownHigh = None
    anchor_ratio: float = Field(
        0.6, gt=0, lt=1, description="share of the known classes that is pinned (ImageNet: 0.9); the others are scored"
    )
    min_max_ratio: float = Field(
        0.01, ge=0, le=1, description="clusters smaller than this part of the largest are dropped (ImageNet: 0.3)"
    )
    restarts: int = Field(3, ge=1, description="runs for every k; the one with the lowest objective counts")
    max_samples: int = Field(5000, ge=100, description="silhouette is quadratic: computed on so many rows at most")


class SncScore(CountingSection):
    """CiPR's criterion: accuracy on held-out known classes × silhouette, in the hierarchy of selective neighbours."""

    normalize: Annotated[bool, ADDED] = Field(
        False, description="count on embeddings scaled to unit length; `spherical` does so and compares by cosine too"
    )
    kind: Literal["snc_score"] = "snc_score"
    low: _KnownLow = None
    high: _KnownHigh = None
    anchor_ratio: float = Field(
        0.8, gt=0, lt=1, description="share of the known classes whose labels guide the hierarchy (CIFAR-10: 0.6)"
    )
    spherical: bool = Field(True, description="neighbours by cosine in place of Euclidean distance")
    max_samples: int = Field(5000, ge=100, description="the hierarchy is quadratic: built of so many rows at most")


_FilterHigh = Annotated[
    int | None,
    Field(ge=2, description="K': so many clusters are made, more than there are classes; default: 3 × known + 10"),
]
_SizeRatio = Annotated[
    float, Field(gt=0, description="clusters of at least so many times the mean size are counted (DPN: 0.9)")
]
_FilterRestarts = Annotated[int, Field(ge=1, description="k-means runs; the answer is the median of their counts")]


class SizeFilter(CountingSection):
    """DeepAligned's criterion: of K' clusters, more than there are classes, those of at least the mean size count."""

    kind: Literal["size_filter"] = "size_filter"
    high: _FilterHigh = None
    size_ratio: _SizeRatio = 1.0
    restarts: _FilterRestarts = 10
    max_samples: int | None = Field(None, ge=100, description="estimate on a sample of so many rows")


class MatchedSizeFilter(CountingSection):
    """USNID's criterion: as `size_filter`, but clusters matched to labelled class means count whatever their size."""

    kind: Literal["matched_size_filter"] = "matched_size_filter"
    high: _FilterHigh = None
    size_ratio: _SizeRatio = 1.0
    restarts: _FilterRestarts = 10
    max_samples: int | None = Field(None, ge=100, description="estimate on a sample of so many rows")


class SplitMerge(CountingSection):
    """GPC's criterion: where splits and merges of a semi-supervised Gaussian mixture end."""

    kind: Literal["split_merge"] = "split_merge"
    low: int | None = Field(None, ge=2, description="least answer; default: number of known classes (ncd: one more)")
    high: int | None = Field(None, ge=2, description="greatest answer; default: 3 × known classes + 10")
    start: int | None = Field(None, ge=1, description="clusters to begin with; default: the mixture's own")
    rounds: int = Field(30, ge=1, description="of splits and merges, at most")
    explore: float = Field(0.0, ge=0, le=1, description="chance of a split or merge that the ratio refuses (GPC: 0.1)")
    restarts: int = Field(5, ge=1, description="runs from other starts; the answer is the median of theirs")
    max_samples: int | None = Field(None, ge=100, description="estimate on a sample of so many rows")


class Consensus(CountingSection):
    """The median of several criteria, each with its default settings."""

    kind: Literal["consensus"] = "consensus"
    of: tuple[_Member, ...] = Field(
        ("max_acc", "ward_acc", "elbow", "size_filter"),
        min_length=1,
        description="criteria; named twice, one counts twice",
    )
    low: int | None = Field(None, ge=2, description="least k tried, of every criterion that has one; default: its own")
    high: int | None = Field(None, ge=2, description="greatest k tried; default: each criterion's own")


CountingConfig = Annotated[
    Fixed
    | LeftToClustering
    | MaxAcc
    | Silhouette
    | CalinskiHarabasz
    | DaviesBouldin
    | Elbow
    | WardAcc
    | PrototypeScore
    | Dtc
    | SncScore
    | SizeFilter
    | MatchedSizeFilter
    | SplitMerge
    | Consensus,
    Field(discriminator="kind"),
]

# kind -> its section, of the criteria that `consensus` may name.
SECTIONS: dict[str, type[Section]] = {
    "max_acc": MaxAcc,
    "silhouette": Silhouette,
    "calinski_harabasz": CalinskiHarabasz,
    "davies_bouldin": DaviesBouldin,
    "elbow": Elbow,
    "ward_acc": WardAcc,
    "prototype_score": PrototypeScore,
    "dtc": Dtc,
    "snc_score": SncScore,
    "size_filter": SizeFilter,
    "matched_size_filter": MatchedSizeFilter,
    "split_merge": SplitMerge,
}
