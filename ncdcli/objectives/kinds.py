"""Pretraining objectives by `kind`. Adding one = one class (named in `ObjectiveConfig`) and one row here, one file."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ncdcli.recipe.base import ADDED, Section

# Each value is a class with the interface of `ncdcli.objectives.base.Objective`.
KINDS = {
    "cross_entropy": "ncdcli.objectives.cross_entropy:CrossEntropy",
    "normalized_softmax": "ncdcli.objectives.normalized_softmax:NormalizedSoftmax",
    "supcon_infonce": "ncdcli.objectives.supcon_infonce:SupConInfoNCE",
    "simclr": "ncdcli.objectives.simclr:SimCLR",
    "rotation": "ncdcli.objectives.rotation:Rotation",
    "pbn": "ncdcli.objectives.pbn:Pbn",
    "vime": "ncdcli.objectives.vime:Vime",
}  # `none` has no code: the backbone is used as it is


class ObjectiveSection(Section):
    """What is known of a kind of objective without importing its code."""

    kind: str
    views: ClassVar[int] = 1  # random views of each sample in a batch
    turns: ClassVar[bool] = False  # turns each view by a quarter more than the one before
    uses_pool: ClassVar[bool] = False  # also trains on samples without a label; otherwise labelled rows only
    reconstructs: ClassVar[bool] = False  # compares something with the inputs: needs a backbone that mirrors
    masks: ClassVar[bool] = False  # learns from `augment.mask`
    compares_small_crops: ClassVar[bool] = False  # has a use for `augment.small_crops`


class NoObjective(ObjectiveSection):
    """No training: the backbone as it comes."""

    kind: Literal["none"] = "none"


class CrossEntropy(ObjectiveSection):
    """Softmax cross-entropy on labelled samples."""

    kind: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share of the target spread over all known classes")
    latent_norm: Literal["none", "l2"] = Field(
        "none", description="in training, the classifier sees the embedding as it is, or scaled to unit length"
    )


class NormalizedSoftmax(ObjectiveSection):
    """Cross-entropy over scaled cosines of normalised features and class weights (hyperspherical embedding)."""

    kind: Literal["normalized_softmax"] = "normalized_softmax"
    scale: float = Field(16.0, gt=0, description="what cosines are multiplied by: an inverse temperature")


class SupConInfoNCE(ObjectiveSection):
    """GCD's loss: (1 − w) · InfoNCE on all samples + w · SupCon on labelled ones, two views."""

    views: ClassVar[int] = 2
    uses_pool: ClassVar[bool] = True

    kind: Literal["supcon_infonce"] = "supcon_infonce"
    supervised_weight: float = Field(0.35, ge=0, le=1, description="w above: 0 is InfoNCE alone, 1 SupCon alone")
    unsupervised_temperature: float = Field(1.0, gt=0, description="of InfoNCE")
    supervised_temperature: float = Field(0.07, gt=0, description="of SupCon")
    head: Literal["dino", "mlp"] = Field(
        "dino", description="GCD's: a cosine layer behind a unit-length bottleneck; mlp: plain, for small networks"
    )
    head_hidden: int = Field(2048, ge=1, description="width of the head's hidden layers")
    head_bottleneck: int = Field(256, ge=1, description="dino only")
    head_out: int = Field(65536, ge=1, description="values that the loss compares")
    head_layers: int = Field(3, ge=1, description="linear layers, but for the cosine layer of `dino`")


class SimCLR(ObjectiveSection):
    """NT-Xent between two views of every sample, no labels."""

    views: ClassVar[int] = 2
    uses_pool: ClassVar[bool] = True

    kind: Literal["simclr"] = "simclr"
    temperature: float = Field(0.5, gt=0, description="what cosines are divided by")
    head_hidden: int = Field(512, ge=1, description="width of the head's hidden layer")
    head_out: int = Field(128, ge=1, description="values that the loss compares")


class Rotation(ObjectiveSection):
    """RotNet's self-supervision, no labels: which of four quarter turns an image is shown in."""

    views: ClassVar[int] = 4
    turns: ClassVar[bool] = True
    uses_pool: ClassVar[bool] = True

    kind: Literal["rotation"] = "rotation"


class Pbn(ObjectiveSection):
    """PBN's loss: w · cross-entropy on labelled samples + (1 − w) · reconstruction of all by a mirrored decoder."""

    uses_pool: ClassVar[bool] = True
    reconstructs: ClassVar[bool] = True

    kind: Literal["pbn"] = "pbn"
    supervised_weight: float = Field(0.5, ge=0, le=1, description="w above: 0 is an autoencoder, 1 a classifier")
    recon: Literal["sum", "mean"] = Field(
        "sum",
        description="squared errors are summed over features, as in the released code whose w are published, "
        "or averaged, as in the paper",
    )
    latent_norm: Literal["l2", "none"] = Field(
        "l2", description="in training, decoder and classifier see the embedding scaled to unit length, or as it is"
    )


class Vime(ObjectiveSection):
    """VIME's self-supervision, no labels: restore the features that `augment.mask` exchanged, and tell which."""

    uses_pool: ClassVar[bool] = True
    reconstructs: ClassVar[bool] = True
    masks: ClassVar[bool] = True

    kind: Literal["vime"] = "vime"
    value_weight: float = Field(2.0, ge=0, description="of the squared error of the values (TabularNCD's text: 1)")
    mask_weight: float = Field(1.0, ge=0, description="of the cross-entropy of the mask (TabularNCD's text: 2)")


ObjectiveConfig = Annotated[
    NoObjective | CrossEntropy | NormalizedSoftmax | SupConInfoNCE | SimCLR | Rotation | Pbn | Vime,
    Field(discriminator="kind"),
]


class Optimizer(Section):
    """SGD with momentum, or AdamW."""

    kind: Literal["sgd", "adamw"] = "adamw"
    lr: float = Field(1e-3, gt=0, description="learning rate after warm-up")
    weight_decay: float = Field(5e-5, ge=0, description="L2 penalty (sgd), decoupled decay (adamw)")
    momentum: float = Field(0.9, ge=0, lt=1, description="sgd only")
    decay_norms_and_biases: bool = Field(True, description="apply weight decay to biases and norm layers as well")


class Schedule(Section):
    """Learning rate over training, stepped per epoch: linear warm-up, then cosine or constant."""

    kind: Literal["cosine", "constant"] = "cosine"
    warmup_epochs: int = Field(0, ge=0, description="epochs over which the learning rate rises from 0")
    final_fraction: float = Field(1e-3, ge=0, le=1, description="learning rate that the cosine ends at, / lr")


class Augment(Section):
    """Random views. Everything is off by default. `noise` is for all inputs, `mask` for tables and embeddings only,
    the others for images only. Fields are applied in the order in which they stand here."""

    resize_crop: float = Field(1.0, gt=0, le=1, description="least area kept by a random resized crop; 1: off")
    shift: float = Field(0.0, ge=0, le=0.5, description="shift by up to this fraction of the side")
    rotate: float = Field(0.0, ge=0, le=180, description="rotate by up to so many degrees")
    zoom: float = Field(0.0, ge=0, lt=1, description="scale by 1 ± this")
    flip: bool = Field(False, description="mirror left-right half of the time")
    brightness: float = Field(0.0, ge=0, le=1, description="multiply pixels by 1 ± this")
    contrast: float = Field(0.0, ge=0, le=1, description="multiply distances to the mean gray by 1 ± this")
    saturation: float = Field(0.0, ge=0, le=1, description="multiply distances to the own gray by 1 ± this")
    grayscale: float = Field(0.0, ge=0, le=1, description="probability")
    noise: float = Field(0.0, ge=0, description="sd of Gaussian noise, in units of the (scaled) input")
    mask: float = Field(0.0, ge=0, lt=1, description="fraction of input features set to another sample's value")
    small_crops: Annotated[int, ADDED] = Field(
        0, ge=0, description="so many more views that are smaller and show less of the image (UNO: 2)"
    )
    small_size: Annotated[int | None, ADDED] = Field(
        None, ge=4, description="side of these in pixels; must be given (UNO: 18 of 32, 96 of 224)"
    )
    small_area: Annotated[tuple[float, float], ADDED] = Field(
        (0.3, 0.8), description="least and greatest part of the image's area that they show (ImageNet: [0.08, 0.5])"
    )


class TrainingConfig(Section):
    """What every training has, whatever its loss."""

    epochs: int = Field(30, ge=0, description="passes over the training samples; 0: no training")
    batch_size: int = Field(128, ge=2, description="samples a step, over all processes")
    optimizer: Optimizer = Field(default_factory=Optimizer, description="what takes the steps")
    schedule: Schedule = Field(default_factory=Schedule, description="the learning rate over time")
    sampler: Literal["shuffle", "same_order", "balanced"] = Field(
        "shuffle",
        description="each sample once an epoch, in a new order or always in the first one (PBN's released code), "
        "or GCD's draw with labelled and unlabelled half and half",
    )
    augment: Augment = Field(default_factory=Augment, description="random views of the samples")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "fp32",
        description="auto: bf16 where the processor has it, else fp32; bf16 and fp16: products in 16 bits, in fp16 "
        "the backbone's alone and with a scaled loss, for GPUs that have no bf16 (V100, T4)",
    )
    accumulate: Annotated[int, ADDED] = Field(
        1, ge=1, description="parts in which a batch passes through the backbone, one after another, where there is "
        "no memory for all of it: loss and gradients are those of the whole batch, for about a third more time"
    )  # fmt: skip
    compile: Annotated[bool, ADDED] = Field(
        False, description="let torch compile the trained backbone, for a minute or more before the first step: for "
        "long trainings on GPUs, where it is not measured; on a CPU steps take about as long as without, or longer"
    )  # fmt: skip
    gradient_clip: float | None = Field(None, gt=0, description="greatest norm of a gradient; default: any")
    selection: Literal["last", "known-val", "oracle"] = Field(
        "last",
        description="which epoch is kept: the last, or the best on held-out known samples; oracle, as some published "
        "code does: the best on the true classes of the pool, which are scored, so that every number is stamped",
    )
    cached_views: Annotated[int | None, ADDED] = Field(
        None, ge=1, description="where only last blocks are trained: so many random views of each sample are drawn "
        "once, and what the frozen blocks make of them is kept on disk until the stage is done; default: new views in "
        "each epoch"
    )  # fmt: skip


class _WithObjective(Section):
    objective: ObjectiveConfig = Field(default_factory=CrossEntropy, description="the loss; none: no training")


class PretrainConfig(TrainingConfig, _WithObjective):  # fields of the last base come first
    """Training on labelled classes (and, for some objectives, on the pool without its labels)."""
