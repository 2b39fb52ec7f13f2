"""A multi-layer perceptron for tables, ready-made embeddings and tiny images."""

from __future__ import annotations

from math import prod

from torch import Tensor, nn

from ncdcli.errors import RecipeError
from ncdcli.models.backbone import Backbone, ImagePreparation, InputSpec
from ncdcli.models.kinds import Mlp as Config


class Mlp(Backbone):
    """Linear, ReLU, batch norm and dropout for each hidden layer, then a linear layer to the embedding."""

    def __init__(self, config: Config, inputs: InputSpec) -> None:
        super().__init__()
        if not inputs.shape:
            raise RecipeError(
                "an `mlp` needs images that share one size", hint="set `backbone: {kind: small_cnn}` for image files"
            )
        if inputs.modality == "images":
            channels = inputs.shape[0]
            self.preparation = ImagePreparation(None, mean=(0.5,) * channels, std=(0.5,) * channels, channels=channels)
        self.dim = config.dim
        width = prod(inputs.shape)
        layers: list[nn.Module] = [nn.Flatten()]
        for hidden in config.hidden:
            layers += [nn.Linear(width, hidden), nn.ReLU(inplace=True), nn.BatchNorm1d(hidden)]
            layers.append(nn.Dropout(config.dropout))
            width = hidden
        self.layers = nn.Sequential(*layers, nn.Linear(width, config.dim))

    def forward(self, inputs: Tensor) -> Tensor:
        """(b, …) -> (b, dim)."""
        return self.layers(inputs)


def build(config: Config, inputs: InputSpec, *, pretrained: bool = True) -> Backbone:
    """An `mlp` with fresh weights; there are no pretrained ones."""
    return Mlp(config, inputs)
