"""Joint methods by `kind`. Adding one = one class (named in `JointConfig`) and one row here, one file."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ncdcli.joint.contrast_kinds import Cms, Gpc, ProtoGCD, Selex, SimGCD
from ncdcli.joint.section import JointSection
from ncdcli.objectives.kinds import TrainingConfig
from ncdcli.recipe.base import ADDED, Section

# Each value is a class with the interface of `ncdcli.joint.base.JointMethod`.
KINDS = {
    "simgcd": "ncdcli.joint.simgcd:SimGCD",
    "gpc": "ncdcli.joint.gpc:Gpc",
    "cms": "ncdcli.joint.cms:Cms",
    "selex": "ncdcli.joint.selex:Selex",
    "pim": "ncdcli.joint.pim:Pim",
    "dtc": "ncdcli.joint.dtc:Dtc",
    "mcl": "ncdcli.joint.mcl:Mcl",
    "kcl": "ncdcli.joint.kcl:Kcl",
    "protogcd": "ncdcli.joint.protogcd:ProtoGCD",
    "uno": "ncdcli.joint.uno:Uno",
    "autonovel": "ncdcli.joint.autonovel:AutoNovel",
    "crncd": "ncdcli.joint.crncd:CrNcd",
    "tabular_ncd": "ncdcli.joint.tabular_ncd:TabularNcd",
}


class Pim(JointSection):
    """PIM: a linear classifier on frozen embeddings, with even classes and sure predictions on the pool."""

    views: ClassVar[int] = 1
    trains_backbone: ClassVar[bool] = False

    kind: Literal["pim"] = "pim"
    sureness_weight: float | None = Field(
        None, ge=0, description="of the entropy of the pool's predictions (published: 0.1 CIFAR-100, ImageNet-100, "
        "CUB; 0.2 Cars; 1 CIFAR-10, Herbarium); default: chosen among `candidates` by labelled samples"
    )  # fmt: skip
    candidates: tuple[float, ...] = Field(
        (0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0), min_length=1, description="weights to choose from; the first of equals"
    )
    search_steps: int = Field(1000, ge=1, description="of Adam on all rows, for each candidate")
    scale: float = Field(25.0, gt=0, description="what cosines are multiplied by: an inverse temperature")
    restarts: int = Field(100, ge=1, description="of the semi-supervised k-means that it starts from")


class Dtc(JointSection):
    """DTC: deep clustering of the pool, from a network that was trained on the known classes."""

    settings: ClassVar[tuple[str, ...]] = ("ncd",)

    kind: Literal["dtc"] = "dtc"
    variant: Literal["baseline", "pi", "te", "tep"] = Field(
        "pi",
        description="what assignments agree with: nothing else, another view, their average over epochs; "
        "or targets are made of that average",
    )
    consistency_weight: float = Field(
        10.0, ge=0, description="of the squared difference to these, at its height (published: 10 CIFAR, 100 ImageNet)"
    )
    rampup_epochs: int = Field(5, ge=0, description="over which it gets there")
    warmup_epochs: int = Field(10, ge=0, description="first epochs, towards the targets of the start (30 CIFAR-100)")
    refresh_epochs: int = Field(5, ge=1, description="after how many epochs targets are renewed (10 CIFAR-100)")
    restarts: int = Field(20, ge=1, description="of the k-means that it starts from")


class PairSection(JointSection):
    """What MCL and KCL share: a network that says which pairs of samples are similar."""

    views: ClassVar[int] = 1
    settings: ClassVar[tuple[str, ...]] = ("ncd",)

    compares: Literal["difference", "concatenation"] = Field(
        "difference",
        description="what that network sees of two samples: how far their features differ, or both (as published, "
        "for many known classes)",
    )
    asks_about: Annotated[Literal["views", "samples"], ADDED] = Field(
        "views", description="what the similarity network is asked about: the views of the batch (as published), or "
        "their samples undisturbed, as it has seen the labelled ones"
    )  # fmt: skip
    pair_epochs: int = Field(50, ge=1, description="that the similarity network is trained, on labelled samples")
    pair_batch_size: int = Field(100, ge=2, description="samples, of which all ordered pairs make one of its batches")
    pair_classes: Annotated[int | None, ADDED] = Field(
        None, ge=2, description="so many classes are in each of its batches, so that pairs of one class are not rare "
        "where there are many (Omniglot: 20 of 964); default: samples as they come"
    )  # fmt: skip


class Mcl(PairSection):
    """MCL: a classifier of novel classes from the likelihood of similar and other pairs."""

    kind: Literal["mcl"] = "mcl"


class Kcl(PairSection):
    """KCL: a classifier of novel classes from divergences of the predictions of pairs."""

    kind: Literal["kcl"] = "kcl"
    margin: float = Field(2.0, gt=0, description="divergence beyond which two dissimilar samples differ enough")


class Uno(JointSection):
    """UNO: one cross-entropy over known and novel classes, with even pseudo-labels for the pool."""

    settings: ClassVar[tuple[str, ...]] = ("ncd",)
    compares_small_crops: ClassVar[bool] = True

    kind: Literal["uno"] = "uno"
    temperature: float = Field(0.1, gt=0, description="of the cosines")
    heads: int = Field(4, ge=1, description="classifiers of the novel classes; the one of least loss is used")
    overcluster_factor: float = Field(
        3.0, ge=0, description="classes of as many other heads, / novel classes (10 CIFAR-10, 4 ImageNet); 0: none"
    )
    hidden: int = Field(2048, ge=1, description="width of the network before novel prototypes")
    projection: int = Field(256, ge=1, description="values that are compared with novel prototypes")
    epsilon: float = Field(0.05, gt=0, description="how soft pseudo-labels are before they are made even")
    iterations: int = Field(3, ge=1, description="of Sinkhorn-Knopp")


class AutoNovel(JointSection):
    """AutoNovel: pairs of pool samples with the same largest features are put in one class (ranking statistics)."""

    settings: ClassVar[tuple[str, ...]] = ("ncd",)

    kind: Literal["autonovel"] = "autonovel"
    top: int = Field(5, ge=1, description="how many of the largest dimensions two samples of one class share")
    consistency_weight: float = Field(
        5.0, ge=0, description="of the squared difference of two views' predictions, at its height (CIFAR-100: 50)"
    )
    rampup_epochs: int = Field(50, ge=0, description="over which it gets there (CIFAR-100: 150)")
    compares: Annotated[Literal["top", "wta"], ADDED] = Field(
        "top", description="what says that two samples are of one class: the same set of largest dimensions (as "
        "published), or the same largest ones in many small random sets of dimensions (WTA hashing)"
    )  # fmt: skip
    window: Annotated[int, ADDED] = Field(4, ge=2, description="wta: dimensions in such a set")
    hashes: Annotated[int, ADDED] = Field(512, ge=1, description="wta: number of such sets")
    agreement: Annotated[float, ADDED] = Field(
        0.47, gt=0, le=1, description="wta: fraction of sets with one winner from which on two samples are of one class"
    )
    ranks: Literal["current", "frozen"] = Field(
        "current", description="features that are compared: as they are now (published), or as `embed` wrote them"
    )
    supervised_epochs: Annotated[int, ADDED] = Field(
        0, ge=0, description="first epochs, of cross-entropy on labelled samples alone (published: 100)"
    )
    heads: Annotated[int, ADDED] = Field(
        1, ge=1, description="classifiers of novel classes side by side; that with the least loss on pairs is used"
    )
    incremental: bool = Field(True, description="also train a classifier of all classes: the paper's IL")
    incremental_weight: float = Field(0.05, ge=0, description="of its loss on the pool, at its height")


class CrNcd(Uno):
    """CrNCD: UNO that keeps what the pretrained model said of the pool in terms of known classes."""

    kind: Literal["crncd"] = "crncd"  # type: ignore[assignment]
    overcluster_factor: float = Field(0.0, ge=0, description="classes of as many other heads, / novel classes; 0: none")
    relation_weight: float = Field(0.1, ge=0, description="of the distillation of class relations")
    relation_temperature: float = Field(4.0, gt=0, description="of both distributions, times `temperature`")


class TabularNcd(JointSection):
    """TabularNCD: pairs of near pool samples are put in one novel class, and views lie between neighbours."""

    views: ClassVar[int] = 1  # the second one it makes itself
    settings: ClassVar[tuple[str, ...]] = ("ncd",)
    interpolates: ClassVar[bool] = True

    kind: Literal["tabular_ncd"] = "tabular_ncd"
    top_k: float = Field(
        10.0, gt=0, le=100, description="share of pool samples that are of one's class: the nearest in the batch"
    )
    top_k_unit: Literal["percent", "fraction"] = Field(
        "percent", description="15: 15 % (2022; what the code of 2024 computes), or 0.15: 15 % (as 2024's text has it)"
    )
    top_k_of: Literal["half_batch", "pool"] = Field(
        "half_batch", description="of half the samples in the batch (2022), or of its pool samples (2024)"
    )
    least_positives: Annotated[Literal[0, 1], ADDED] = Field(
        1, description="of each sample, where the share comes to less than one; 0: as in the released code"
    )
    statistics: Annotated[Literal["shared", "own"], ADDED] = Field(
        "shared", description="batch norm's: of samples and views together, or of samples, labelled views and pool "
        "views each, as in the code of 2024"
    )  # fmt: skip
    classifier_weight: float = Field(0.8, ge=0, le=1, description="w₁: of cross-entropy; 1 − w₁ of its consistency")
    clustering_weight: float = Field(0.8, ge=0, le=1, description="w₂: of the loss on pairs; 1 − w₂ of its consistency")
    neighbours: int = Field(5, ge=1, description="nearest samples, of which a view is drawn towards one")
    memory: int = Field(2000, ge=0, description="samples seen last that can be such neighbours, labelled or not each")
    steps: Literal["alternating", "joint"] = Field(
        "alternating", description="an optimizer for the classifier's loss, then one for the other (2022), or one for "
        "the sum (the code of 2024)"
    )  # fmt: skip
    clustering_lr: float | None = Field(
        None, gt=0, description="learning rate of the second optimizer, before `schedule`; default: `optimizer.lr`"
    )


JointConfig = Annotated[
    SimGCD | Uno | AutoNovel | CrNcd | ProtoGCD | Gpc | Cms | Selex | Pim | Dtc | Mcl | Kcl | TabularNcd,
    Field(discriminator="kind"),
]


class _WithMethod(Section):
    method: JointConfig = Field(description="what is learnt jointly, and how")


class JointTrainingConfig(TrainingConfig, _WithMethod):  # fields of the last base come first
    """Training of representation and classifier together, after pretraining: one-stage methods."""

    epochs: int = Field(30, ge=1, description="passes over the training samples")
    train_last_blocks: Annotated[int | Literal["all"] | None, ADDED] = Field(
        None, description="how many of the backbone's last blocks are trained here; default: as `backbone` says"
    )
