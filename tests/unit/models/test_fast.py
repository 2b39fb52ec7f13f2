from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ncdcli.models.backbone import Backbone, InputSpec
from ncdcli.models.build import build_backbone
from ncdcli.models.fast import FastForward, FoldedConvolution, fast_forward
from ncdcli.models.kinds import EfficientNetLite, SmallCnn, Timm

torch.set_num_threads(1)
CPU = torch.device("cpu")


def prepared(config: Any, shape: tuple[int, ...] = ()) -> Backbone:
    """A backbone whose batch norms have statistics, as after training."""
    torch.manual_seed(0)
    backbone = build_backbone(config, InputSpec("images", shape), pretrained=config.kind != "efficientnet_lite").eval()
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.2)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2)  # type: ignore[arg-type]
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
    return backbone


def folded(forward: Any) -> list[FoldedConvolution]:
    return [module for module in forward.chosen.modules() if isinstance(module, FoldedConvolution)]


@pytest.mark.parametrize(
    ("config", "shape", "with_activation"),
    [
        (EfficientNetLite(image_size=64), (), 49),  # asymmetric padding, ReLU6
        (SmallCnn(widths=(8, 16)), (3, 16, 16), None),
        (Timm(name="mobilenetv3_small_050", weights="none", image_size=64), (), 34),  # hard swish, squeeze and excite
        (Timm(name="resnet18", weights="none", image_size=64), (), 0),  # adds a shortcut between norm and activation
    ],
    ids=["efficientnet_lite", "small_cnn", "mobilenetv3", "resnet18"],
)
def test_the_fast_form_gives_the_same_embeddings(
    config: Any, shape: tuple[int, ...], with_activation: int | None
) -> None:
    backbone = prepared(config, shape)
    side = backbone.preparation.size or shape[-1]  # type: ignore[union-attr]
    images = torch.randn(5, 3, side, side)
    with torch.inference_mode():
        expected = backbone(images)
        forward = fast_forward(backbone, device=CPU, precision="fp32")
        given = forward(images)
    assert isinstance(forward, FastForward)
    assert (given - expected).abs().max() <= 1e-5 * expected.abs().max()
    found = folded(forward)
    norms = [module for module in backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(found) == len(norms)
    if with_activation is not None:
        assert sum(module.activation is not None for module in found) == with_activation


class Swapped(Backbone):
    """Runs its modules in another order than that in which they are registered."""

    def __init__(self) -> None:
        super().__init__()
        self.dim = 4
        self.first = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 4, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.norm(self.second(self.first(inputs))).mean((2, 3))


def test_a_wrong_fold_is_noticed_and_not_used() -> None:
    backbone = Swapped().eval()
    nn.init.normal_(backbone.norm.running_mean)  # type: ignore[arg-type]
    images = torch.randn(3, 3, 8, 8)
    with torch.inference_mode():
        forward = fast_forward(backbone, device=CPU, precision="fp32")
        assert torch.equal(forward(images), backbone(images))
    assert forward.chosen is backbone  # type: ignore[attr-defined]


def test_nothing_is_copied_where_nothing_can_be_folded() -> None:
    vit = prepared(Timm(name="test_vit", weights="none"))
    assert fast_forward(vit, device=CPU, precision="fp32") is vit
    lite = prepared(EfficientNetLite())
    assert fast_forward(lite, device=CPU, precision="bf16") is lite
