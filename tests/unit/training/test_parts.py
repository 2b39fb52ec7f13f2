"""A batch that passes through the backbone in parts: the loss and the gradients of the whole batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from toytraining import Watcher, make_job

from ncdcli.errors import Interrupted
from ncdcli.models.backbone import InputSpec
from ncdcli.models.build import build_backbone
from ncdcli.models.kinds import Mlp, SmallCnn, Timm
from ncdcli.objectives.kinds import Augment, PretrainConfig, SupConInfoNCE
from ncdcli.training.batches import ArrayImages
from ncdcli.training.parts import InParts, frozen_statistics, parts_of_batch

VIT = Timm(name="vit_tiny_patch16_224", weights="none", image_size=32, crop_fraction=1.0, train_last_blocks=2)
MLP, CNN = Mlp(hidden=(16,), dim=8, dropout=0.3), SmallCnn(widths=(4, 8), dim=5)
GCD = SupConInfoNCE(head_hidden=32, head_bottleneck=8, head_out=64)
NOISE = Augment(noise=0.1)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def config(**fields: Any) -> PretrainConfig:
    settings: dict[str, Any] = {"objective": GCD, "epochs": 3, "batch_size": 32, "augment": NOISE}
    return PretrainConfig(**(settings | fields))


@pytest.mark.parametrize("accumulate", [2, 3, 16])
def test_weights_are_those_of_whole_batches(fit: Any, tmp_path: Path, accumulate: int) -> None:
    """A contrast of all samples of a batch, clipped; the last batch is smaller (90 = 2 · 32 + 26)."""
    plain = Mlp(hidden=(16,), dim=8, batch_norm=False)
    whole = fit("whole", config(gradient_clip=0.5), backbone=plain)
    parts = fit("parts", config(gradient_clip=0.5, accumulate=accumulate), backbone=plain)
    assert parts["metrics"]["loss"] == pytest.approx(whole["metrics"]["loss"], rel=1e-5)
    one, other = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    start = make_job(tmp_path, config(), backbone=plain).backbone.state_dict()
    assert all(torch.allclose(one[name], other[name], rtol=1e-4, atol=1e-5) for name in one)
    assert max(float((one[name] - start[name]).abs().max()) for name in one) > 2e-3


def test_a_part_keeps_no_activations_until_its_gradients_are_computed() -> None:
    """Of the whole batch the layers keep 2 x 64 x 256 numbers; in parts only what enters them is kept."""
    layers = build_backbone(Mlp(hidden=(256, 256), dim=4, batch_norm=False), InputSpec("tables", (8,), 1))
    inputs = torch.randn(64, 8)

    def kept(module: nn.Module, **how: int) -> int:
        sizes = [0]

        def count(tensor: torch.Tensor) -> torch.Tensor:
            if not isinstance(tensor, nn.Parameter):
                sizes[0] += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
            found = module(inputs, **how)
        (found if isinstance(found, torch.Tensor) else found[0]).sum().backward()
        return sizes[0]

    assert kept(layers) > 2 * 64 * 256
    assert kept(InParts(layers), rows=32, parts=4) <= inputs.numel()


def test_batch_norms_see_each_part_once() -> None:
    """Samples stay together with their views, and the second pass moves no average."""
    spec = InputSpec("tables", (8,), 1)
    backbone, alone = (build_backbone(Mlp(hidden=(16,), dim=4), spec) for _ in range(2))
    alone.load_state_dict(backbone.state_dict())
    inputs = torch.randn(10, 8)  # five samples, two views
    (found,) = InParts(backbone)(inputs, rows=5, parts=2)
    found.square().sum().backward()
    expected = [alone(inputs[[0, 1, 2, 5, 6, 7]]), alone(inputs[[3, 4, 8, 9]])]
    assert torch.equal(found[[0, 1, 2, 5, 6, 7]], expected[0])
    assert torch.equal(found[[3, 4, 8, 9]], expected[1])
    sum(part.square().sum() for part in expected).backward()
    for name, value in alone.state_dict().items():
        torch.testing.assert_close(backbone.state_dict()[name], value, msg=name)
    for ours, theirs in zip(backbone.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_statistics_are_frozen_only_within() -> None:
    norm = nn.BatchNorm1d(3, momentum=None)
    with frozen_statistics(norm):
        norm(torch.randn(4, 3))
    state = norm.state_dict()
    assert (norm.momentum, int(state["num_batches_tracked"]), state["running_mean"].tolist()) == (None, 0, [0.0] * 3)
    norm(torch.ones(4, 3))
    assert norm.state_dict()["running_mean"].tolist() == [1.0] * 3


@pytest.mark.parametrize(
    ("backbone", "precision"), [(MLP, "fp32"), (MLP, "bf16"), (MLP, "fp16"), (CNN, "fp32"), (VIT, "fp32")]
)
def test_an_interrupted_training_goes_on_to_the_same_bits(
    fit: Any, tmp_path: Path, backbone: Any, precision: str
) -> None:
    """Dropout, batch norms, images in channels-last order, half precisions."""
    images = (
        None
        if backbone.kind == "mlp"
        else ArrayImages(np.random.default_rng(0).integers(0, 256, (90, 32, 32, 3), dtype=np.uint8))
    )
    settings = config(accumulate=3, epochs=1 if backbone is VIT else 2, precision=precision)
    whole = fit("whole", settings, backbone=backbone, source=images)
    with pytest.raises(Interrupted):
        fit("parts", settings, backbone=backbone, source=images, watcher=Watcher(stop_after=2))
    parts = fit("parts", settings, backbone=backbone, source=images)
    assert parts["metrics"] == whole["metrics"]
    one, other = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
@pytest.mark.usefixtures("quick_processes")
def test_two_processes_make_the_same_parts(fit: Any, tmp_path: Path) -> None:
    """With batch norms over both, which see the same samples of a part only where the parts are alike: here not."""
    plain = Mlp(hidden=(16,), dim=8, batch_norm=False)
    settings = config(accumulate=4, batch_size=7, epochs=1)
    for processes in (1, 2):
        fit(str(processes), settings, backbone=plain, processes=processes)
    one, two = weights(tmp_path / "1"), weights(tmp_path / "2")
    assert all(torch.allclose(one[name], two[name], rtol=1e-3, atol=2e-5) for name in one)
    found = fit("norms", settings, backbone=Mlp(hidden=(16,), dim=8), processes=2)
    assert np.isfinite(found["metrics"]["loss"])


def test_the_number_of_parts_is_that_of_the_process_with_the_fewest_samples() -> None:
    assert parts_of_batch([32], 0, 1) == {}
    assert parts_of_batch([32], 0, 4) == {"rows": 32, "parts": 4}
    assert parts_of_batch([5, 4], 0, 8) == {"rows": 5, "parts": 2}
    assert parts_of_batch([1, 0], 1, 8) == {"rows": 0, "parts": 1}
