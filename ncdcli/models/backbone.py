"""What a backbone is: a module from prepared inputs to embeddings, and the description that rebuilds it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True)
class InputSpec:
    """What the samples look like to a backbone."""

    modality: str  # images | tables | embeddings
    shape: tuple[int, ...]  # (channels, height, width) of images that share a size, () for files; (d,) for vectors


@dataclass(frozen=True)
class ImagePreparation:
    """How a decoded image becomes the backbone's input."""

    size: int | None  # side in pixels; None: as it is
    crop_fraction: float = 1.0  # short side is resized to size / crop_fraction, then cropped (centre, or at random)
    mean: tuple[float, ...] = (0.0,)  # per channel, of pixels in [0, 1]
    std: tuple[float, ...] = (1.0,)
    channels: int = 3
    interpolation: str = "bicubic"


class Backbone(nn.Module):
    """Embeds a batch: (b, …) prepared inputs -> (b, dim)."""

    dim: int
    preparation: ImagePreparation | None = None  # images only

    def forward(self, inputs: Tensor) -> Tensor:
        raise NotImplementedError

    def trainable(self) -> list[nn.Parameter]:
        """Parameters that training moves; frozen blocks are left out."""
        return [p for p in self.parameters() if p.requires_grad]


@dataclass(frozen=True)
class ModelCard:
    """`model.json`: enough to rebuild the embedder for new samples without the recipe."""

    backbone: dict[str, Any]
    input_spec: dict[str, Any]
    dim: int
    table_encoder: dict[str, Any] | None = None
    training: dict[str, Any] = field(default_factory=dict)  # objective, epochs, selection rule, chosen epoch
