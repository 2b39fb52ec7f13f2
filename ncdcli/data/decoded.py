"""Tiny images decoded once: their pixels are kept in the user's cache folder, for the next stage, run or seed."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.typing import NDArray

from ncdcli.data.resolve import user_cache

logger = logging.getLogger(__name__)

KEEP_FROM = 5_000  # images: fewer are decoded again in a second or two
KEEP_BYTES = 4_000_000_000  # in all; what was not used for longest makes room

Pixels = NDArray[np.uint8]


def decoded_once(files: Sequence[Path], decode: Callable[[], Pixels | None], *, channels: int) -> Pixels | None:
    """What `decode` gives for the files, from the cache where it was asked for these files before.

    Files count as the same while path, size and time of modification are, and the version of the decoder. None is not
    kept, nor is what cannot be written: that is logged.
    """
    if len(files) < KEEP_FROM:
        return decode()
    kept = user_cache() / "decoded" / f"{_key(files, channels)}.npy"
    pixels = _read(kept, len(files))
    if pixels is None:
        pixels = decode()
        if pixels is not None:
            _write(kept, pixels)
    return pixels


def _key(files: Sequence[Path], channels: int) -> str:
    digest = hashlib.sha256(f"{PIL.__version__} {channels}".encode())
    for file in files:
        status = os.stat(file)
        digest.update(f"\0{os.path.abspath(file)}\0{status.st_size}\0{status.st_mtime_ns}".encode())
    return digest.hexdigest()[:32]


def _read(kept: Path, images: int) -> Pixels | None:
    """The kept pixels, or None where there are none, or a damaged file."""
    if not kept.is_file():
        return None
    try:
        pixels: NDArray[Any] = np.load(kept, allow_pickle=False)
        os.utime(kept)
    except (OSError, ValueError, EOFError) as error:
        logger.warning("the decoded images in `%s` cannot be read, and are decoded again: %s", kept, error)
        return None
    return pixels if pixels.dtype == np.uint8 and len(pixels) == images else None


def _write(kept: Path, pixels: Pixels) -> None:
    part = kept.with_name(f"{kept.stem}.{os.getpid()}.part")
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        _make_room(kept.parent, pixels.nbytes)
        with part.open("wb") as file:
            np.save(file, pixels, allow_pickle=False)
        os.replace(part, kept)
    except OSError as error:  # a full disk, a home that cannot be written: the pixels are here all the same
        if part.is_file():
            part.unlink()
        logger.warning("decoded images cannot be kept in `%s`: %s", kept.parent, error)


def _make_room(folder: Path, needed: int) -> None:
    files = sorted(folder.glob("*.npy"), key=lambda file: file.stat().st_mtime, reverse=True)
    total = needed
    for file in files:
        total += file.stat().st_size
        if total > KEEP_BYTES:
            file.unlink(missing_ok=True)
