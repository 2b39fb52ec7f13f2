"""What several processes share, so that their number changes no result beyond rounding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ncdcli.training.steps import loss_scaler

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def set_up(fabric: Fabric, module: nn.Module) -> Any:
    """The module as Fabric runs it. What has nothing to train needs no other process, and may have none.

    Fabric prepares its modules for processes that wait for each other. One process needs none of that, and it is a good
    part of a small step.
    """
    if fabric.world_size == 1:
        return InPrecision(fabric, fabric.to_device(module))
    if not any(parameter.requires_grad for parameter in module.parameters()):
        return fabric.to_device(module)
    return fabric.setup_module(module)


def set_up_objective(fabric: Fabric, objective: nn.Module) -> Any:
    """The objective as Fabric runs it; in fp16, in float32."""
    return set_up(fabric, objective if loss_scaler(fabric) is None else InFull(objective, fabric.device.type))


class InFull(nn.Module):
    """A module that computes in float32, whatever is around it.

    A loss adds what float16 loses: probabilities near 0, exponentials of cosines over a temperature, sums over pairs.
    Which of these autocast computes in float32 differs from device to device, and matrix products are not among them.
    Heads are small beside a backbone, and what backbones give comes in float32.
    """

    def __init__(self, module: nn.Module, device_type: str) -> None:
        super().__init__()
        self.module, self.device_type = module, device_type

    def forward(self, *arguments: Any, **named: Any) -> Any:
        with torch.autocast(self.device_type, enabled=False):
            return self.module(*arguments, **named)


class InPrecision:
    """A module that computes in the precision of the training; what it takes and gives is converted as Fabric does."""

    def __init__(self, fabric: Fabric, module: nn.Module) -> None:
        self.module, self.precision = module, fabric.strategy.precision

    def train(self) -> None:
        self.module.train()

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        if self.precision.precision == "32-true":
            return self.module(*arguments, **named)
        arguments, named = self.precision.convert_input((arguments, named))
        with self.precision.forward_context():
            found = self.module(*arguments, **named)
        return self.precision.convert_output(found)


def gather_views(fabric: Fabric, features: Tensor, counts: list[int]) -> list[Tensor]:
    """(views · b_rank, d) features of each process -> one (b, d) tensor per view, whole and in order, everywhere.

    `counts[rank]` is b_rank. Gradients flow back to the process that computed a row. Each process then computes the
    same loss on the whole batch, as one process would: a contrast sees all its negatives.
    """
    rows = counts[fabric.global_rank]
    views = features.unflatten(0, (-1, rows)) if rows else features.reshape(-1, 0, features.shape[1])
    if fabric.world_size == 1:
        return list(views)
    padded = F.pad(views, (0, 0, 0, max(counts) - rows))
    gathered = _all_gather(padded, rank=fabric.global_rank, processes=fabric.world_size)
    parts = [gathered[rank, :, :count] for rank, count in enumerate(counts)]
    return list(torch.cat(parts, dim=1))


def any_process(fabric: Fabric, flag: bool) -> bool:
    """Whether the flag is set in any process; all must call it."""
    if fabric.world_size == 1:
        return flag
    total = fabric.all_reduce(torch.tensor(float(flag), device=fabric.device), reduce_op="sum")
    return bool(total > 0)


def share_batch_norm(backbone: nn.Module) -> None:
    """Make the batch norms of a backbone use the statistics of the whole batch, over all processes.

    torch's own `SyncBatchNorm` needs a GPU. The class of the modules is exchanged in place, so that the names in the
    state stay the same. timm's fused norm-activation layers are left alone: they see their process' part of a batch.
    """
    exchange: dict[type[nn.Module], type[nn.Module]] = {
        nn.BatchNorm1d: SharedBatchNorm1d,
        nn.BatchNorm2d: SharedBatchNorm2d,
    }
    for module in backbone.modules():
        if type(module) in exchange:
            module.__class__ = exchange[type(module)]


class _SharedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm whose batch is that of all processes together."""

    def forward(self, inputs: Tensor) -> Tensor:
        if not self.training:
            return super().forward(inputs)
        axes = [axis for axis in range(inputs.ndim) if axis != 1]
        shape = [1, -1] + [1] * (inputs.ndim - 2)
        values = inputs.float()
        local = torch.cat([values.sum(axes), values.new_tensor([values.numel() / values.shape[1]])])
        *_, total = sums = _sum_over_processes(local)
        mean = sums[:-1] / total
        centred = values - mean.view(shape)
        variance = _sum_over_processes(centred.square().sum(axes)) / total
        self._follow(mean.detach(), (variance * total / (total - 1)).detach())
        scaled = centred * (variance + self.eps).rsqrt().view(shape)
        return (scaled * self.weight.view(shape) + self.bias.view(shape)).to(inputs.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)


class SharedBatchNorm1d(_SharedBatchNorm, nn.BatchNorm1d):
    """`nn.BatchNorm1d` over all processes."""


class SharedBatchNorm2d(_SharedBatchNorm, nn.BatchNorm2d):
    """`nn.BatchNorm2d` over all processes."""


class _Sum(torch.autograd.Function):
    """Sum over processes; what each process' loss owes to a sum, it owes to every process' part of it.

    The functions of `torch.distributed.nn` that do this are deprecated, and their successors not in all versions.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.contiguous().clone()
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _Sum.forward(ctx, gradient)


def _sum_over_processes(values: Tensor) -> Tensor:
    return _Sum.apply(values)


def _all_gather(values: Tensor, *, rank: int, processes: int) -> Tensor:
    """(processes, …) the values of every process: a sum in which each fills its own place."""
    whole = values.new_zeros((processes, *values.shape))
    whole[rank] = values
    return _sum_over_processes(whole)
