"""Clustering methods by `kind`. Adding one = one class (named in `ClusterConfig`) and one row here, one file."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ncdcli.clustering.mixture_kinds import Gmm, SemiGmm
from ncdcli.clustering.section import RESTARTS_RULE, ClusterSection, RestartsRule, RestartsRuleWithoutLabels
from ncdcli.recipe.base import Package

# Each value is a function `cluster(problem, config, rng, progress) -> Clustering` (see `ncdcli.clustering.base`).
KINDS = {
    "kmeans": "ncdcli.clustering.kmeans:cluster",
    "semi_kmeans": "ncdcli.clustering.semi_kmeans:cluster",
    "semi_gmm": "ncdcli.clustering.semi_gmm:cluster",
    "ncd_kmeans": "ncdcli.clustering.ncd_kmeans:cluster",
    "spectral": "ncdcli.clustering.spectral:cluster",
    "ncd_spectral": "ncdcli.clustering.ncd_spectral:cluster",
    "ward": "ncdcli.clustering.ward:cluster",
    "snc": "ncdcli.clustering.snc:cluster",
    "laplacian": "ncdcli.clustering.laplacian:cluster",
    "hdbscan": "ncdcli.clustering.hdbscan:cluster",
    "leiden": "ncdcli.clustering.leiden:cluster",
    "ddfa": "ncdcli.clustering.ddfa:cluster",
    "gmm": "ncdcli.clustering.gmm:cluster",
    "head": "ncdcli.clustering.head:cluster",
}


class KMeans(ClusterSection):
    """k-means on labelled and unlabelled samples together; labels are used only to name clusters afterwards."""

    kind: Literal["kmeans"] = "kmeans"
    restarts: int = Field(10, ge=1, description="runs from other starts; see `restarts_rule`")
    restarts_rule: RestartsRule = Field("consensus", description=RESTARTS_RULE)
    iterations: int = Field(100, ge=1, description="of Lloyd's algorithm, at most")
    seeding: Literal["greedy", "kmeans++", "random"] = Field(
        "greedy",
        description="how rows to start from are drawn: k-means++, best of several a step (greedy) or not; or at random",
    )
    seeding_rows: int | None = Field(None, ge=1, description="… from a random sample of so many rows; default: all")
    spherical: bool = Field(False, description="cosine in place of Euclidean distance")


class SemiKMeans(ClusterSection):
    """k-means in which labelled samples are pinned to their class (GCD, Vaze et al. 2022)."""

    kind: Literal["semi_kmeans"] = "semi_kmeans"
    init: Literal["mixed", "matched", "gcd", "greedy"] = Field(
        "mixed",
        description="starts: unmatched centroids of plain k-means (matched); GCD's k-means++ from known means (gcd); "
        "the same with the best of several candidates a step (greedy); or matched and gcd by turns (mixed)",
    )
    restarts: int = Field(20, ge=1, description="runs from other starts; see `restarts_rule`")
    restarts_rule: RestartsRule = Field("consensus", description=RESTARTS_RULE)
    restart_criterion: Literal["squared", "unsquared"] = Field(
        "squared",
        description="the objective of a restart is its sum of squared, or of plain, distances; it decides by the rules "
        "lowest_objective and held_out, and only orders the restarts of a consensus",
    )
    balance: float | None = Field(
        None, ge=1, description="no cluster has more than so many times the mean size (SelEx: 1); default: any size"
    )
    seeding_rows: int | None = Field(None, ge=1, description="starts are drawn from so many random rows; default: all")
    iterations: int = Field(200, ge=1, description="of Lloyd's algorithm, at most")
    tolerance: float = Field(1e-4, ge=0, description="stop when (sum of centre moves)² is below this")


class NcdKMeans(ClusterSection):
    """k-means of the pool alone whose novel centroids start away from the known class means (NCD k-means, PBN, 2024).

    `seeding_power: 2, restart_criterion: squared` is the paper's Algorithm 2; the defaults are its released code, which
    the published figures come from.
    """

    kind: Literal["ncd_kmeans"] = "ncd_kmeans"
    restarts: int = Field(10, ge=1, description="runs from other starts; see `restarts_rule`")
    restarts_rule: RestartsRuleWithoutLabels = Field("lowest_objective", description=RESTARTS_RULE)
    iterations: int = Field(300, ge=1, description="of Lloyd's algorithm, at most")
    tolerance: float = Field(1e-4, ge=0, description="stop when (sum of centre moves)² is below this")
    seed_from: Literal["known", "none"] = Field(
        "known", description="novel centroids are drawn by distance to known means and each other, or to each other"
    )
    seeding_power: int = Field(1, ge=1, le=2, description="… with a chance in proportion to distance ^ this")
    restart_criterion: Literal["squared", "unsquared"] = Field(
        "unsquared", description="the objective of a restart is its sum of squared, or of plain, distances"
    )


class Spectral(ClusterSection):
    """Normalised spectral clustering: k-means of the leading eigenvectors of a similarity graph."""

    kind: Literal["spectral"] = "spectral"
    affinity: Literal["gaussian", "knn"] = Field(
        "knn", description="rows are similar by a Gaussian of their distance (PBN), or as nearest neighbours"
    )
    similarity: float = Field(
        0.6, gt=0, lt=1, description="of the rows that the longest edge of the spanning tree joins, for `gaussian`"
    )
    sigma_convention: Literal["paper", "released"] = Field(
        "paper", description="how that gives the Gaussian's width; PBN's released code leaves out a factor 2"
    )
    neighbours: int = Field(10, ge=1, description="of each row, for `knn`")
    components: int | None = Field(None, ge=1, description="eigenvectors to cluster by; default: number of clusters")
    scaling: Literal["none", "degree", "unit"] = Field(
        "unit", description="of a row's coordinates: as they are, as scikit-learn has them, or to unit length"
    )
    restarts: int = Field(10, ge=1, description="of the k-means of the eigenvectors; see `restarts_rule`")
    restarts_rule: RestartsRuleWithoutLabels = Field("consensus", description=RESTARTS_RULE)
    iterations: int = Field(300, ge=1, description="of Lloyd's algorithm, at most")
    restart_criterion: Literal["squared", "unsquared"] = Field(
        "unsquared", description="the objective of a restart is its sum of squared, or of plain, distances"
    )
    max_samples: int | None = Field(
        None, ge=100, description="rows in the graph, others are added (Nyström); default: 4000, 20000 for `knn`"
    )


class NcdSpectral(ClusterSection):
    """Spectral clustering whose graph is chosen by how well it finds the known classes (PBN, Troisemaine et al. 2024).

    `similarity` and `components` are drawn at random, and the pair counts whose clusters agree best with the labelled
    samples. With both given there is no search.
    """

    kind: Literal["ncd_spectral"] = "ncd_spectral"
    similarity: float | None = Field(
        None, gt=0, lt=1, description="of the rows that the longest edge of the spanning tree joins; default: searched"
    )
    components: int | None = Field(None, ge=1, description="eigenvectors to cluster by; default: searched")
    similarities: int = Field(20, ge=1, description="values of `similarity` to try: one decomposition each")
    trials: int = Field(5, ge=1, description="values of `components` to try with each; 1: independent pairs")
    max_components: int = Field(200, ge=1, description="greatest value of `components` to try")
    sigma_convention: Literal["paper", "released"] = Field(
        "paper", description="how `similarity` gives the Gaussian's width; PBN's released code leaves out a factor 2"
    )
    scaling: Literal["none", "degree", "unit"] = Field(
        "none", description="of a row's coordinates: as they are, as scikit-learn has them, or to unit length"
    )
    restarts: int = Field(10, ge=1, description="of the k-means of the eigenvectors; see `restarts_rule`")
    restarts_rule: RestartsRuleWithoutLabels = Field("consensus", description=RESTARTS_RULE)
    iterations: int = Field(300, ge=1, description="of Lloyd's algorithm, at most")
    restart_criterion: Literal["squared", "unsquared"] = Field(
        "unsquared", description="the objective of a restart is its sum of squared, or of plain, distances"
    )
    max_samples: int = Field(
        4000, ge=100, description="rows to decompose, at random; the others are placed among them (Nyström)"
    )
    search_samples: int = Field(1500, ge=50, description="of these, rows that the search decomposes again and again")


class Ward(ClusterSection):
    """Ward's clustering of embeddings that are smoothed by mean shift, which can find k (CMS, Choi et al. 2024)."""

    k: ClassVar[Literal["needs", "may find", "finds"]] = "may find"

    kind: Literal["ward"] = "ward"
    mean_shift: int = Field(
        10, ge=0, description="rounds of smoothing at most; labelled samples tell when to stop; 0: plain Ward"
    )
    alpha: float = Field(0.5, gt=0, le=1, description="how far a round moves a sample to the mean of its neighbours")
    neighbours: int = Field(8, ge=1, description="nearest samples by cosine that a round looks at")
    max_samples: int = Field(
        10_000, ge=100, description="trees are quadratic in memory: rows to cluster; others go to the nearest mean"
    )


class Snc(ClusterSection):
    """Hierarchy of first neighbours that keeps known classes apart and can count clusters (CiPR, Hao et al. 2024)."""

    k: ClassVar[Literal["needs", "may find", "finds"]] = "may find"

    kind: Literal["snc"] = "snc"
    spherical: bool = Field(True, description="neighbours by cosine in place of Euclidean distance")
    held_out: float = Field(
        0.2, ge=0, lt=1, description="where no k is given: share of the known classes that tell which level is best"
    )


class Laplacian(ClusterSection):
    """Soft k-means in which neighbours vote for each other and labelled samples are fixed (Ziko et al. 2020)."""

    kind: Literal["laplacian"] = "laplacian"
    weight: float = Field(3.0, ge=0, description="of the neighbours' votes; 1: that of the gap between two centroids")
    neighbours: int = Field(10, ge=1, description="nearest samples that vote")
    temperature: float = Field(
        0.6, gt=0, description="softness of memberships, in the same unit; above a fifth of `weight` they may dissolve"
    )
    iterations: int = Field(100, ge=1, description="of memberships and centroids in turn, at most")
    tolerance: float = Field(1e-6, ge=0, description="stop when the objective falls by less, in its own size")
    restarts: int = Field(20, ge=1, description="of the semi-supervised k-means that it starts from")


class Hdbscan(ClusterSection):
    """Dense regions of any shape, and as many as there are (HDBSCAN, Campello et al. 2013; scikit-learn's).

    Samples that it calls noise go to the cluster with the nearest mean.
    """

    k: ClassVar[Literal["needs", "may find", "finds"]] = "finds"

    kind: Literal["hdbscan"] = "hdbscan"
    min_cluster_size: int = Field(15, ge=2, description="samples that make a cluster, at least")
    min_samples: int = Field(5, ge=1, description="nearest samples, itself among them, that tell how dense a place is")
    selection: Literal["eom", "leaf"] = Field("eom", description="the most stable clusters, or the smallest ones")
    max_samples: int = Field(
        10_000, ge=100, description="quadratic in memory: rows to cluster; others go to the nearest mean"
    )


class Leiden(ClusterSection):
    """Communities of the graph of nearest neighbours (Leiden, Traag et al. 2019; extra `leiden`)."""

    k: ClassVar[Literal["needs", "may find", "finds"]] = "may find"
    package: ClassVar[Package] = Package("igraph", "pip install 'ncd-cli[leiden]'")

    kind: Literal["leiden"] = "leiden"
    neighbours: int = Field(15, ge=1, description="nearest samples that are joined to each")
    resolution: float = Field(
        1.0, gt=0, description="greater: more communities; where k is given, only where the search for it begins"
    )
    iterations: int = Field(-1, ge=-1, description="of the algorithm; -1: until nothing changes")


class Ddfa(ClusterSection):
    """Classes told apart by how often they occur in different domains (DDFA, Roberts et al. 2022).

    Needs data that say where each sample comes from, and at least as many domains as classes.
    """

    needs_domains: ClassVar[bool] = True

    kind: Literal["ddfa"] = "ddfa"
    classifier: Literal["logistic", "mlp"] = Field(
        "logistic", description="that tells domains apart: linear in the embedding, or with a hidden layer"
    )
    folds: int = Field(5, ge=2, description="parts of the data that are scored by a classifier trained on the others")
    cells: int | None = Field(
        None, ge=2, description="groups of samples with like domain probabilities; default: as many as clusters"
    )
    restarts: int = Field(10, ge=1, description="of the k-means that makes the cells")
    iterations: int = Field(1000, ge=1, description="of the factorisation, at most")


class Head(ClusterSection):
    """The argmax of the classifier that `joint_training` has trained: what its method itself answers."""

    k: ClassVar[Literal["needs", "may find", "finds"]] = "may find"  # as many as the classifier has
    needs_logits: ClassVar[bool] = True

    kind: Literal["head"] = "head"


ClusterConfig = Annotated[
    KMeans
    | SemiKMeans
    | SemiGmm
    | NcdKMeans
    | Spectral
    | NcdSpectral
    | Ward
    | Snc
    | Laplacian
    | Hdbscan
    | Leiden
    | Ddfa
    | Gmm
    | Head,
    Field(discriminator="kind"),
]
