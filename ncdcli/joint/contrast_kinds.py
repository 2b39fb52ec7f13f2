"""Settings of the joint methods that go on with contrastive losses."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from ncdcli.joint.section import JointSection


class ProjectorSection(JointSection):
    """What kinds share that train GCD's two contrastive losses behind a projector."""

    supervised_weight: float = Field(0.35, ge=0, le=1, description="of supervised losses; 1 − it of the others")
    unsupervised_temperature: float = Field(1.0, gt=0, description="of InfoNCE")
    supervised_temperature: float = Field(0.07, gt=0, description="of SupCon")
    projector_hidden: int = Field(2048, ge=1, description="width of the hidden layers before the contrastive losses")
    projector_out: int = Field(256, ge=1, description="values that the contrastive losses compare")
    projector_layers: int = Field(3, ge=1, description="linear layers before the contrastive losses")


class ContrastSection(ProjectorSection):
    """What kinds share that train a cosine classifier beside these losses."""

    temperature: float = Field(0.1, gt=0, description="of the classifier's cosines")
    memax_weight: float = Field(
        1.0, ge=0, description="of the mean prediction's lack of entropy (SimGCD: 4 CIFAR-100, 2 CUB, 1 elsewhere)"
    )
    start: Literal["random", "clusters"] = Field(
        "random", description="classifier weights: drawn (as published), or centroids of semi-supervised k-means"
    )


class SimGCD(ContrastSection):
    """SimGCD: a cosine classifier over all classes that teaches itself, with a bound on its mean entropy."""

    kind: Literal["simgcd"] = "simgcd"
    teacher_temperature: float = Field(0.04, gt=0, description="of the predictions that teach, after their warm-up")
    teacher_first_temperature: float = Field(0.07, gt=0, description="… at the start of it")
    teacher_warmup_epochs: int = Field(30, ge=0, description="epochs over which it goes from one to the other")


class ProtoGCD(ContrastSection):
    """ProtoGCD: a cosine classifier taught by its own answers, of which ever more are hard, with prototypes apart."""

    kind: Literal["protogcd"] = "protogcd"
    memax_weight: float = Field(2.0, ge=0, description="of the mean prediction's lack of entropy")
    separation_weight: float = Field(
        0.1, ge=0, description="of the nearness of prototypes to each other (published: 0.1 CIFAR-100, 0.05 CUB)"
    )
    teacher_temperature: float = Field(0.05, gt=0, description="of the soft predictions that teach")
    hard_ramp_epochs: int = Field(
        100, ge=0, description="epochs over which all predictions that teach become hard, the surest ones first"
    )


class Gpc(ProjectorSection):
    """GPC: embeddings drawn to the prototypes of a Gaussian mixture that is fitted anew, k included, as they change."""

    k: ClassVar[Literal["needs", "may find", "finds"]] = "may find"
    classifies: ClassVar[bool] = False

    kind: Literal["gpc"] = "gpc"
    projector_out: int = Field(128, ge=1, description="values that the contrastive losses compare")
    prototype_weight: float = Field(1.0, ge=0, description="of the cross-entropy over prototypes")
    concentration: float = Field(
        1.0, gt=0, description="mean over clusters of the temperature of their prototypes, which grows with their width"
    )
    warmup_epochs: int = Field(5, ge=0, description="first epochs, without prototypes")
    refresh_epochs: int = Field(1, ge=1, description="after how many epochs the mixture is fitted again")
    restarts: int = Field(10, ge=1, description="of the k-means that the mixture starts from")
    rounds: int = Field(30, ge=1, description="of splits and merges before an epoch, at most")
    first_k: int | None = Field(
        None, ge=1, description="clusters that they begin with; default: k, or twice the known classes"
    )


class Cms(ProjectorSection):
    """CMS: InfoNCE between views that are drawn to the mean of their nearest samples (contrastive mean shift)."""

    k: ClassVar[Literal["needs", "may find", "finds"]] = "may find"
    classifies: ClassVar[bool] = False

    kind: Literal["cms"] = "cms"
    unsupervised_temperature: float = Field(0.3, gt=0, description="of InfoNCE (fine-grained classes: 0.25)")
    projector_out: int = Field(768, ge=1, description="values of an embedding, which the losses compare")
    projector_bottleneck: int = Field(256, ge=1, description="values before the last layer, scaled to unit length")
    alpha: float = Field(0.5, gt=0, le=1, description="how far a view is moved to the mean of its neighbours")
    neighbours: int = Field(8, ge=1, description="nearest samples by cosine, as an epoch finds them")


class Selex(ProjectorSection):
    """SelEx: contrasts at every level of a hierarchy of balanced clusters, in which near samples are negatives."""

    classifies: ClassVar[bool] = False

    kind: Literal["selex"] = "selex"
    projector_out: int = Field(65536, ge=1, description="values that the losses compare; half of them for each level")
    projector_bottleneck: int = Field(256, ge=1, description="values before the last layer, scaled to unit length")
    smoothing: float = Field(
        1.0, ge=0, le=1, description="of InfoNCE's target, spread over samples of other clusters (published: 1 CUB, "
        "Cars; 0.5 Aircraft, Pets; 0.1 elsewhere)"
    )  # fmt: skip
    balance: float | None = Field(
        1.0, ge=1, description="no cluster has more than so many times the mean size; null: any size"
    )
    restarts: int = Field(1, ge=1, description="of the semi-supervised k-means of a level; the lowest objective counts")
    iterations: int = Field(10, ge=1, description="of each, at most")
    refresh_epochs: int = Field(1, ge=1, description="after how many epochs the hierarchy is made again")
