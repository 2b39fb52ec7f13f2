"""Faster equal forms of a backbone for inference."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ncdcli.models.backbone import Backbone
from ncdcli.training.batches import Source


def faster(backbone: Backbone, source: Source, *, device: torch.device, precision: str) -> Callable[[Tensor], Tensor]:
    """A function with the outputs of `backbone`, up to rounding."""
    if backbone.channels_last:
        backbone.to(memory_format=torch.channels_last)
    return backbone
