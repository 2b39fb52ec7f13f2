from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance
from torch.nn import functional as F

from ncdcli.errors import RecipeError
from ncdcli.models.backbone import ImagePreparation
from ncdcli.objectives.kinds import Augment
from ncdcli.training.augment import (
    Column,
    affine_maps,
    augment_images,
    check_augment,
    check_sizes,
    normalise,
    sampling_grid,
    small_crops,
)
from ncdcli.training.sampler import PARAMETERS


def uniforms(count: int = 1, **values: float) -> torch.Tensor:
    """All 0.5 (no signed change), except the named columns."""
    table = torch.full((count, PARAMETERS), 0.5)
    for name, value in values.items():
        table[:, Column[name.upper()]] = value
    return table


def images(count: int = 1, channels: int = 3, side: int = 8) -> torch.Tensor:
    return torch.rand(count, channels, side, side, generator=torch.Generator().manual_seed(0))


def test_nothing_is_done_by_default() -> None:
    pixels = images(4)
    assert torch.equal(augment_images(pixels, torch.rand(4, PARAMETERS), Augment()), pixels)


def test_flip_mirrors_where_its_uniform_is_below_a_half() -> None:
    pixels = images(2)
    table = uniforms(2)
    table[0, Column.FLIP] = 0.49
    flipped = augment_images(pixels, table, Augment(flip=True))
    assert torch.equal(flipped[0], pixels[0].flip(-1))
    assert torch.equal(flipped[1], pixels[1])


def test_flip_is_the_same_through_the_affine_map() -> None:
    pixels = images(2)
    flipped = augment_images(pixels, uniforms(2, flip=0.1), Augment(flip=True, shift=0.1))
    assert torch.allclose(flipped, pixels.flip(-1), atol=1e-5)


def test_shift_by_whole_pixels_moves_and_repeats_the_border() -> None:
    pixels = images(side=8)
    # 0.25 of 8 pixels = 2 pixels: what lies two columns to the right is shown.
    shifted = augment_images(pixels, uniforms(shift_x=1.0), Augment(shift=0.25))
    assert torch.allclose(shifted[..., :6], pixels[..., 2:], atol=1e-5)
    assert torch.allclose(shifted[..., 6:], pixels[..., 7:].expand(-1, -1, -1, 2), atol=1e-5)


@pytest.mark.parametrize("shape", [(8, 8), (6, 10)])
def test_rotation_by_a_half_turn_reverses_both_axes(shape: tuple[int, int]) -> None:
    pixels = torch.rand(1, 1, *shape)
    turned = augment_images(pixels, uniforms(rotate=1.0), Augment(rotate=180))
    assert torch.allclose(turned, pixels.flip(-1, -2), atol=1e-4)


def test_rotation_by_a_quarter_turn_is_that_of_numpy() -> None:
    pixels = images(side=7)
    turned = augment_images(pixels, uniforms(rotate=1.0), Augment(rotate=90))
    expected = [np.rot90(pixels[0, channel].numpy(), k=times) for times in (1, 3) for channel in range(3)]
    given = turned[0].numpy()
    assert any(np.allclose(given, np.stack(expected[start : start + 3]), atol=1e-4) for start in (0, 3))


def test_rotation_keeps_shapes_where_sides_differ() -> None:
    """A rotation is one of pixels, not of the unit square: a centred square stays one at 90 degrees."""
    pixels = torch.zeros(1, 1, 9, 21)
    pixels[:, :, 3:6, 9:12] = 1
    turned = augment_images(pixels, uniforms(rotate=1.0), Augment(rotate=90))
    assert torch.allclose(turned, pixels, atol=1e-4)


def test_zoom_by_two_shows_the_middle() -> None:
    ramp = torch.linspace(0, 1, 16).expand(1, 1, 16, 16)
    zoomed = augment_images(ramp, uniforms(zoom=0.75), Augment(zoom=0.5))  # 1 + 0.5 · 0.5 = 1.25
    step = 1 / 15
    assert float(zoomed[0, 0, 8, 9] - zoomed[0, 0, 8, 8]) == pytest.approx(step / 1.25, rel=1e-4)
    assert float(zoomed[0, 0, 8, 7] + zoomed[0, 0, 8, 8]) == pytest.approx(1.0, rel=1e-4)  # the centre stays


def test_resized_crop_shows_the_drawn_window() -> None:
    ramp = torch.linspace(0, 1, 64).expand(1, 1, 64, 64)
    config = Augment(resize_crop=0.25)
    corner = augment_images(ramp, uniforms(area=0.0, area_x=0.0, area_y=0.0), config)
    # A quarter of the area at ratio 1 is half a side; at the left edge columns 0 … 31 are shown on 64 columns.
    inner = corner[0, 0, 5, 2:62]
    assert float(inner[1] - inner[0]) == pytest.approx(0.5 / 63, rel=1e-3)
    assert float(corner[0, 0, 5, 63]) == pytest.approx((31.5 + 0.25 - 0.5) / 63, rel=1e-2)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 7), (8, 8), (20, 33), (32, 32), (97, 64)])
def test_the_sampling_grid_is_that_of_torch_number_for_number(height: int, width: int) -> None:
    maps = torch.rand(5, 2, 3, generator=torch.Generator().manual_seed(height)) * 3 - 1.5
    expected = F.affine_grid(maps, [5, 1, height, width], align_corners=False)
    assert torch.equal(sampling_grid(maps, height, width), expected)


def test_what_is_off_changes_no_view() -> None:
    table = torch.rand(64, PARAMETERS, generator=torch.Generator().manual_seed(2))
    for config in (Augment(shift=0.2), Augment(rotate=20), Augment(zoom=0.2), Augment(resize_crop=0.5)):
        least = {name: getattr(config, name) or 1e-30 for name in ("shift", "rotate", "zoom")}
        whole = affine_maps(table, config.model_copy(update=least), height=16, width=12)
        torch.testing.assert_close(affine_maps(table, config, height=16, width=12), whole, atol=1e-20, rtol=0)


def test_a_resized_crop_never_leaves_the_image() -> None:
    rng = torch.Generator().manual_seed(1)
    marked = torch.zeros(256, 1, 16, 16)
    marked[:, :, 0, :] = marked[:, :, -1, :] = marked[:, :, :, 0] = marked[:, :, :, -1] = 1
    table = torch.rand(256, PARAMETERS, generator=rng)
    maps = affine_maps(table, Augment(resize_crop=0.1), height=16, width=16)
    corners = torch.tensor([[-1.0, -1, 1], [1, 1, 1], [-1, 1, 1], [1, -1, 1]])
    reached = maps @ corners.T
    assert float(reached.abs().max()) <= 1 + 1e-5


@pytest.mark.parametrize(
    ("field", "column", "enhance"),
    [
        ("brightness", "brightness", ImageEnhance.Brightness),
        ("contrast", "contrast", ImageEnhance.Contrast),
        ("saturation", "saturation", ImageEnhance.Color),
    ],
)
def test_colours_change_as_in_pil(field: str, column: str, enhance: Any) -> None:
    raw = np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    expected = np.asarray(enhance(Image.fromarray(raw)).enhance(1 + 0.4 * 0.6), np.float32)
    pixels = torch.from_numpy(raw).permute(2, 0, 1)[None] / 255
    given = augment_images(pixels, uniforms(**{column: 0.8}), Augment(**{field: 0.4}))  # type: ignore[arg-type]
    assert np.abs(given[0].permute(1, 2, 0).numpy() * 255 - expected).max() <= 1.5  # PIL rounds to integers


def test_grayscale_has_its_probability_and_the_weights_of_luma() -> None:
    pixels = images(400, side=2)
    table = torch.rand(400, PARAMETERS, generator=torch.Generator().manual_seed(2))
    given = augment_images(pixels, table, Augment(grayscale=0.3))
    gray = (given[:, 0] == given[:, 1]).all(dim=(1, 2))
    assert torch.equal(gray, table[:, Column.GRAYSCALE] < 0.3)
    weights = torch.tensor([0.299, 0.587, 0.114])[:, None, None]
    assert torch.allclose(given[gray][:, 0], (pixels[gray] * weights).sum(1), atol=1e-6)


def test_one_channel_has_no_saturation() -> None:
    pixels = images(3, channels=1)
    assert torch.equal(augment_images(pixels, uniforms(3), Augment(saturation=0.9, grayscale=1.0)), pixels)


def test_each_image_depends_on_its_own_uniforms_only() -> None:
    pixels, table = images(6), torch.rand(6, PARAMETERS, generator=torch.Generator().manual_seed(3))
    config = Augment(resize_crop=0.3, shift=0.1, rotate=20, zoom=0.2, flip=True, brightness=0.3, contrast=0.3)
    whole = augment_images(pixels, table, config)
    for row in range(6):
        alone = augment_images(pixels[row : row + 1], table[row : row + 1], config)
        assert torch.allclose(alone[0], whole[row], atol=1e-6)


def test_normalise_is_per_channel() -> None:
    preparation = ImagePreparation(None, mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 4.0))
    given = normalise(torch.full((1, 3, 1, 1), 0.5), preparation)
    assert given.flatten().tolist() == pytest.approx([0.4, 0.15, 0.05])


def test_views_that_samples_cannot_have_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"`pretrain\.augment\.mask` is for tables"):
        check_augment(Augment(mask=0.2), "images")
    with pytest.raises(RecipeError, match=r"`pretrain.augment.flip`, `pretrain.augment.resize_crop`: for images only"):
        check_augment(Augment(flip=True, resize_crop=0.5), "tables")
    check_augment(Augment(noise=0.1, mask=0.2), "tables")


def test_brightness_never_leaves_the_range() -> None:
    assert math.isclose(float(augment_images(images(), uniforms(brightness=1.0), Augment(brightness=1.0)).max()), 1.0)


def crops(**fields: Any) -> Augment:
    return Augment(small_crops=1, **fields)


def test_a_small_crop_of_the_whole_image_is_the_mean_of_its_pixels() -> None:
    pixels = images(2)
    given = small_crops(pixels, uniforms(2), crops(small_size=4, small_area=(1.0, 1.0)))
    expected = pixels.unflatten(2, (4, 2)).unflatten(4, (4, 2)).mean((3, 5))
    torch.testing.assert_close(given, expected)


def test_a_small_crop_shows_a_part_at_its_place() -> None:
    config = crops(small_size=4, small_area=(0.25, 0.25), resize_crop=0.9)  # the latter is of the full views
    corner = small_crops(images(), uniforms(area_x=1.0, area_y=0.0), config)
    torch.testing.assert_close(corner, images()[..., :4, 4:])
    mirrored = small_crops(
        images(), uniforms(area_x=1.0, area_y=0.0, flip=0.1), config.model_copy(update={"flip": True})
    )
    torch.testing.assert_close(mirrored, images()[..., :4, 4:].flip(-1))


def test_the_area_of_a_small_crop_is_between_its_bounds() -> None:
    table = torch.rand(500, PARAMETERS, generator=torch.Generator().manual_seed(1))
    areas = affine_maps(table, crops(small_size=4), height=8, width=8, area=(0.3, 0.5))[:, :2, :2].det().abs()
    torch.testing.assert_close(areas, 0.3 + 0.2 * table[:, Column.AREA])  # no side is longer than the image's


def test_small_crops_need_images_and_a_backbone_for_any_size() -> None:
    from ncdcli.models.backbone import InputSpec
    from ncdcli.models.build import build_backbone
    from ncdcli.models.kinds import Mlp, SmallCnn

    config, spec = crops(small_size=4), InputSpec("images", (3, 8, 8), 3)
    with pytest.raises(RecipeError, match="small_crops"):
        check_augment(config, "tables")
    check_sizes(config, build_backbone(SmallCnn(), spec), section="joint_training")
    check_sizes(Augment(), build_backbone(Mlp(), spec), section="joint_training")
    with pytest.raises(RecipeError, match=r"`joint_training\.augment\.small_crops`: the backbone takes"):
        check_sizes(config, build_backbone(Mlp(), spec), section="joint_training")
