"""Pretraining objectives by `kind`. Adding one = one class and one row here, one file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ncdcli.recipe.base import Section

# Each value is a class with the interface of `ncdcli.objectives.base.Objective`.
KINDS = {
    "cross_entropy": "ncdcli.objectives.cross_entropy:CrossEntropy",
    "normalized_softmax": "ncdcli.objectives.normalized_softmax:NormalizedSoftmax",
    "supcon_infonce": "ncdcli.objectives.supcon_infonce:SupConInfoNCE",
    "simclr": "ncdcli.objectives.simclr:SimCLR",
}  # `none` has no code: the backbone is used as it is

USES_POOL = ("supcon_infonce", "simclr")  # objectives that train on unlabelled samples as well


class NoObjective(Section):
    """No training: the backbone as it comes."""

    kind: Literal["none"] = "none"


class CrossEntropy(Section):
    """Softmax cross-entropy on labelled samples."""

    kind: Literal["cross_entropy"] = "cross_entropy"
    label_smoothing: float = Field(0.0, ge=0, lt=1)


class NormalizedSoftmax(Section):
    """Cross-entropy over scaled cosines of normalised features and class weights (hyperspherical embedding)."""

    kind: Literal["normalized_softmax"] = "normalized_softmax"
    scale: float = Field(16.0, gt=0)


class SupConInfoNCE(Section):
    """GCD's loss: (1 − w) · InfoNCE on all samples + w · SupCon on labelled ones, two views."""

    kind: Literal["supcon_infonce"] = "supcon_infonce"
    supervised_weight: float = Field(0.35, ge=0, le=1)
    unsupervised_temperature: float = Field(1.0, gt=0)
    supervised_temperature: float = Field(0.07, gt=0)
    head: Literal["dino", "mlp"] = Field(
        "dino", description="GCD's: a cosine layer behind a unit-length bottleneck; mlp: plain, for small networks"
    )
    head_hidden: int = Field(2048, ge=1)
    head_bottleneck: int = Field(256, ge=1, description="dino only")
    head_out: int = Field(65536, ge=1)
    head_layers: int = Field(3, ge=1, description="linear layers, but for the cosine layer of `dino`")


class SimCLR(Section):
    """NT-Xent between two views of every sample, no labels."""

    kind: Literal["simclr"] = "simclr"
    temperature: float = Field(0.5, gt=0)
    head_hidden: int = Field(512, ge=1)
    head_out: int = Field(128, ge=1)


ObjectiveConfig = Annotated[
    NoObjective | CrossEntropy | NormalizedSoftmax | SupConInfoNCE | SimCLR, Field(discriminator="kind")
]


class Optimizer(Section):
    """SGD with momentum, or AdamW."""

    kind: Literal["sgd", "adamw"] = "adamw"
    lr: float = Field(1e-3, gt=0)
    weight_decay: float = Field(5e-5, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1, description="sgd only")
    decay_norms_and_biases: bool = Field(True, description="apply weight decay to biases and norm layers as well")


class Schedule(Section):
    """Learning rate over training, stepped per epoch: linear warm-up, then cosine or constant."""

    kind: Literal["cosine", "constant"] = "cosine"
    warmup_epochs: int = Field(0, ge=0)
    final_fraction: float = Field(1e-3, ge=0, le=1, description="learning rate that the cosine ends at, / lr")


class Augment(Section):
    """Random views. Everything is off by default. `noise` is for all inputs, `mask` for tables and embeddings only,
    the others for images only. Fields are applied in the order in which they stand here."""

    resize_crop: float = Field(1.0, gt=0, le=1, description="least area kept by a random resized crop; 1: off")
    shift: float = Field(0.0, ge=0, le=0.5, description="shift by up to this fraction of the side")
    rotate: float = Field(0.0, ge=0, le=180, description="rotate by up to so many degrees")
    zoom: float = Field(0.0, ge=0, lt=1, description="scale by 1 ± this")
    flip: bool = Field(False, description="mirror left-right half of the time")
    brightness: float = Field(0.0, ge=0, le=1)
    contrast: float = Field(0.0, ge=0, le=1)
    saturation: float = Field(0.0, ge=0, le=1)
    grayscale: float = Field(0.0, ge=0, le=1, description="probability")
    noise: float = Field(0.0, ge=0, description="sd of Gaussian noise, in units of the (scaled) input")
    mask: float = Field(0.0, ge=0, lt=1, description="fraction of input features set to another sample's value")


class PretrainConfig(Section):
    """Training on labelled classes (and, for some objectives, on the pool without its labels)."""

    objective: ObjectiveConfig = Field(default_factory=CrossEntropy)
    epochs: int = Field(30, ge=0)
    batch_size: int = Field(128, ge=2)
    optimizer: Optimizer = Field(default_factory=Optimizer)
    schedule: Schedule = Field(default_factory=Schedule)
    sampler: Literal["shuffle", "balanced"] = Field(
        "shuffle",
        description="each sample once an epoch, or GCD's draw with labelled and unlabelled half and half",
    )
    augment: Augment = Field(default_factory=Augment)
    precision: Literal["auto", "fp32", "bf16"] = Field("fp32", description="auto: bf16 where the processor has it")
    gradient_clip: float | None = Field(None, gt=0)
    selection: Literal["last", "known-val"] = Field(
        "last", description="which epoch is kept: the last, or the best on held-out known samples"
    )

    @model_validator(mode="after")
    def _balance_needs_a_pool(self) -> PretrainConfig:
        if self.sampler == "balanced" and self.objective.kind not in USES_POOL:
            raise ValueError(
                f"sampler `balanced` draws from the pool, which objective `{self.objective.kind}` does not use"
            )
        return self
