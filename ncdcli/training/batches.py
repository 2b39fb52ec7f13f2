"""Samples as batches of tensors: arrays are indexed, files are decoded by loader processes, tables are vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ncdcli.data.sources import FeatureInputs, ImageInputs, Inputs, TableInputs
from ncdcli.errors import DataError, NcdError
from ncdcli.models.backbone import ImagePreparation, InputSpec


@dataclass(frozen=True)
class Draw:
    """Rows to read, and where each view is cropped."""

    rows: NDArray[np.int64]  # (b,)
    crops: NDArray[np.float32] | None = None  # (b, views, 2) top and left in [0, 1); None: one view, the centre


class Source(Protocol):
    """Reads prepared samples: for each draw, one tensor per view."""

    spec: InputSpec

    def __len__(self) -> int: ...

    def read(
        self, draws: Sequence[Draw], preparation: ImagePreparation | None, device: torch.device
    ) -> Iterator[list[Tensor]]:
        """For each draw, in order: per view (b, c, h, w) pixels 0 … 255 of any dtype, or (b, d) vectors."""
        ...


class ArrayImages:
    """Images that lie in memory: (n, height, width, channels) uint8."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self.pixels = pixels
        _, height, width, channels = pixels.shape
        self.spec = InputSpec("images", (channels, height, width), channels)

    def __len__(self) -> int:
        return len(self.pixels)

    def read(
        self, draws: Sequence[Draw], preparation: ImagePreparation | None, device: torch.device
    ) -> Iterator[list[Tensor]]:
        assert preparation is not None
        for draw in draws:
            pixels = torch.from_numpy(self.pixels[draw.rows]).permute(0, 3, 1, 2)
            if pixels.shape[1] != preparation.channels:
                pixels = pixels.expand(-1, preparation.channels, -1, -1)
            if device.type == "cuda":  # elsewhere the integer kernel of the CPU does it
                pixels = pixels.to(device)
            pixels = resize(pixels, preparation).to(device)
            views = 1 if draw.crops is None else draw.crops.shape[1]
            yield [crop(pixels, draw.crops, view, preparation.size) for view in range(views)]


class FileImages:
    """Images that are decoded when they are needed, in `workers` processes."""

    def __init__(self, files: Sequence[Any], read: Any, channels: int, workers: int = 0) -> None:
        self.files, self.decode, self.workers = files, read, workers
        self.spec = InputSpec("images", (), channels)

    def __len__(self) -> int:
        return len(self.files)

    def read(
        self, draws: Sequence[Draw], preparation: ImagePreparation | None, device: torch.device
    ) -> Iterator[list[Tensor]]:
        assert preparation is not None
        loader = torch.utils.data.DataLoader(
            _Decoded(self, draws, preparation),
            batch_sampler=[[(batch, item) for item in range(len(draw.rows))] for batch, draw in enumerate(draws)],
            num_workers=self.workers,
            collate_fn=_stack,
            generator=torch.Generator(),  # the loader draws a seed for its processes: not from the global stream
        )
        for batch in loader:
            if isinstance(batch, NcdError):
                raise batch
            yield [batch[:, view].to(device).permute(0, 3, 1, 2) for view in range(batch.shape[1])]


class Vectors:
    """Encoded table rows or ready-made embeddings: (n, d) numbers, in memory or memory-mapped."""

    def __init__(self, values: NDArray[Any], modality: str, rows: NDArray[np.int64] | None = None) -> None:
        self.values, self.rows = values, rows
        self.spec = InputSpec(modality, (values.shape[1],))

    def __len__(self) -> int:
        return len(self.values) if self.rows is None else len(self.rows)

    def read(
        self, draws: Sequence[Draw], preparation: ImagePreparation | None, device: torch.device
    ) -> Iterator[list[Tensor]]:
        for draw in draws:
            vectors = torch.from_numpy(self.at(draw.rows)).to(device)
            yield [vectors] * (1 if draw.crops is None else draw.crops.shape[1])

    def at(self, rows: NDArray[np.int64], columns: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """Values of rows, or single ones where `columns` of the same shape as `rows` are given."""
        rows = rows if self.rows is None else self.rows[rows]
        # `take` is as fast as memory; brackets with an array are not.
        values = np.take(self.values, rows, axis=0) if columns is None else self.values[rows, columns]
        return np.ascontiguousarray(values, np.float32)


def open_inputs(inputs: Inputs, *, encoder: Any = None, workers: int = 0) -> Source:
    """The reader for what a source holds. `encoder` is the fitted `TableEncoder` of a table."""
    if isinstance(inputs, ImageInputs):
        if inputs.array is not None:
            return ArrayImages(inputs.array)
        return FileImages(inputs.files or (), inputs.read, inputs.channels, workers)
    if isinstance(inputs, TableInputs):
        return Vectors(encoder.transform(inputs), "tables")
    assert isinstance(inputs, FeatureInputs)
    return Vectors(inputs.array, "embeddings", inputs.rows)


def resize(pixels: Tensor, preparation: ImagePreparation) -> Tensor:
    """(b, c, h, w) uint8 images with their short side brought to what the preparation says; values as PIL gives them.

    PIL interpolates with antialiasing and rounds to integers; torch does the same on uint8 where its CPU kernel has
    it, and elsewhere through floats.
    """
    side = preparation.resized
    height, width = pixels.shape[2:]
    if side is None or min(height, width) == side == preparation.size == max(height, width):
        return pixels
    height, width = resized_shape(height, width, side)
    mode = preparation.interpolation
    if pixels.device.type == "cpu":
        return F.interpolate(pixels, (height, width), mode=mode, antialias=True)
    return F.interpolate(pixels.float(), (height, width), mode=mode, antialias=True).round_().clamp_(0, 255)


def resized_shape(height: int, width: int, side: int) -> tuple[int, int]:
    """(height, width) after the short side became `side` pixels."""
    if height <= width:
        return side, max(side, int(side * width / height))
    return max(side, int(side * height / width)), side


def crop(pixels: Tensor, crops: NDArray[np.float32] | None, view: int, size: int | None) -> Tensor:
    """(b, c, size, size) windows at the drawn places, or at the centre."""
    height, width = pixels.shape[2:]
    if size is None or (height, width) == (size, size):
        return pixels
    if crops is None:
        top, left = crop_place(height, width, size, None)
        return pixels[:, :, top : top + size, left : left + size]
    places = [crop_place(height, width, size, place) for place in crops[:, view]]
    windows = [
        image[:, top : top + size, left : left + size] for image, (top, left) in zip(pixels, places, strict=True)
    ]
    return torch.stack(windows).contiguous(memory_format=torch.channels_last)


def crop_place(height: int, width: int, size: int, place: NDArray[np.float32] | None) -> tuple[int, int]:
    """(top, left) of a `size` window: uniform over all places for a uniform `place`, the centre for None."""
    if place is None:
        return round((height - size) / 2), round((width - size) / 2)
    return int(place[0] * (height - size + 1)), int(place[1] * (width - size + 1))


class _Decoded(torch.utils.data.Dataset):
    """(batch, item) -> (views, height, width, channels) uint8; an error comes back as a value, to be raised whole."""

    def __init__(self, source: FileImages, draws: Sequence[Draw], preparation: ImagePreparation) -> None:
        self.files, self.decode = source.files, source.decode
        self.draws, self.preparation = draws, preparation

    def __getitem__(self, place: tuple[int, int]) -> NDArray[np.uint8] | NcdError:
        draw, item = self.draws[place[0]], place[1]
        try:
            image = self.decode(self.files[draw.rows[item]])
        except NcdError as error:
            return error
        image = image.convert("L" if self.preparation.channels == 1 else "RGB")
        size, side = self.preparation.size, self.preparation.resized
        if size is None or side is None:
            return np.asarray(image).reshape(1, image.height, image.width, -1)
        from PIL import Image

        height, width = resized_shape(image.height, image.width, side)
        if (image.width, image.height) != (width, height):
            image = image.resize((width, height), getattr(Image.Resampling, self.preparation.interpolation.upper()))
        pixels = np.asarray(image).reshape(height, width, -1)
        windows = [None] if draw.crops is None else list(draw.crops[item])
        places = [crop_place(height, width, size, window) for window in windows]
        return np.stack([pixels[top : top + size, left : left + size] for top, left in places])


def _stack(items: list[NDArray[np.uint8] | NcdError]) -> Tensor | NcdError:
    arrays = []
    for item in items:
        if isinstance(item, NcdError):
            return item
        arrays.append(item)
    if len({array.shape for array in arrays}) > 1:
        return DataError("the images differ in size", hint="set `backbone.image_size`")
    return torch.from_numpy(np.stack(arrays))
