"""Builds the backbone that a recipe names, for the samples that a source holds."""

from __future__ import annotations

from typing import Any

from ncdcli.errors import RecipeError
from ncdcli.models.backbone import Backbone, InputSpec
from ncdcli.models.kinds import KINDS
from ncdcli.recipe.base import import_kind

MODALITIES = {
    "timm": ("images",),
    "efficientnet_lite": ("images",),
    "small_cnn": ("images",),
    "precomputed": ("embeddings",),
}  # the others take everything


def build_backbone(config: Any, inputs: InputSpec, *, pretrained: bool = True) -> Backbone:
    """The backbone of a recipe's `backbone` section.

    `pretrained=False` leaves the weights as they are initialised, for a caller that loads its own. RecipeError where
    the kind cannot take such samples; MissingError where weights or a package are not there.
    """
    allowed = MODALITIES.get(config.kind, (inputs.modality,))
    if inputs.modality not in allowed:
        instead = "`mlp`, `identity` or `precomputed`" if inputs.modality == "embeddings" else "`mlp` or `identity`"
        if inputs.modality == "images":
            instead = "`small_cnn`, `efficientnet_lite`, `timm` or `identity`"
        raise RecipeError(
            f"backbone `{config.kind}` takes {' or '.join(allowed)}, and these samples are {inputs.modality}",
            hint=f"set `backbone.kind` to {instead}",
        )
    return import_kind(KINDS, config.kind)(config, inputs, pretrained=pretrained)
