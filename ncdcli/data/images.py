"""Image files: which ones there are below a folder, whether they can be read, and their pixels."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from ncdcli.data.decoded import decoded_once
from ncdcli.data.sources import ImageInputs
from ncdcli.errors import DataError, MissingError, Problem
from ncdcli.words import counted

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".jfif")
UNREADABLE = (OSError, SyntaxError, ValueError, UnidentifiedImageError, Image.DecompressionBombError)
WHITE = (255, 255, 255, 255)
TINY = 64  # pixels a side: images up to here are kept in memory, where they share a size
ARRAY_BYTES = 2_000_000_000
EXIF_ORIENTATION, SIDEWAYS = 0x0112, (5, 6, 7, 8)


def is_image(name: str) -> bool:
    """Whether a file name is that of an image: by its extension, in any case, and not hidden."""
    return name.lower().endswith(EXTENSIONS) and not name.startswith(".")


def walk_images(folder: Path) -> Iterator[tuple[str, Path]]:
    """(relative path with `/`, path) of every image below a folder, sorted; hidden files and folders left out.

    Links to folders are followed, each real folder once, so that a loop of links ends.
    """
    seen: set[tuple[int, int]] = set()
    found: list[tuple[str, Path]] = []
    pending = [(folder, "")]
    while pending:
        current, prefix = pending.pop()
        status = os.stat(current)
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(current) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    pending.append((Path(entry.path), f"{prefix}{entry.name}/"))
                elif is_image(entry.name) and entry.is_file():
                    found.append((f"{prefix}{entry.name}", Path(entry.path)))
    yield from sorted(found)


def read_rgb(path: str | Path, *, at_least: int | None = None) -> Image.Image:
    """The image as 8-bit RGB, upright; DataError naming the file where it cannot be read.

    EXIF rotation is applied, 16-bit gray is scaled to 8 bits, transparent pixels are laid on white. With `at_least` a
    JPEG may come smaller, but with no side below so many pixels: decoding takes a fraction of the time.
    """
    try:
        with Image.open(path) as opened:
            if at_least is not None:
                opened.draft("RGB", (at_least, at_least))
            sideways = opened.getexif().get(EXIF_ORIENTATION, 1) != 1
            return _to_rgb(ImageOps.exif_transpose(opened) if sideways else opened)
    except UNREADABLE as error:
        raise _unreadable([(str(path), _reason(error))]) from error


def read_gray(path: str | Path) -> Image.Image:
    """The image as 8-bit gray, read as `read_rgb` reads it."""
    return read_rgb(path).convert("L")


def image_fault(path: Path) -> str | None:
    """Why an image cannot be read, or None where it can: it is decoded whole, as training would."""
    try:
        read_rgb(path)
    except DataError as error:
        return error.problems[0].message
    return None


def read_same_size(path: Path, *, side: int, channels: int) -> tuple[tuple[str, ...], ImageInputs]:
    """Keys and (n, side, side, channels) pixels of one image or a folder of them, for models of one input size.

    DataError with every file of another size.
    """
    files = new_image_files(path)
    read = read_gray if channels == 1 else read_rgb
    images = [read(file) for _, file in files]
    faults = [
        (str(file), f"{image.width} × {image.height} pixels; the model reads {side} × {side}")
        for (_, file), image in zip(files, images, strict=True)
        if image.size != (side, side)
    ]
    if faults:
        raise _unreadable(faults, hint=f"resize the images to {side} × {side} pixels first")
    array = np.stack([np.asarray(image, np.uint8) for image in images]).reshape(-1, side, side, channels)
    return tuple(key for key, _ in files), ImageInputs(array=array, channels=channels)


def load_images(files: Sequence[Path], *, channels: int = 3, in_memory: bool = True) -> ImageInputs:
    """Images as one array where all are tiny and share a size, else as files to decode when they are needed."""
    read = read_gray if channels == 1 else read_rgb
    array = None
    if in_memory and max(image_size(files[0])) <= TINY:
        array = decoded_once(files, lambda: _stack_tiny(files, read), channels=channels)
    if array is not None:
        return ImageInputs(array=array.reshape(*array.shape[:3], channels), channels=channels)
    return ImageInputs(array=None, files=[str(file) for file in files], read=read, channels=channels)


def _stack_tiny(files: Sequence[Path], read: Callable[[Path], Image.Image]) -> NDArray[np.uint8] | None:
    """The pixels of all images, or None unless they share a size of at most 64 pixels and fit in memory."""
    width, height = image_size(files[0])
    if max(width, height) > TINY or len(files) * width * height * 3 > ARRAY_BYTES:
        return None
    pixels: list[NDArray[np.uint8]] = []
    for file in files:  # not in threads: so small an image takes longer to hand over than to decode
        image = read(file)
        if image.size != (width, height):
            return None
        pixels.append(np.asarray(image, np.uint8))
    return np.stack(pixels)


def new_image_files(path: Path) -> list[tuple[str, Path]]:
    """(key, path) of one image, or of all below a folder; MissingError or DataError where there is none."""
    if path.is_file():
        return [(path.name, path)]
    if not path.is_dir():
        raise MissingError(f"`{path}` is not there", hint="give an image, or a folder of images")
    files = list(walk_images(path))
    if not files:
        raise DataError(f"`{path}` holds no image", hint=f"extensions read: {' '.join(EXTENSIONS)}")
    return files


def image_size(file: Path) -> tuple[int, int]:
    """(width, height) in pixels as the image will be read, from its header; DataError where it cannot be read."""
    try:
        with Image.open(file) as image:
            turned = image.getexif().get(EXIF_ORIENTATION, 1) in SIDEWAYS
            return (image.height, image.width) if turned else image.size
    except UNREADABLE as error:
        raise _unreadable([(str(file), _reason(error))]) from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        return Image.fromarray(_eight_bits(np.asarray(image, np.int64))).convert("RGB")
    if image.mode == "F":
        raise ValueError("floating-point pixels have no fixed range")
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        upper = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", upper.size, WHITE), upper).convert("RGB")
    return image.convert("RGB")


def _eight_bits(pixels: NDArray[np.int64]) -> NDArray[np.uint8]:
    """16-bit gray as 8-bit: 65535 becomes 255."""
    return np.clip((pixels + 128) // 257, 0, 255).astype(np.uint8)


def _reason(error: Exception) -> str:
    """What is wrong with a file, in one line that does not name it again."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image of a format that can be decoded"
    return " ".join(str(error).split())


def _unreadable(faults: Sequence[tuple[str, str]], *, hint: str = "") -> DataError:
    hint = hint or "remove or replace the file; `ncd data check PATH` lists all that cannot be read"
    problems = [Problem(message, place=file) for file, message in faults]
    return DataError(f"{counted(len(faults), 'image')} cannot be read", problems, hint=hint)
