from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from ncdcli.data.sources import FeatureInputs, ImageInputs, TableInputs
from ncdcli.data.tables import TableEncoder
from ncdcli.errors import DataError
from ncdcli.models.backbone import ImagePreparation, InputSpec
from ncdcli.objectives.kinds import Augment
from ncdcli.training.augment import augment_images, small_crops
from ncdcli.training.batches import ArrayImages, Draw, FileImages, Vectors, open_inputs, resize
from ncdcli.training.sampler import plan_epoch
from ncdcli.training.views import Views

CPU = torch.device("cpu")
RNG = np.random.default_rng(0)


def photo(height: int, width: int) -> np.ndarray[Any, Any]:
    """A smooth picture with some noise: what interpolation meets in practice."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    waves = [np.sin(9 * x + 3 * y), np.cos(7 * y), np.sin(5 * x * y + 1)]
    pixels = 127 + 100 * np.stack(waves, -1) + RNG.normal(0, 8, (height, width, 3))
    return np.clip(pixels, 0, 255).astype(np.uint8)


def open_image(path: Path) -> Image.Image:
    return Image.open(path)


def open_nothing(path: Path) -> Image.Image:
    raise DataError(f"`{path}` cannot be read", hint="remove it")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = []
    for number, shape in enumerate([(40, 60), (64, 48), (32, 32), (50, 90), (33, 47)]):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(photo(*shape)).save(paths[-1])
    return paths


def read_all(source: Any, preparation: ImagePreparation | None, *batches: list[int]) -> list[torch.Tensor]:
    draws = [Draw(np.array(rows)) for rows in batches]
    return [views[0] for views in source.read(draws, preparation, CPU)]


@pytest.mark.parametrize(("side", "size"), [(32, 64), (32, 20), (48, 48)])
def test_images_in_memory_are_resized_as_pil_does(side: int, size: int) -> None:
    raw = np.stack([photo(side, side) for _ in range(3)])
    given = resize(torch.from_numpy(raw).permute(0, 3, 1, 2), ImagePreparation(size)).permute(0, 2, 3, 1).numpy()
    expected = [np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC)) for image in raw]
    assert np.abs(given.astype(int) - np.stack(expected)).max() <= 1


def test_the_test_view_is_the_centre_of_the_resized_image(files: list[Path]) -> None:
    preparation = ImagePreparation(24, crop_fraction=0.75)
    source = FileImages(files, open_image, 3)
    (given,) = read_all(source, preparation, [0, 1, 4])
    for row, file in enumerate([files[0], files[1], files[4]]):
        image = Image.open(file)
        scale = 32 / min(image.size)
        image = image.resize((int(image.width * scale), int(image.height * scale)), Image.Resampling.BICUBIC)
        left, top = round((image.width - 24) / 2), round((image.height - 24) / 2)
        expected = np.asarray(image.crop((left, top, left + 24, top + 24)))
        assert np.array_equal(given[row].permute(1, 2, 0).numpy(), expected)


def test_arrays_and_files_give_the_same_pixels(tmp_path: Path) -> None:
    raw = np.stack([photo(32, 32) for _ in range(4)])
    paths = [tmp_path / f"{row}.png" for row in range(4)]
    for path, image in zip(paths, raw, strict=True):
        Image.fromarray(image).save(path)
    preparation = ImagePreparation(40, crop_fraction=0.8)
    (array,) = read_all(ArrayImages(raw), preparation, [3, 1])
    (decoded,) = read_all(FileImages(paths, open_image, 3), preparation, [3, 1])
    assert (array.int() - decoded.int()).abs().max() <= 1


def test_workers_change_nothing(files: list[Path]) -> None:
    preparation = ImagePreparation(16, crop_fraction=0.8)
    rng = np.random.default_rng(1)
    draws = [Draw(np.array(rows), rng.random((len(rows), 2, 2), dtype=np.float32)) for rows in ([0, 3], [2, 1, 4])]
    alone, helped = FileImages(files, open_image, 3), FileImages(files, open_image, 3, workers=2)
    first, second = ([list(views) for views in source.read(draws, preparation, CPU)] for source in (alone, helped))
    assert [len(views) for views in first] == [2, 2]
    for one, other in zip(first, second, strict=True):
        assert all(torch.equal(left, right) for left, right in zip(one, other, strict=True))
    assert not torch.equal(first[0][0], first[0][1])  # two crops of one image


def test_an_unreadable_file_is_reported_as_it_is(files: list[Path]) -> None:
    for workers in (0, 1):
        source = FileImages(files, open_nothing, 3, workers=workers)
        with pytest.raises(DataError, match=r"0\.png` cannot be read") as caught:
            read_all(source, ImagePreparation(16), [0])
        assert caught.value.hint == "remove it"


def test_images_of_several_sizes_need_one(files: list[Path]) -> None:
    with pytest.raises(DataError, match="differ in size"):
        read_all(FileImages(files, open_image, 3), ImagePreparation(None), [0, 1])


def test_gray_images_serve_a_colour_backbone() -> None:
    raw = RNG.integers(0, 256, (2, 8, 8, 1), dtype=np.uint8)
    (given,) = read_all(ArrayImages(raw), ImagePreparation(None), [0, 1])
    assert given.shape == (2, 3, 8, 8)
    assert torch.equal(given[:, 0], given[:, 2])


def test_reading_draws_nothing_from_the_global_generator(files: list[Path]) -> None:
    before = torch.random.get_rng_state()
    read_all(FileImages(files, open_image, 3), ImagePreparation(8), [0])
    assert torch.equal(torch.random.get_rng_state(), before)


def test_inputs_of_each_kind_are_opened() -> None:
    images = ImageInputs(RNG.integers(0, 256, (5, 6, 7, 1), dtype=np.uint8), channels=1)
    assert open_inputs(images).spec == InputSpec("images", (1, 6, 7), 1)
    features = FeatureInputs(RNG.random((9, 4)), rows=np.array([8, 0, 8]))
    vectors = open_inputs(features)
    assert (len(vectors), vectors.spec.modality, vectors.spec.shape) == (3, "embeddings", (4,))
    (given,) = read_all(vectors, None, [2, 1])
    assert np.array_equal(given.numpy(), features.array[[8, 0]].astype(np.float32))
    table = TableInputs(pd.DataFrame({"a": [1.0, 2, 3, 50], "b": [0.0, 0, 1, 1]}))
    encoder = TableEncoder.fit(table, np.array([0, 1, 2]))
    (given,) = read_all(open_inputs(table, encoder=encoder), None, [0, 1, 2])
    assert given.mean(0).tolist() == pytest.approx([0, 0], abs=1e-6)


def views_of(source: Any, preparation: ImagePreparation | None, augment: Augment, *, processes: int) -> torch.Tensor:
    """All views of an epoch, (2, m, …), put together from the parts of all processes."""
    rows = np.arange(len(source))
    stream = np.random.SeedSequence(3)
    plan = plan_epoch(
        stream, epoch=2, rows=rows, labels=np.full(len(rows), -1), sampler="shuffle", batch_size=4, views=2
    )
    parts = []
    for rank in range(processes):
        views = Views(source, preparation, augment, stream, rows, rank=rank, processes=processes)
        parts.append([batch.unflatten(0, (2, -1)) for batch in views.epoch(plan, CPU)])
    return torch.cat([torch.cat(batch, dim=1) for batch in zip(*parts, strict=True)], dim=1)


AUGMENTS = Augment(resize_crop=0.5, shift=0.1, rotate=10, flip=True, brightness=0.2, noise=0.1)


@pytest.mark.parametrize("processes", [2, 3])
def test_the_number_of_processes_changes_no_view(processes: int) -> None:
    images = ArrayImages(np.stack([photo(10, 10) for _ in range(11)]))
    preparation = ImagePreparation(8, crop_fraction=0.8)
    alone = views_of(images, preparation, AUGMENTS, processes=1)
    assert alone.shape == (2, 11, 3, 8, 8)
    assert torch.allclose(views_of(images, preparation, AUGMENTS, processes=processes), alone, atol=1e-5)

    vectors = Vectors(RNG.random((11, 6)), "tables")
    augment = Augment(noise=0.1, mask=0.4)
    alone = views_of(vectors, None, augment, processes=1)
    assert torch.equal(views_of(vectors, None, augment, processes=processes), alone)


def test_mask_takes_values_of_other_rows_column_by_column() -> None:
    values = (np.arange(400)[:, None] + 1000 * np.arange(5)).astype(np.float32)  # column = value // 1000
    vectors = Vectors(values, "tables")
    plain = views_of(vectors, None, Augment(), processes=1)
    masked = views_of(vectors, None, Augment(mask=0.3), processes=1)
    assert torch.equal(masked // 1000, plain // 1000)
    changed = (masked != plain).float().mean()
    assert abs(float(changed) - 0.3) < 5 * (0.3 * 0.7 / plain.numel()) ** 0.5


def test_noise_has_its_standard_deviation() -> None:
    vectors = Vectors(np.zeros((400, 10), np.float32), "tables")
    noise = views_of(vectors, None, Augment(noise=0.5), processes=1)
    assert abs(float(noise.std()) - 0.5) < 5 * 0.5 / (2 * noise.numel()) ** 0.5
    assert not torch.equal(noise[0], noise[1])


def test_views_are_turned_by_a_quarter_more_each() -> None:
    pixels = np.stack([photo(10, 10) for _ in range(7)])
    stream, augment = np.random.SeedSequence(3), Augment()
    plan = plan_epoch(
        stream, epoch=0, rows=np.arange(7), labels=np.zeros(7, np.int64), sampler="shuffle", batch_size=4, views=4
    )
    views = Views(ArrayImages(pixels), ImagePreparation(None), augment, stream, np.arange(7), turns=True)
    for number, inputs in enumerate(views.epoch(plan, CPU)):
        images = pixels[plan.order[plan.part(number)]] / np.float32(255)
        expected = np.concatenate([np.rot90(images, turn, axes=(1, 2)) for turn in range(4)])
        np.testing.assert_allclose(inputs.permute(0, 2, 3, 1).numpy(), expected, rtol=1e-6)


def crop_plan(rows: int = 7) -> Any:
    """Two full views and three small ones of each row."""
    stream, order = np.random.SeedSequence(3), np.arange(rows)
    return plan_epoch(stream, epoch=2, rows=order, labels=order, sampler="shuffle", batch_size=4, views=5)


def test_the_last_views_of_a_plan_are_small_crops() -> None:
    augment = Augment(resize_crop=0.5, flip=True, brightness=0.2, small_crops=3, small_size=5)
    pixels, plan = np.stack([photo(10, 10) for _ in range(7)]), crop_plan()
    views = Views(ArrayImages(pixels), ImagePreparation(None), augment, np.random.SeedSequence(3), np.arange(7))
    for number, shown in enumerate(views.batches(plan, CPU)):
        part = plan.part(number)
        images = torch.from_numpy(pixels[plan.order[part]]).permute(0, 3, 1, 2) / 255
        drawn = [torch.from_numpy(plan.uniforms[part, view]) for view in range(5)]
        full = torch.cat([augment_images(images, drawn[view], augment) for view in (0, 1)])
        small = torch.cat([small_crops(images, drawn[view], augment) for view in (2, 3, 4)])
        assert shown.small is not None
        assert shown.small.shape == (3 * len(images), 3, 5, 5)
        torch.testing.assert_close(shown.inputs, full)
        torch.testing.assert_close(shown.small, small)


def test_the_number_of_processes_changes_no_small_crop() -> None:
    augment = Augment(resize_crop=0.5, noise=0.1, small_crops=3, small_size=5)
    images, preparation = ArrayImages(np.stack([photo(10, 10) for _ in range(7)])), ImagePreparation(8, 0.8)

    def small(processes: int) -> torch.Tensor:
        parts = []
        for rank in range(processes):
            views = Views(
                images, preparation, augment, np.random.SeedSequence(3), np.arange(7), rank=rank, processes=processes
            )
            parts.append([shown.small.unflatten(0, (3, -1)) for shown in views.batches(crop_plan(), CPU)])  # type: ignore[union-attr]
        return torch.cat([torch.cat(batch, dim=1) for batch in zip(*parts, strict=True)], dim=1)

    alone = small(1)
    assert alone.shape == (3, 7, 3, 5, 5)
    assert torch.allclose(small(2), alone, atol=1e-5)
