"""Small images of samples, many to a sheet: one WebP holds a thousand of them, and a page shows cut-outs of it.

A JPEG of 32 × 32 pixels is mostly header, so files of their own would take three times the bytes.
"""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from PIL import Image

from ncdcli.data.images import read_rgb
from ncdcli.data.sources import ImageInputs
from ncdcli.pipeline.context import Progress

CARD_BYTES = 2_900_000  # of the images on cards, which are shown large; a third more once they are in the page
MAP_BYTES = 2_700_000  # of those that only the map shows
CARD_SIDES = (96, 80, 64, 48, 40, 32, 24, 16)  # pixels, from which the largest that fits is taken
MAP_SIDES = (48, 40, 32, 24, 16)
MAP_FILES = 3_000  # samples that the map alone shows, where each is a file to decode
ACROSS = 32  # images side by side on a sheet
SHEET = ACROSS * ACROSS
TRIED = 96  # images that are encoded to see how many bytes one takes
EXACT = 16  # pixels up to which a lossy image would show more noise than content
QUALITY = 72


@dataclass(frozen=True)
class Sheet:
    """Images of one side in rows of `ACROSS`."""

    side: int
    count: int
    webp: bytes

    @property
    def uri(self) -> str:
        """The sheet as an address that needs no network."""
        return "data:image/webp;base64," + base64.b64encode(self.webp).decode()


@dataclass
class Thumbnails:
    """Sheets, and where on them the image of a row is."""

    sheets: list[Sheet] = field(default_factory=list)
    places: dict[int, tuple[int, int]] = field(default_factory=dict)  # row -> (sheet, position)

    def add(self, sheet: Sheet, rows: Sequence[int]) -> None:
        """Put the images of `rows` on the page."""
        for position, row in enumerate(rows):
            self.places[row] = (len(self.sheets), position)
        self.sheets.append(sheet)


class Album:
    """Images of some rows of a run, read when they are needed."""

    def __init__(self, inputs: ImageInputs, rows: Sequence[int]) -> None:
        self._inputs = inputs
        self._index = {row: position for position, row in enumerate(rows)}

    @property
    def from_files(self) -> bool:
        """Whether an image is a file to decode."""
        return self._inputs.array is None

    def image(self, row: int, side: int) -> Image.Image:
        """The image in a square of `side` pixels, whole and in the middle, not enlarged."""
        position = self._index[row]
        files = self._inputs.files
        if files is not None and self._inputs.read is read_rgb:
            image = read_rgb(files[position], at_least=side)
        else:
            image = self._inputs.image(position)
        image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=2.0)
        if image.size == (side, side):
            return image.convert("RGB")
        square = Image.new("RGBA", (side, side), (0, 0, 0, 0))
        square.paste(image.convert("RGBA"), ((side - image.width) // 2, (side - image.height) // 2))
        return square

    def native_side(self, rows: Sequence[int]) -> int:
        """The longest side among some images."""
        return max(max(self._inputs.image(self._index[row]).size) for row in rows)


def make_thumbnails(album: Album, *, cards: Sequence[int], others: Sequence[int], progress: Progress) -> Thumbnails:
    """Images of the rows on cards, and smaller ones of the other rows; no row twice, each part within its bytes."""
    thumbnails = Thumbnails()
    cards = list(dict.fromkeys(cards))
    shown = set(cards)
    rest = [row for row in dict.fromkeys(others) if row not in shown]
    if album.from_files:
        rest = rest[:: -(-len(rest) // MAP_FILES)] if rest else rest
    with progress.track("report: images", len(cards) + len(rest)) as tick, ThreadPoolExecutor(_threads()) as pool:
        for rows, sides, most in ((cards, CARD_SIDES, CARD_BYTES), (rest, MAP_SIDES, MAP_BYTES)):
            if not rows:
                continue
            side = _choose_side(album, rows, sides, most)
            for start in range(0, len(rows), SHEET):
                part = rows[start : start + SHEET]
                thumbnails.add(_sheet(list(pool.map(lambda row: album.image(row, side), part)), side), part)  # noqa: B023
                tick(len(part))
    return thumbnails


def _choose_side(album: Album, rows: Sequence[int], sides: Sequence[int], most: int) -> int:
    """The largest side at which all rows are expected to fit into `most` bytes."""
    tried = rows[:: -(-len(rows) // TRIED)]
    native = album.native_side(tried[:8])
    fitting = [side for side in sides if side < native] or [sides[-1]]
    if native <= sides[0]:
        fitting = [native, *(side for side in sides if side < native)]
    for side in fitting:
        sheet = _sheet([album.image(row, side) for row in tried], side)
        if len(sheet.webp) / len(tried) * len(rows) <= most:
            return side
    return fitting[-1]


def _sheet(images: Sequence[Image.Image], side: int) -> Sheet:
    mode = "RGBA" if any(image.mode == "RGBA" for image in images) else "RGB"
    down = -(-len(images) // ACROSS)
    canvas = Image.new(mode, (side * ACROSS, side * down))
    for position, image in enumerate(images):
        canvas.paste(image, (position % ACROSS * side, position // ACROSS * side))
    file = io.BytesIO()
    if side <= EXACT:
        canvas.save(file, "WEBP", lossless=True, method=4)
    else:
        canvas.save(file, "WEBP", quality=QUALITY, method=3)
    return Sheet(side, len(images), file.getvalue())


def _threads() -> int:
    return min(4, os.cpu_count() or 1)
