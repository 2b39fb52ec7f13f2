"""Any image model of timm as a backbone."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from torch import Tensor, nn

from ncdcli.compat import import_timm
from ncdcli.errors import MissingError, RecipeError
from ncdcli.models.backbone import Backbone, Cut, ImagePreparation, InputSpec
from ncdcli.models.freeze import find_blocks, freeze_all_but_last
from ncdcli.models.kinds import Timm as Config
from ncdcli.models.timm_cuts import timm_cuts
from ncdcli.models.weights import load_weights
from ncdcli.words import did_you_mean


class TimmBackbone(Backbone):
    """A timm model without its classifier: the embedding is the pooled feature (a ViT's class token)."""

    def __init__(self, model: nn.Module, preparation: ImagePreparation) -> None:
        super().__init__()
        self.model = model
        self.preparation = preparation
        self.dim = int(model.num_features)  # type: ignore[arg-type]
        self.channels_last = not hasattr(model, "patch_embed")
        self.any_size = self.channels_last and not getattr(model, "pretrained_cfg", {}).get("fixed_input_size", False)

    def list_blocks(self) -> tuple[list[nn.Module], list[nn.Module]]:
        return find_blocks(self.model)

    def cuts(self, first: int) -> Sequence[Cut]:
        return timm_cuts(self.model, self.list_blocks()[0], first)

    def forward(self, inputs: Tensor) -> Tensor:
        """(b, 3, size, size) -> (b, dim)."""
        return self.model(inputs)


def build(config: Config, inputs: InputSpec, *, pretrained: bool = True) -> Backbone:
    """The named timm model with its weights; MissingError where they, or timm, cannot be had."""
    timm = import_timm()
    check_name(timm, config.name)
    from_hub = pretrained and config.weights == "hub"
    model = _from_hub(timm, config) if from_hub else create(timm, config.name, config.image_size, pretrained=False)
    if config.small_stem:
        make_stem_small(model, name=config.name)
    if pretrained and config.weights not in ("hub", "none"):
        load_weights(model, Path(config.weights).expanduser())
    freeze_all_but_last(model, config.train_last_blocks, name=config.name)
    data = timm.data.resolve_model_data_config(model)
    preparation = ImagePreparation(
        config.image_size or int(data["input_size"][-1]),
        crop_fraction=config.crop_fraction,
        mean=tuple(data["mean"]),
        std=tuple(data["std"]),
        interpolation=data["interpolation"] if data["interpolation"] in ("bilinear", "bicubic") else "bicubic",
    )
    return TimmBackbone(model, preparation)


def create(timm: Any, name: str, image_size: int | None, *, pretrained: bool) -> Any:
    """A timm model without classifier. A size is told to models that need to know it; others take any."""
    if image_size is None:
        return timm.create_model(name, pretrained=pretrained, num_classes=0)
    try:
        return timm.create_model(name, pretrained=pretrained, num_classes=0, img_size=image_size)
    except TypeError:
        return timm.create_model(name, pretrained=pretrained, num_classes=0)


def make_stem_small(model: Any, *, name: str) -> None:
    """Exchange the first convolution of a ResNet for one of 3 × 3 without stride, and its pooling for nothing.

    The convolution has fresh weights. RecipeError where the model has no such parts.
    """
    old = getattr(model, "conv1", None)
    if not isinstance(old, nn.Conv2d) or not hasattr(model, "maxpool"):
        raise RecipeError(f"`{name}` is no ResNet: it has no stem to exchange", hint="leave `small_stem` out")
    model.conv1 = nn.Conv2d(old.in_channels, old.out_channels, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(model.conv1.weight, mode="fan_out", nonlinearity="relu")
    model.maxpool = nn.Identity()


def check_name(timm: Any, name: str) -> None:
    """RecipeError with the nearest names where timm has no such model or tag of weights."""
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        hint = did_you_mean(architecture, timm.list_models(), "see `timm.list_models()`")
        raise RecipeError(f"timm has no model `{architecture}`", hint=hint)
    known = [item for item in timm.list_pretrained() if item.partition(".")[0] == architecture]
    if tag and name not in known:
        raise RecipeError(
            f"timm's `{architecture}` has no weights tagged `{tag}`",
            hint=f"it has {', '.join(f'`{item}`' for item in known)}" if known else "leave the tag out",
        )


def _from_hub(timm: Any, config: Config) -> Any:
    import huggingface_hub

    if not hub_reachable():
        huggingface_hub.constants.HF_HUB_OFFLINE = True  # cached weights still load; the rest fails without waiting
    try:
        return create(timm, config.name, config.image_size, pretrained=True)
    except (OSError, RuntimeError, ValueError) as error:  # what timm and the hub raise: no file, no network, no weights
        raise MissingError(
            f"the weights of `{config.name}` cannot be had from the hub: {str(error).splitlines()[0]}",
            hint="download them where there is a network and set `backbone.weights: FILE`, or `none` for random ones",
        ) from error


def hub_reachable() -> bool:
    """False where the hub's name cannot even be resolved, and no proxy could do so instead."""
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return True
    host = urlparse(os.environ.get("HF_ENDPOINT", "https://huggingface.co")).hostname
    try:
        socket.getaddrinfo(host, 443)
    except OSError:
        return False
    return True
