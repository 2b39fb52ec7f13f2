from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from ncdcli.compat import import_timm
from ncdcli.errors import MissingError, NcdError
from ncdcli.models.backbone import InputSpec
from ncdcli.models.build import build_backbone
from ncdcli.models.kinds import SmallCnn, Timm

torch.set_num_threads(1)
FILES = InputSpec("images", ())
VIT = "test_vit"  # timm's own tiny ViT, 160 pixels
State = dict[str, torch.Tensor]


def reference(name: str = VIT, **keywords: Any) -> Any:
    torch.manual_seed(3)
    model = import_timm().create_model(name, pretrained=False, num_classes=0, **keywords)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model.eval()


def load(path: Path, name: str = VIT, image_size: int | None = None) -> Any:
    return build_backbone(Timm(name=name, weights=str(path), image_size=image_size), FILES).eval()


def dino(state: State) -> dict[str, Any]:
    """A DINO training checkpoint: wrapped teacher and student with their projection heads, and the options."""
    head = {"module.head.mlp.0.weight": torch.zeros(2, 2)}
    student = {f"module.backbone.{name}": torch.zeros_like(value) for name, value in state.items()} | head
    teacher = {f"backbone.{name}": value for name, value in state.items()} | {"head.mlp.0.weight": torch.zeros(2, 2)}
    return {"student": student, "teacher": teacher, "epoch": 3, "args": argparse.Namespace(arch="vit")}


FORMS: dict[str, Callable[[State], Any]] = {
    "state.pth": lambda state: state,
    "timm.pth": lambda state: {"state_dict": {f"module.{name}": value for name, value in state.items()}, "epoch": 1},
    "classifier.pth": lambda state: state | {"head.weight": torch.zeros(10, 4), "fc.bias": torch.zeros(10)},
    "dino.pth": dino,
    "ours.pth": lambda state: {f"model.{name}": value for name, value in state.items()},
}


@pytest.mark.parametrize("form", FORMS)
def test_weights_are_found_in_every_form(form: str, tmp_path: Path) -> None:
    model = reference()
    torch.save(FORMS[form](model.state_dict()), tmp_path / form)
    images = torch.randn(2, 3, 160, 160)
    with torch.no_grad():
        assert torch.equal(load(tmp_path / form)(images), model(images))


def test_safetensors_are_read(tmp_path: Path) -> None:
    model = reference("resnet10t")
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(load(tmp_path / "weights.safetensors", "resnet10t")(images), model(images))


def test_dinov2_with_registers_becomes_timms_layout(tmp_path: Path) -> None:
    """timm keeps no position for the class token; DINOv2's is added to the token itself."""
    name = "vit_tiny_patch16_224"
    extra = {"reg_tokens": 4, "no_embed_class": True, "init_values": 1e-5, "img_size": 32}
    model = reference(name, **extra)
    state = dict(model.state_dict())
    position = torch.randn(1, 1, 192)
    original = {key: value for key, value in state.items() if key not in ("reg_token", "cls_token", "pos_embed")}
    original |= {
        "register_tokens": state["reg_token"],
        "cls_token": state["cls_token"] - position,
        "pos_embed": torch.cat([position, state["pos_embed"]], dim=1),
        "mask_token": torch.zeros(1, 192),
    }
    from ncdcli.models.weights import load_weights

    torch.save(original, tmp_path / "dinov2.pth")
    fresh = import_timm().create_model(name, pretrained=False, num_classes=0, **extra).eval()
    load_weights(fresh, tmp_path / "dinov2.pth")
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.allclose(fresh(images), model(images), atol=1e-5)


def test_positions_are_interpolated_to_another_image_size(tmp_path: Path) -> None:
    model = reference()
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    small = load(tmp_path / "weights.pth", image_size=96)
    prefix = small.model.pos_embed.shape[1] - 36
    assert small.model.pos_embed.shape[1] == prefix + (96 // 16) ** 2
    assert torch.equal(small.model.pos_embed[:, :prefix], model.pos_embed[:, :prefix])
    assert small(torch.zeros(1, 3, 96, 96)).shape == (1, small.dim)


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    state = dict(reference().state_dict())
    state.pop("blocks.0.norm1.weight")
    state["surprise.weight"] = torch.zeros(1)
    state["blocks.1.attn.qkv.weight"] = torch.zeros(2, 3)
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(NcdError) as caught:
        load(tmp_path / "weights.pth")
    assert "1 missing: blocks.0.norm1.weight" in caught.value.message
    assert "1 unknown: surprise.weight" in caught.value.message
    assert "blocks.1.attn.qkv.weight (2, 3) instead of (192, 64)" in caught.value.message
    assert "backbone.name" in caught.value.hint


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("code in a weights file ran",))


def test_code_in_a_file_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"state_dict": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(NcdError, match="cannot be read as weights alone"):
        load(tmp_path / "evil.pth")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("name", "content", "error", "message"),
    [
        ("none.pth", None, MissingError, "are not there"),
        ("text.pth", b"hello", NcdError, "cannot be read as weights alone"),
        ("text.safetensors", b"hello", NcdError, "is not a safetensors file"),
    ],
)
def test_files_that_are_no_weights(
    name: str, content: bytes | None, error: type[NcdError], message: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(error, match=message):
        load(tmp_path / name)


def test_a_file_without_names_is_refused(tmp_path: Path) -> None:
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    with pytest.raises(NcdError, match="holds no weights by name"):
        load(tmp_path / "list.pth")


def test_a_small_cnn_goes_on_from_what_another_run_has_trained(tmp_path: Path) -> None:
    inputs, path = InputSpec("images", (1, 8, 8)), tmp_path / "model.safetensors"
    first = build_backbone(SmallCnn(widths=(4, 8), dim=3), inputs).eval()
    save_file(first.state_dict(), path)
    again = build_backbone(SmallCnn(widths=(4, 8), dim=3, weights=str(path)), inputs).eval()
    images = torch.randn(2, 1, 8, 8)
    with torch.no_grad():
        assert torch.equal(again(images), first(images))
    with pytest.raises(NcdError, match=r"of another shape: project\.weight"):
        build_backbone(SmallCnn(widths=(4, 8), dim=5, weights=str(path)), inputs)
