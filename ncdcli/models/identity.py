"""The input itself as embedding: raw pixels, encoded columns, or embeddings that the user brings."""

from __future__ import annotations

from math import prod

from torch import Tensor

from ncdcli.models.backbone import Backbone, ImagePreparation, InputSpec
from ncdcli.models.kinds import Identity, Precomputed

FILE_SIZE = 32  # side in pixels of images that come as files of any size, unless the recipe says otherwise


class Flatten(Backbone):
    """The prepared input in one row per sample. Has no parameters."""

    def __init__(self, shape: tuple[int, ...], preparation: ImagePreparation | None) -> None:
        super().__init__()
        self.dim = prod(shape)
        self.preparation = preparation

    def forward(self, inputs: Tensor) -> Tensor:
        """(b, …) -> (b, dim)."""
        return inputs.flatten(1)


def build(config: Identity | Precomputed, inputs: InputSpec, *, pretrained: bool = True) -> Backbone:
    """The identity: the input in one row per sample."""
    if inputs.modality != "images":
        return Flatten(inputs.shape, None)
    size = config.image_size if isinstance(config, Identity) else None
    size = size or (None if inputs.shape else FILE_SIZE)
    channels = inputs.shape[0] if inputs.shape else inputs.channels
    shape = inputs.shape if size is None else (channels, size, size)
    return Flatten(shape, ImagePreparation(size, channels=channels))
