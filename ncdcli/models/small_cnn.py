"""A small convolutional network for tiny images."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from ncdcli.models.backbone import Backbone, Cut, ImagePreparation, InputSpec
from ncdcli.models.cut import run_in_turn
from ncdcli.models.kinds import SmallCnn as Config
from ncdcli.models.weights import load_weights

GRID = 4  # cells a side that the last block is averaged to, at most: where a stroke lies matters in tiny images
FILE_SIZE = 32  # side in pixels of images that come as files of any size, unless the recipe says otherwise


class SmallCnn(Backbone):
    """Blocks of 3 × 3 convolutions, halved between blocks, then a linear layer over what is left of the image."""

    channels_last = True  # a third faster on a CPU
    any_size = True

    def __init__(self, config: Config, inputs: InputSpec) -> None:
        super().__init__()
        channels = inputs.shape[0] if inputs.shape else inputs.channels
        size = config.image_size or (None if inputs.shape else FILE_SIZE)
        self.preparation = ImagePreparation(size, mean=(0.5,) * channels, std=(0.5,) * channels, channels=channels)
        self.dim = config.dim
        blocks: list[nn.Module] = []
        for position, width in enumerate(config.widths):
            if position:
                blocks.append(nn.MaxPool2d(2, ceil_mode=True))  # ceil: a side of 1 stays 1
            for _ in range(config.convolutions):
                blocks += _convolution(channels, width)
                channels = width
        sides = (size, size) if size else inputs.shape[1:]
        height, width = (min(GRID, -(-side // 2 ** (len(config.widths) - 1))) for side in sides)
        blocks.append(_Grid((height, width)))
        self.blocks = nn.Sequential(*blocks)
        self.dropout = nn.Dropout(config.dropout)
        self.project = nn.Linear(channels * height * width, config.dim)

    def list_blocks(self) -> tuple[list[nn.Module], list[nn.Module]]:
        groups: list[list[nn.Module]] = [[]]
        for module in self.blocks:
            groups += [[]] if isinstance(module, nn.MaxPool2d) else []
            groups[-1].append(module)
        return [nn.ModuleList(group) for group in groups], [self.project]

    def cuts(self, first: int) -> Sequence[Cut]:
        # Each block but the first one begins with a pooling. Nothing trains it: it belongs before the cut.
        modules = list(self.blocks)
        poolings = [place for place, module in enumerate(modules) if isinstance(module, nn.MaxPool2d)]
        place = poolings[first - 1] + 1 if first else 0
        after = [*modules[place:], nn.Flatten(), self.dropout, self.project]
        return [Cut(partial(run_in_turn, modules[:place]), partial(run_in_turn, after))]

    def forward(self, inputs: Tensor) -> Tensor:
        """(b, channels, height, width) -> (b, dim)."""
        return self.project(self.dropout(self.blocks(inputs).flatten(1)))


class _Grid(nn.AdaptiveAvgPool2d):
    """Averages to a grid; what is that small already passes as it is, which spares its gradients a copy.

    On CUDA the parent has no deterministic gradient; products have.
    """

    def __init__(self, sides: tuple[int, int]) -> None:
        super().__init__(sides)
        self.sides = sides

    def forward(self, inputs: Tensor) -> Tensor:
        if tuple(inputs.shape[2:]) == self.sides:
            return inputs
        if inputs.is_cuda and torch.are_deterministic_algorithms_enabled():
            return grid_mean(inputs, self.sides)
        return super().forward(inputs)


def grid_mean(inputs: Tensor, sides: tuple[int, int]) -> Tensor:
    """(b, channels, *sides) means of (b, channels, height, width) over the cells of adaptive pooling."""
    rows, columns = (_cells(n, cells).to(inputs) for n, cells in zip(inputs.shape[-2:], sides, strict=True))
    return rows @ inputs @ columns.T


def _cells(n: int, cells: int) -> Tensor:
    """(cells, n) weights of positions in the mean of each cell: from ⌊i · n / cells⌋ up to ⌈(i + 1) · n / cells⌉."""
    number, position = torch.arange(cells)[:, None], torch.arange(n)
    within = (position >= number * n // cells) & (position < -(-(number + 1) * n // cells))
    return within / within.sum(1, keepdim=True)


def _convolution(channels: int, width: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]


def build(config: Config, inputs: InputSpec, *, pretrained: bool = True) -> Backbone:
    """A `small_cnn` with fresh weights, or those of a file; MissingError where that is not there."""
    backbone = SmallCnn(config, inputs)
    if pretrained and config.weights != "none":
        load_weights(backbone, Path(config.weights).expanduser())
    return backbone
