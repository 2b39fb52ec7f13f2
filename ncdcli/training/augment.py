"""Random views as pure functions of (inputs, uniforms): batched, on the device, the same on any number of processes.

Geometric operations compose to one affine resampling, so that an image is interpolated once.
"""

from __future__ import annotations

from enum import IntEnum
from functools import reduce
from math import log, pi

import torch
from torch import Tensor
from torch.nn import functional as F

from ncdcli.errors import RecipeError
from ncdcli.models.backbone import Backbone, ImagePreparation, InputSpec
from ncdcli.objectives.kinds import Augment


class Column(IntEnum):
    """Which uniform of a view means what."""

    CROP_TOP = 0  # of the crop that a preparation makes
    CROP_LEFT = 1
    AREA = 2  # resize_crop
    RATIO = 3
    AREA_X = 4
    AREA_Y = 5
    SHIFT_X = 6
    SHIFT_Y = 7
    ROTATE = 8
    ZOOM = 9
    FLIP = 10
    BRIGHTNESS = 11
    CONTRAST = 12
    SATURATION = 13
    GRAYSCALE = 14


IMAGES_ONLY = (
    "shift", "rotate", "zoom", "flip", "brightness", "contrast", "saturation", "grayscale", "small_crops",
)  # fmt: skip


def check_augment(config: Augment, modality: str) -> None:
    """RecipeError where a view is asked for that such samples cannot have."""
    if modality == "images" and config.mask:
        raise RecipeError(
            "`pretrain.augment.mask` is for tables and embeddings", hint="remove it, or use `resize_crop`"
        )
    wrong = [name for name in IMAGES_ONLY if getattr(config, name)] + ["resize_crop"] * (config.resize_crop < 1)
    if modality != "images" and wrong:
        names = ", ".join(f"`pretrain.augment.{name}`" for name in wrong)
        raise RecipeError(f"{names}: for images only, and these samples are {modality}", hint="use `noise` or `mask`")


def check_sizes(config: Augment, backbone: Backbone, *, section: str) -> None:
    """RecipeError where small crops are asked for, and the backbone takes images of one size."""
    if config.small_crops and not backbone.any_size:
        raise RecipeError(
            f"`{section}.augment.small_crops`: the backbone takes images of one size only",
            hint="use a convolutional one such as `backbone: {kind: timm, name: resnet18}`, or leave small crops out",
        )


def check_turns(spec: InputSpec, preparation: ImagePreparation | None) -> None:
    """RecipeError where images that are to be turned are not square."""
    sides = spec.shape[1:] if spec.modality == "images" and spec.shape else ()
    if preparation is None or (preparation.size is None and len(set(sides)) > 1):
        raise RecipeError(
            "objective `rotation` turns images, and these are no squares", hint="set `backbone.image_size`"
        )


def augment_images(pixels: Tensor, uniforms: Tensor, config: Augment) -> Tensor:
    """Views of images: (b, c, h, w) in [0, 1] and (b, PARAMETERS) in [0, 1) -> (b, c, h, w) in [0, 1]."""
    if config.resize_crop < 1 or config.shift or config.rotate or config.zoom:
        height, width = pixels.shape[2:]
        pixels = resample(pixels, affine_maps(uniforms, config, height=height, width=width), height, width)
    elif config.flip:
        pixels = torch.where((uniforms[:, Column.FLIP] < 0.5)[:, None, None, None], pixels.flip(-1), pixels)
    return _recolour(pixels, uniforms, config)


def small_crops(pixels: Tensor, uniforms: Tensor, config: Augment) -> Tensor:
    """(b, c, small_size, small_size) views that show `small_area` of images, else drawn as `augment_images` does.

    Without antialiasing: at most five pixels in three become one at the published sizes.
    """
    assert config.small_size is not None
    maps = affine_maps(uniforms, config, height=pixels.shape[2], width=pixels.shape[3], area=config.small_area)
    return _recolour(resample(pixels, maps, config.small_size, config.small_size), uniforms, config)


def resample(pixels: Tensor, maps: Tensor, height: int, width: int) -> Tensor:
    """(b, c, height, width) images, bilinear, where (b, 2, 3) maps say which place of an image each pixel shows."""
    grid = sampling_grid(maps.to(pixels.dtype), height, width)
    return F.grid_sample(pixels, grid, mode="bilinear", padding_mode="border", align_corners=False)


def sampling_grid(maps: Tensor, height: int, width: int) -> Tensor:
    """(b, height, width, 2) x and y in [-1, 1]: what `F.affine_grid` gives, number for number, without its products.

    That multiplies a 3 × 2 matrix for each image, which takes a hundred times as long on a CPU.
    """
    x, y = (torch.linspace(-1, 1, side, device=maps.device, dtype=maps.dtype) for side in (width, height))
    of_x, of_y, shift = (maps[:, :, column, None, None] for column in range(3))
    x, y = x * (width - 1) / width, y * (height - 1) / height
    return (of_x * x + of_y * y[:, None]).add_(shift).permute(0, 2, 3, 1)


def affine_maps(
    uniforms: Tensor, config: Augment, *, height: int, width: int, area: tuple[float, float] | None = None
) -> Tensor:
    """(b, 2, 3) maps from output to input coordinates in [-1, 1], as `affine_grid` takes them.

    `resize_crop` draws area and aspect ratio (3/4 to 4/3) once and clips the window to the image, where torchvision
    draws again up to ten times: the numbers of a view are then fixed in advance. `area`: other bounds of the area.
    """
    aspect, bounds = width / height, area or (config.resize_crop, 1.0)
    maps = []  # those of what is off are left out
    if bounds != (1.0, 1.0):
        maps.append(_crop_map(uniforms, *bounds))
    if config.shift:
        shift = 2 * config.shift * _signed(uniforms, Column.SHIFT_X, Column.SHIFT_Y)
        maps.append(_matrix(shift_x=shift[:, 0], shift_y=shift[:, 1]))
    if config.rotate:
        angle = pi / 180 * config.rotate * _signed(uniforms, Column.ROTATE)[:, 0]
        cosine, sine = angle.cos(), angle.sin()
        maps.append(_matrix(scale_x=cosine, scale_y=cosine, xy=-sine / aspect, yx=sine * aspect))
    if config.zoom or config.flip or not maps:
        zoom = 1 + config.zoom * _signed(uniforms, Column.ZOOM)[:, 0]
        mirrored = (uniforms[:, Column.FLIP] < 0.5) & config.flip
        side = torch.where(mirrored, -1.0, 1.0).to(uniforms.device)
        maps.append(_matrix(scale_x=side / zoom, scale_y=1 / zoom))
    return reduce(torch.matmul, maps)[:, :2]


def _crop_map(uniforms: Tensor, least: float, greatest: float) -> Tensor:
    area = least + (greatest - least) * uniforms[:, Column.AREA]
    spread = log(4 / 3) if least < 1 else 0.0
    ratio = (spread * _signed(uniforms, Column.RATIO)[:, 0]).exp()
    width, height = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    place = _signed(uniforms, Column.AREA_X, Column.AREA_Y)
    return _matrix(scale_x=width, scale_y=height, shift_x=(1 - width) * place[:, 0], shift_y=(1 - height) * place[:, 1])


def _signed(uniforms: Tensor, *columns: Column) -> Tensor:
    return 2 * uniforms[:, list(columns)] - 1


def _matrix(
    *,
    scale_x: Tensor | None = None,
    scale_y: Tensor | None = None,
    xy: Tensor | None = None,
    yx: Tensor | None = None,
    shift_x: Tensor | None = None,
    shift_y: Tensor | None = None,
) -> Tensor:
    """(b, 3, 3) homogeneous matrices; what is not given is that of the identity."""
    given = next(value for value in (scale_x, shift_x) if value is not None)
    matrix = torch.eye(3, device=given.device).repeat(len(given), 1, 1)
    cells = {(0, 0): scale_x, (1, 1): scale_y, (0, 1): xy, (1, 0): yx, (0, 2): shift_x, (1, 2): shift_y}
    for (row, column), value in cells.items():
        if value is not None:
            matrix[:, row, column] = value
    return matrix


def _recolour(pixels: Tensor, uniforms: Tensor, config: Augment) -> Tensor:
    """Brightness, contrast, saturation and grayscale, each a blend as in PIL's ImageEnhance."""

    def factor(strength: float, column: Column) -> Tensor:
        return (1 + strength * _signed(uniforms, column)[:, 0])[:, None, None, None]

    if config.brightness:
        pixels = (pixels * factor(config.brightness, Column.BRIGHTNESS)).clamp_(0, 1)
    if config.contrast:
        mean = gray(pixels).mean(dim=(1, 2, 3), keepdim=True)
        pixels = torch.lerp(mean, pixels, factor(config.contrast, Column.CONTRAST)).clamp_(0, 1)
    if config.saturation and pixels.shape[1] == 3:
        pixels = torch.lerp(gray(pixels), pixels, factor(config.saturation, Column.SATURATION)).clamp_(0, 1)
    if config.grayscale and pixels.shape[1] == 3:
        chosen = (uniforms[:, Column.GRAYSCALE] < config.grayscale)[:, None, None, None]
        pixels = torch.where(chosen, gray(pixels), pixels)
    return pixels


def gray(pixels: Tensor) -> Tensor:
    """(b, 1, h, w) luma (ITU-R 601-2) of RGB images; other channel counts: their mean."""
    if pixels.shape[1] != 3:
        return pixels.mean(dim=1, keepdim=True)
    red, green, blue = pixels.split(1, dim=1)
    return 0.299 * red + 0.587 * green + 0.114 * blue


def normalise(pixels: Tensor, preparation: ImagePreparation) -> Tensor:
    """Images in [0, 1] -> the backbone's scale: `(x − mean) / std` per channel."""
    if all(mean == 0 for mean in preparation.mean) and all(std == 1 for std in preparation.std):
        return pixels
    mean, std = (_by_channel(values, pixels) for values in (preparation.mean, preparation.std))
    return (pixels - mean).div_(std)


def _by_channel(values: tuple[float, ...], pixels: Tensor) -> Tensor | float:
    """A number for each channel, or one for all: much faster where channels are innermost, and the same."""
    if len(set(values)) == 1:
        return values[0]
    return torch.tensor(values, device=pixels.device)[:, None, None]
