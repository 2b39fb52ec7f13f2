"""The recipe: what an experiment is. Frozen, checked without importing torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ncdcli.clustering.kinds import ClusterConfig, SemiGmm
from ncdcli.counting.kinds import CountingConfig, MaxAcc
from ncdcli.data.kinds import DataConfig
from ncdcli.joint.kinds import JointTrainingConfig
from ncdcli.models.kinds import BackboneConfig
from ncdcli.objectives.kinds import PretrainConfig
from ncdcli.recipe.base import ADDED, Section, Version
from ncdcli.tune.section import TuneConfig


class EmbedConfig(Section):
    """How embeddings are written.

    Unit length is chosen apart for training (`latent_norm` of the objectives `pbn` and `cross_entropy`), for counting
    and for clustering. With `normalize: false` counting is on embeddings as they are, or with
    `estimate_k.normalize: true` on unit length; clustering is of embeddings as they are, or with `spherical: true` by
    cosine (`kmeans`; `snc` has it by default). Other kinds of clustering see unit length with `normalize: true` alone,
    and then counting does too: what was scaled has lost its lengths.
    """

    normalize: bool = Field(
        True,
        description="scale each embedding to unit length, for counting and for clustering; false: "
        "`estimate_k.normalize` and, for some kinds of clustering, `spherical` decide",
    )
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "fp32", description="auto: bf16 where the processor has it, else fp32; fp16: for GPUs that have no bf16"
    )


class EvaluateConfig(Section):
    """How clusters are scored. All protocols that apply are computed; this names the headline."""

    protocol: Literal["gcd_v2", "gcd_v1", "gcd_v2_balanced", "ncd_task_aware", "ncd_task_agnostic"] | None = Field(
        None,
        description="the headline; default: gcd_v2, or ncd_task_aware where the pool holds novel classes only",
    )
    split: Literal["unlabelled", "test"] = Field("unlabelled", description="transductive, or inductive")
    stability_seeds: int = Field(
        3, ge=0, description="re-clusterings with other seeds, compared by ARI, unless k is great; 0: none"
    )


class ReportConfig(Section):
    """How the page looks that shows what was found; no number depends on it."""

    map: Literal["tsne", "umap", "pca"] = Field(
        "tsne", description="beside PCA, which is always drawn: t-SNE, UMAP (extra `umap`), or nothing (pca)"
    )
    samples: int = Field(
        8, ge=1, le=24, description="central, random and borderline samples of a cluster, each; fewer for many clusters"
    )


SCORES = (
    "gcd_v2", "gcd_v1", "gcd_v2_balanced", "balanced_accuracy", "nmi", "ari", "known_accuracy",
    "ncd_task_aware", "ncd_task_agnostic", "ncd_task_agnostic_strict",
)  # fmt: skip
_METRIC = rf"^(({'|'.join(SCORES)})\.(unlabelled|test|validation)\.(all|known|novel)|k\.(estimated|error))$"


class Expected(Section):
    """A published figure that runs of the recipe should come near. It changes no number."""

    metric: str = Field(pattern=_METRIC, description="a score, `gcd_v2.unlabelled.novel`; or `k.estimated`, `k.error`")
    mean: float = Field(description="the published figure: scores in percent, k as a number")
    sd: float | None = Field(None, ge=0, description="its standard deviation over runs, in the same unit")
    source: str = Field("", description="where it is published")
    tolerance: float | None = Field(
        None, ge=0, description="how far ours may be from it, on either side; default: 2 sd"
    )

    @property
    def allowed(self) -> float:
        """How far ours may be from the published figure."""
        return self.tolerance if self.tolerance is not None else 2 * (self.sd or 0.0)


class Recipe(Section):
    """One experiment, from data to scores."""

    version: Version = Field(1, description="of the form of recipes")
    name: str = Field(
        min_length=1,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$",
        description="letters, digits, `.`, `_` and `-`, the first a letter or a digit; names the run folder",
    )
    description: str = Field("", description="what the experiment is for, in your own words")
    seed: int = Field(0, ge=0, description="every random stream of the run starts from it")
    data: DataConfig
    backbone: BackboneConfig
    pretrain: PretrainConfig = Field(default_factory=PretrainConfig)
    embed: EmbedConfig = Field(default_factory=EmbedConfig)
    estimate_k: CountingConfig = Field(default_factory=MaxAcc)
    joint_training: Annotated[JointTrainingConfig | None, ADDED] = Field(
        None, description="a method that learns embedding and clusters together; default: none"
    )
    cluster: ClusterConfig = Field(default_factory=SemiGmm)
    evaluate: EvaluateConfig = Field(default_factory=EvaluateConfig)
    report: ReportConfig = Field(default_factory=ReportConfig)
    expected: tuple[Expected, ...] = Field((), description="published figures, shown beside ours; not inherited")
    tune: Annotated[TuneConfig | None, ADDED] = Field(None, description="what `ncd tune` searches; not inherited")
