"""Second copies of a network: frozen ones, and moving averages."""

from __future__ import annotations

from copy import deepcopy
from typing import TypeVar

import torch
from torch import nn

Module = TypeVar("Module", bound=nn.Module)


def frozen_copy(module: Module) -> Module:
    """A copy that no gradient reaches, in evaluation mode."""
    copy = deepcopy(module).eval()
    for parameter in copy.parameters():
        parameter.requires_grad_(False)
    return copy


@torch.no_grad()
def follow(average: nn.Module, module: nn.Module, *, momentum: float) -> None:
    """Move each parameter of `average` by 1 − momentum of the way to that of `module`; buffers are taken over."""
    for kept, new in zip(average.parameters(), module.parameters(), strict=True):
        kept.lerp_(new.detach().to(kept), 1 - momentum)
    for own, other in zip(average.buffers(), module.buffers(), strict=True):
        own.copy_(other)
