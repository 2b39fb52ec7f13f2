"""Batches that pass through a backbone in parts: what must be kept of one part at a time is less."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ncdcli.models.backbone import Backbone


class InParts(nn.Module):
    """A backbone that embeds the samples of a batch in several parts, and forgets how.

    Losses of category discovery compare all samples of a batch, so that gradients of parts with a loss each are those
    of another method. Here the loss is that of the whole batch; on the way back each part passes through the backbone
    once more, which makes the activations that its gradients need anew (Gao et al., RepL4NLP 2021, arXiv 2101.06983, do
    it by hand). Features and gradients are those of the whole batch at once, but for batch norms, which see one part.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, *sizes: Tensor, rows: int, parts: int) -> tuple[Tensor, ...]:
        """(views · rows, dim) features of each of the `sizes` of views, (views · rows, …) each."""
        return tuple(self._embed(inputs, rows, parts) for inputs in sizes)

    def _embed(self, inputs: Tensor, rows: int, parts: int) -> Tensor:
        views = len(inputs) // rows if rows else 1
        last = torch.channels_last if self.backbone.channels_last and inputs.ndim == 4 else torch.contiguous_format
        found = []
        for part in inputs.unflatten(0, (views, rows)).tensor_split(parts, dim=1):
            shown = part.flatten(0, 1).contiguous(memory_format=last)
            features = checkpoint(self.backbone, shown, use_reentrant=False, context_fn=self._contexts)
            found.append(features.unflatten(0, (views, part.shape[1])))
        return torch.cat(found, dim=1).flatten(0, 1)

    def _contexts(self) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        """Around the first pass and around the second one."""
        return nullcontext(), frozen_statistics(self.backbone)


@contextmanager
def frozen_statistics(backbone: nn.Module) -> Iterator[None]:
    """A context in which batch norms normalise as in training, but do not follow what they see."""
    norms = [module for module in backbone.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    kept = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    counts = [None if seen is None else seen.clone() for _, seen in kept]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, (momentum, seen), count in zip(norms, kept, counts, strict=True):
            norm.momentum = momentum
            if seen is not None and count is not None:
                seen.copy_(count)


def parts_of_batch(counts: Sequence[int], rank: int, accumulate: int) -> dict[str, int]:
    """What `InParts` is told of a batch, of which each process has `counts` samples: nothing where it is not used.

    All processes make the same number of parts, and a batch norm gets two samples of a part at least.
    """
    return {} if accumulate == 1 else {"rows": counts[rank], "parts": max(min(accumulate, min(counts) // 2), 1)}
