"""What every kind of source can do: list its samples (cheap) and read them (arrays, images, rows)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd
    from PIL.Image import Image


@dataclass(frozen=True)
class Listing:
    """Every sample of a source, in the source's fixed order, without reading its content."""

    keys: tuple[str, ...]  # n unique names
    classes: tuple[str | None, ...]  # n class names, None where nobody knows: truth, for the splitter and the scorer
    parts: NDArray[np.str_]  # (n,) "train" or "test"; or "labelled" / "unlabelled" where the source itself says so
    class_order: tuple[str, ...]  # class names in the source's order: "the first n" means these
    notes: tuple[str, ...] = ()  # what a user should know, e.g. "3 unreadable files left out"
    domains: tuple[str, ...] | None = None  # n names of where samples come from, "" for test ones that have none


@dataclass(frozen=True)
class ImageInputs:
    """Images: one uint8 array where they share a size and fit in memory, else files to decode."""

    array: NDArray[np.uint8] | None  # (n, height, width, channels)
    files: Sequence[Any] | None = None  # n paths, or anything `read` understands
    read: Any = None  # read(files[i]) -> PIL.Image.Image; picklable, for loader processes
    channels: int = 3

    def __len__(self) -> int:
        return len(self.array) if self.array is not None else len(self.files or ())

    def image(self, row: int) -> Image:
        """One image, for galleries and file-based loading."""
        if self.array is None:
            assert self.files is not None
            return self.read(self.files[row])
        from PIL import Image

        pixels = self.array[row]
        return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


@dataclass(frozen=True)
class TableInputs:
    """Rows of a table, not yet encoded."""

    frame: pd.DataFrame  # n rows, feature columns only; numeric columns float64, the others string
    categorical: tuple[str, ...] = ()
    impute: str = "median"
    scaling: str = "zscore"
    dates: Mapping[str, str] = field(default_factory=dict)  # column of days since 1970-01-01 -> format it was read by
    origin: Any = None  # `table_origin.Origin` of rows that have only been read: nothing is said yet of their columns

    def __len__(self) -> int:
        return len(self.frame)


@dataclass(frozen=True)
class FeatureInputs:
    """Ready-made embeddings."""

    array: NDArray[Any]  # (n, d), memory-mapped
    rows: NDArray[np.int64] | None = field(default=None)  # which rows of `array`, in order; None: all
    texts: tuple[str, ...] | None = None  # what each row embeds, where the source says so

    def __len__(self) -> int:
        return len(self.array) if self.rows is None else len(self.rows)


Inputs = ImageInputs | TableInputs | FeatureInputs


class SourceReader(Protocol):
    """One opened source. `config`: the source section; `root`: the data root."""

    def __init__(self, config: Any, root: Path) -> None: ...

    def identity(self, *, content: bool, labels: bool = True) -> str:
        """Digest of what the source holds: sorted (relative path, size), or contents. MissingError if it is absent.

        Tables and lists of labels are always digested by content: they are small, and a corrected label keeps the
        size. `labels=False` leaves labels out: what training may depend on, where the two can be told apart.
        """
        ...

    def check_present(self) -> None:
        """Nothing, or MissingError where the source is absent. Cheap: looks for files and opens none."""
        ...

    def download(self) -> None:
        """Bring the data; MissingError with how to obtain them where that is not possible."""
        ...

    def listing(self) -> Listing:
        """All samples. DataError with every fault found: duplicates, an empty class, an unreadable header."""
        ...

    def inputs(self, keys: Sequence[str]) -> Inputs:
        """The content of the samples named by `keys`, in that order."""
        ...

    def new_inputs(self, path: Path) -> tuple[tuple[str, ...], Inputs]:
        """Keys and content of samples that were not in the run: a folder, a file (`ncd predict`)."""
        ...
