"""Faster equal forms of a convolutional backbone for inference on a CPU.

Batch norms are folded into the convolutions before them, and activations are computed by the convolution's own kernel
(oneDNN), so that feature maps go through memory once instead of three times.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_weights

from ncdcli.models.backbone import Backbone

TOLERANCE = 1e-4  # greatest difference to the plain backbone, / its greatest output
# Activation -> the name and numbers under which oneDNN knows it.
ACTIVATIONS: dict[type[nn.Module], tuple[str, list[float]]] = {
    nn.Identity: ("none", []),
    nn.ReLU: ("relu", []),
    nn.ReLU6: ("hardtanh", [0.0, 6.0]),
    nn.SiLU: ("swish", []),
    nn.Hardswish: ("hardswish", []),
}


def fast_forward(backbone: Backbone, *, device: torch.device, precision: str) -> Callable[[Tensor], Tensor]:
    """A function with the outputs of `backbone`, which must be in evaluation mode, within `TOLERANCE`.

    The backbone itself where nothing can be gained: on other devices, in 16 bits, without convolution and batch norm.
    """
    if backbone.channels_last:
        backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if device.type != "cpu" or precision != "fp32" or not any(find_pairs(backbone)):
        return backbone
    return FastForward(backbone)


class FastForward:
    """Takes, at its first batch, the fastest form of a backbone that gives the same numbers there.

    Folding goes by the order in which modules are registered, which need not be that in which they run. Comparing
    outputs finds out, and the next form is tried.
    """

    def __init__(self, backbone: Backbone) -> None:
        self.backbone = backbone
        self.chosen: nn.Module | None = None

    def __call__(self, inputs: Tensor) -> Tensor:
        if self.chosen is None:
            self.chosen = self._choose(inputs[:2])
        return self.chosen(inputs)

    def _choose(self, inputs: Tensor) -> nn.Module:
        expected = self.backbone(inputs)
        for with_activations in (True, False) if has_fused_kernel() else (False,):
            candidate = fold(self.backbone, with_activations=with_activations)
            if (candidate(inputs) - expected).abs().max() <= TOLERANCE * expected.abs().max():
                return candidate
        return self.backbone


def has_fused_kernel() -> bool:
    """Whether torch has the convolution with an activation that its own compiler uses."""
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_convolution_pointwise")


def fold(backbone: Backbone, *, with_activations: bool) -> Backbone:
    """A copy in which each convolution takes in the batch norm after it, and on request the activation after that."""
    folded = copy.deepcopy(backbone)
    for parent, conv_name, norm_name, activation_name in list(find_pairs(folded)):
        conv, norm = getattr(parent, conv_name), getattr(parent, norm_name)
        after = getattr(norm, "act", nn.Identity())  # timm's norm layers carry their activation
        if with_activations and type(after) is nn.Identity and activation_name:
            after = getattr(parent, activation_name)
            setattr(parent, activation_name, nn.Identity())
        fused = with_activations and type(after) in ACTIVATIONS
        setattr(parent, conv_name, FoldedConvolution(conv, norm, type(after) if fused else None))
        setattr(parent, norm_name, nn.Identity() if fused else after)
    return folded


def find_pairs(module: nn.Module) -> Iterator[tuple[nn.Module, str, str, str]]:
    """(parent, convolution, batch norm, activation or "") by name: neighbours among the children of one parent."""
    for parent in module.modules():
        children = [(name, child) for name, child in parent.named_children() if type(child) is not nn.Identity]
        for place, ((conv_name, conv), (norm_name, norm)) in enumerate(pairwise(children)):
            if not (isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)) or not can_fold(conv, norm):
                continue
            following = children[place + 2] if place + 2 < len(children) else ("", nn.Identity())
            yield parent, conv_name, norm_name, following[0] if type(following[1]) in ACTIVATIONS else ""


def can_fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> bool:
    """Whether the two are of a kind whose product is known here."""
    known = type(conv) is nn.Conv2d or type(conv).__name__ == "Conv2dSame"
    plain = conv.padding_mode == "zeros" and not isinstance(conv.padding, str)
    return known and plain and norm.running_mean is not None and conv.out_channels == norm.num_features


class FoldedConvolution(nn.Module):
    """Convolution, batch norm with fixed statistics, and an activation, in one kernel where torch has it."""

    def __init__(self, conv: nn.Conv2d, norm: nn.BatchNorm2d, activation: type[nn.Module] | None) -> None:
        super().__init__()
        assert norm.running_mean is not None
        assert norm.running_var is not None
        weight, bias = fuse_conv_bn_weights(
            conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        )
        self.weight = nn.Parameter(weight.detach().contiguous(memory_format=torch.channels_last), requires_grad=False)
        self.bias = nn.Parameter(bias.detach(), requires_grad=False)
        self.same = type(conv).__name__ == "Conv2dSame"  # timm's name for TensorFlow's padding
        self.padding = [0, 0] if self.same else [int(side) for side in conv.padding]
        self.stride, self.dilation, self.groups = list(conv.stride), list(conv.dilation), conv.groups
        self.activation = activation

    def forward(self, inputs: Tensor) -> Tensor:
        if self.same:
            inputs = F.pad(inputs, self._same_padding(inputs.shape[3], 1) + self._same_padding(inputs.shape[2], 0))
        if self.activation is None:
            return F.conv2d(inputs, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)
        name, numbers = ACTIVATIONS[self.activation]
        return torch.ops.mkldnn._convolution_pointwise(
            inputs, self.weight, self.bias, self.padding, self.stride, self.dilation, self.groups, name, numbers, ""
        )

    def _same_padding(self, side: int, axis: int) -> list[int]:
        """TensorFlow pads so that the output has ⌈side / stride⌉ pixels, the odd one at the end."""
        stride, reach = self.stride[axis], (self.weight.shape[2 + axis] - 1) * self.dilation[axis] + 1
        total = max((-(-side // stride) - 1) * stride + reach - side, 0)
        return [total // 2, total - total // 2]
