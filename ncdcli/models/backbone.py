"""What a backbone is: a module from prepared inputs to embeddings, and the description that rebuilds it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor, nn

from ncdcli.jsonfile import write_json

WEIGHTS = "model.safetensors"  # beside `model.json`
JOINT = "joint."  # how the names of weights begin there that are a joint method's and not the backbone's


@dataclass(frozen=True)
class InputSpec:
    """What the samples look like to a backbone."""

    modality: str  # images | tables | embeddings
    shape: tuple[int, ...]  # (channels, height, width) of images that share a size, () for files; (d,) for vectors
    channels: int = 3  # of images


@dataclass(frozen=True)
class ImagePreparation:
    """How a decoded image becomes the backbone's input."""

    size: int | None  # side in pixels; None: as it is
    crop_fraction: float = 1.0  # short side is resized to size / crop_fraction, then cropped (centre, or at random)
    mean: tuple[float, ...] = (0.0,)  # per channel, of pixels in [0, 1]
    std: tuple[float, ...] = (1.0,)
    channels: int = 3
    interpolation: str = "bicubic"

    @property
    def resized(self) -> int | None:
        """Short side in pixels after resizing and before the crop; None: images stay as they are."""
        return None if self.size is None else round(self.size / self.crop_fraction)


class Cut(NamedTuple):
    """A backbone in two parts, of which the one makes what the other takes. Picklable with the backbone."""

    before: Callable[[Tensor], Tensor]  # prepared inputs -> what enters a block
    after: Callable[[Tensor], Tensor]  # from there to (b, dim)


class Backbone(nn.Module):
    """Embeds a batch: (b, …) prepared inputs -> (b, dim)."""

    dim: int
    n_inputs: int | None = None  # numbers in a prepared sample, where the backbone is made for one size
    preparation: ImagePreparation | None = None  # images only
    channels_last: bool = False  # convolutions that are faster with the channels innermost
    any_size: bool = False  # takes images of other sizes than `preparation` makes

    def forward(self, inputs: Tensor) -> Tensor:
        raise NotImplementedError

    def mirror(self) -> nn.Module:
        """A decoder with fresh weights, the backbone the other way round: (b, dim) -> (b, n_inputs)."""
        raise NotImplementedError

    def list_blocks(self) -> tuple[list[nn.Module], list[nn.Module]]:
        """The blocks in order, of which the last can be trained alone, and what is trained with the last; none: []."""
        return [], []

    def cuts(self, first: int) -> Sequence[Cut]:
        """Ways to cut before the block of this number that may give the same output, the fastest first; none: ()."""
        return ()

    def trainable(self) -> list[nn.Parameter]:
        """Parameters that training moves; frozen blocks are left out."""
        return [p for p in self.parameters() if p.requires_grad]

    def train(self, mode: bool = True) -> Backbone:
        """Training mode for what is trained; frozen parts stay in evaluation mode.

        A frozen batch norm in training mode would go on moving its running statistics, and frozen dropout would add
        noise that nothing can learn to compensate.
        """
        super().train(mode)
        if mode:
            for module in self.modules():
                parameters = list(module.parameters())
                if parameters and not any(p.requires_grad for p in parameters):
                    module.eval()
        return self


@dataclass(frozen=True)
class ModelCard:
    """`model.json`: enough to rebuild the embedder for new samples without the recipe."""

    backbone: dict[str, Any]
    input_spec: dict[str, Any]
    dim: int
    table_encoder: dict[str, Any] | None = None
    training: dict[str, Any] = field(default_factory=dict)  # objective, epochs, selection rule, chosen epoch
    joint: dict[str, Any] | None = None  # method, n_known, k, setting: where a classifier was trained with it

    def write(self, path: Path) -> None:
        """Write the card as JSON."""
        content = asdict(self)
        if self.joint is None:
            del content["joint"]
        write_json(path, content)

    @classmethod
    def read(cls, path: Path) -> ModelCard:
        """The card that `write` wrote."""
        return cls(**json.loads(path.read_text("utf-8")))
