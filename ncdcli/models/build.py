"""Builds the backbone that a recipe names, for the samples that a source holds."""

from __future__ import annotations

from typing import Any

from ncdcli.errors import RecipeError
from ncdcli.models.backbone import Backbone, InputSpec
from ncdcli.models.kinds import KINDS, kinds_that_read
from ncdcli.recipe.base import import_kind
from ncdcli.words import either


def build_backbone(config: Any, inputs: InputSpec, *, pretrained: bool = True) -> Backbone:
    """The backbone of a recipe's `backbone` section.

    `pretrained=False` leaves the weights as they are initialised, for a caller that loads its own. RecipeError where
    the kind cannot take such samples; MissingError where weights or a package are not there.
    """
    if inputs.modality not in config.reads:
        raise RecipeError(
            f"backbone `{config.kind}` takes {' or '.join(config.reads)}, and these samples are {inputs.modality}",
            hint=f"set `backbone.kind` to {either(f'`{kind}`' for kind in kinds_that_read(inputs.modality))}",
        )
    return import_kind(KINDS, config.kind)(config, inputs, pretrained=pretrained)
