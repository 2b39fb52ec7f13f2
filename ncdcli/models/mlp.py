"""A multi-layer perceptron for tables, ready-made embeddings and tiny images."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import floor, prod

from torch import Tensor, nn

from ncdcli.errors import RecipeError
from ncdcli.models.backbone import Backbone, ImagePreparation, InputSpec
from ncdcli.models.kinds import Mlp as Config

ACTIVATIONS = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "none": nn.Identity}  # in place of the ReLU


class Mlp(Backbone):
    """Linear, ReLU (or another `activation`), batch norm and dropout for each hidden layer, then a linear layer.

    The encoder of PBN (Troisemaine et al., DMKD 2024) has this order; its widths are 3/4 and 1/2 of the inputs. That of
    TabularNCD (ICKG 2022) has as many as inputs everywhere, no batch norm, and dropout before the activation, which is
    the same for a ReLU.
    """

    def __init__(self, config: Config, inputs: InputSpec) -> None:
        super().__init__()
        if not inputs.shape:
            raise RecipeError(
                "an `mlp` needs images that share one size", hint="set `backbone: {kind: small_cnn}` for image files"
            )
        if inputs.modality == "images":
            channels = inputs.shape[0]
            self.preparation = ImagePreparation(None, mean=(0.5,) * channels, std=(0.5,) * channels, channels=channels)
        self.n_inputs, self.dim, self.dropout = prod(inputs.shape), config.dim, config.dropout
        self.widths = [self.n_inputs, *(layer_width(width, self.n_inputs) for width in config.hidden), self.dim]
        self.batch_norm, self.activation = config.batch_norm, config.activation
        self.layers = nn.Sequential(nn.Flatten(), *self._layers(self.widths))

    def forward(self, inputs: Tensor) -> Tensor:
        """(b, …) -> (b, dim)."""
        return self.layers(inputs)

    def mirror(self) -> nn.Module:
        """The same layers from the embedding back to the inputs, with a linear output."""
        return nn.Sequential(*self._layers(self.widths[::-1]))

    def _layers(self, widths: Sequence[int]) -> list[nn.Module]:
        *hidden, last = pairwise(widths)
        layers: list[nn.Module] = []
        for before, after in hidden:
            other = ACTIVATIONS.get(self.activation)
            layers += [nn.Linear(before, after), nn.ReLU(inplace=True) if other is None else other()]
            layers += [nn.BatchNorm1d(after)] if self.batch_norm else []
            layers += [nn.Dropout(self.dropout)]
        return [*layers, nn.Linear(*last)]


def layer_width(width: int | float, inputs: int) -> int:
    """Numbers in a hidden layer; one with a decimal point is a fraction of the inputs, rounded down to 1 or more."""
    return width if isinstance(width, int) else max(1, floor(width * inputs))


def build(config: Config, inputs: InputSpec, *, pretrained: bool = True) -> Backbone:
    """An `mlp` with fresh weights; there are no pretrained ones."""
    return Mlp(config, inputs)
