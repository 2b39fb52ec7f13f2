"""Runs a backbone over samples, without gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ncdcli.models.backbone import Backbone, ImagePreparation
from ncdcli.training.augment import normalise
from ncdcli.training.batches import Draw, Source
from ncdcli.training.devices import autocast

PIXELS = {"cpu": 8 * 224 * 224, "cuda": 256 * 224 * 224}  # of a batch of images
VECTORS = 4096  # rows of a batch, at most
NUMBERS = 1 << 25  # of a batch of other arrays, at most


def forward_batches(
    backbone: Backbone,
    source: Source,
    rows: NDArray[np.int64],
    *,
    device: torch.device,
    precision: str = "fp32",
    forward: Callable[[Tensor], Tensor] | nn.Module | None = None,
    batch_size: int | None = None,
) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
    """(rows, their (b, dim) float32 embeddings on the device), batch by batch, in the order of `rows`.

    `forward` replaces the backbone's own, e.g. by a faster equal one. The test view of an image is its centre.
    """
    preparation = backbone.preparation
    size = batch_size or inference_batch(preparation, source.spec.shape, device)
    draws = [Draw(rows[start : start + size]) for start in range(0, len(rows), size)]
    batches = source.read(draws, preparation, device)
    run = forward or backbone
    for draw, (inputs,) in zip(draws, batches, strict=True):
        with torch.inference_mode(), autocast(device, precision):
            if preparation is not None:
                inputs = normalise(inputs.float() / 255, preparation)
                if backbone.channels_last:
                    inputs = inputs.contiguous(memory_format=torch.channels_last)
            features = run(inputs).float()
        yield draw.rows, features


def inference_batch(preparation: ImagePreparation | None, shape: tuple[int, ...], device: torch.device) -> int:
    """How many samples to embed at once.

    On a CPU the feature maps of few images stay in its caches, and their memory is not asked of the system again for
    each batch; a GPU wants many.
    """
    if preparation is None:
        return VECTORS if len(shape) < 2 else max(1, min(VECTORS, NUMBERS // prod(shape)))
    side = preparation.size
    pixels = side * side if side is not None else shape[-1] * shape[-2] if shape else 224 * 224
    return max(1, min(VECTORS, PIXELS.get(device.type, PIXELS["cuda"]) // pixels))
