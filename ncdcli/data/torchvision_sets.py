"""torchvision's data sets, in torchvision's own layout below the data root."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from ncdcli.data.digests import digest_files
from ncdcli.data.images import load_images, new_image_files, read_gray, read_rgb, read_same_size
from ncdcli.data.kinds import Torchvision
from ncdcli.data.resolve import DOWNLOAD_HINT
from ncdcli.data.sources import ImageInputs, Inputs, Listing
from ncdcli.data.torchvision_layout import LAYOUTS, Content
from ncdcli.errors import DataError, MissingError, Problem
from ncdcli.words import did_you_mean

ARCHIVES = (".gz", ".tgz", ".zip", ".tar")
# Data sets that torchvision itself can no longer download, and what to put where.
BY_HAND = {
    "StanfordCars": "put `devkit/`, `cars_train/`, `cars_test/` and `cars_test_annos_withlabels.mat` into "
    "`{root}/stanford_cars/`; torchvision's download has no working address (pytorch/vision#7545)",
}


class TorchvisionSet:
    """One data set. Samples are called `train/00017` or `test/00003` by their place in torchvision's order."""

    def __init__(self, config: Torchvision, root: Path) -> None:
        self._name = config.dataset
        self._layout = LAYOUTS[config.dataset]
        self._wanted = config.classes
        self._root = root
        self._loaded: dict[str, list[Content]] = {}
        self._classes: tuple[str, ...] = ()
        self._positions: list[list[int]] = []  # for each object: its label -> position in the class order

    def identity(self, *, content: bool, labels: bool = True) -> str:
        """Digest of the files, archives left out; without labels, of the images where labels lie apart."""
        self.check_present()
        files = [(name, path) for name, path in self._files() if labels or "-labels-" not in path.name]
        return digest_files(files, content=content)

    def check_present(self) -> None:
        """MissingError naming the files and folders that are not below the root."""
        absent = [name for name in self._layout.files if not (self._root / name).exists()]
        if absent:
            names = ", ".join(f"`{name}`" for name in absent[:4])
            hint = BY_HAND.get(self._name, DOWNLOAD_HINT)
            message = f"{self._name} is not in the data root `{self._root}`: {names} missing"
            raise MissingError(message, hint=hint.format(root=self._root))

    def download(self) -> None:
        """Let torchvision download and unpack the data; MissingError where it cannot."""
        if self._name in BY_HAND:
            self.check_present()
            return
        from ncdcli.compat import import_torchvision

        dataset = getattr(import_torchvision().datasets, self._name)
        try:
            with redirect_stdout(sys.stderr):  # torchvision reports there, where only results belong
                for one in (one for arguments in self._layout.parts.values() for one in arguments):
                    dataset(root=str(self._root), download=True, **one)
        except (OSError, RuntimeError) as error:
            hint = f"check the network, or put the files into `{self._root}` by hand: {', '.join(self._layout.files)}"
            reason = " ".join(str(error).split())
            raise MissingError(f"{self._name} cannot be downloaded: {reason}", hint=hint) from error

    def listing(self) -> Listing:
        """All samples of the train part, then of the test part, of the classes to use. No image is decoded."""
        found = [
            (f"{part}/{row:05d}", self._classes[label], part)
            for part in self._layout.parts
            for row, label in enumerate(self._labels(part))
        ]
        used = self._used_classes()
        keys, classes, parts = zip(*[sample for sample in found if sample[1] in used], strict=True)
        return Listing(keys, classes, np.array(parts), tuple(name for name in self._classes if name in used))

    def _used_classes(self) -> set[str]:
        """Names of the classes to use. DataError for a name that is no class, and stands for none."""
        if self._wanted is None:
            return set(self._classes)
        used: set[str] = set()
        for wanted in self._wanted:
            if wanted in self._layout.groups:
                positions = self._positions[self._layout.groups[wanted]]
                matches = {self._classes[position] for position in positions}
            elif wanted.endswith("/"):
                matches = {name for name in self._classes if name.startswith(wanted)}
            else:
                matches = {wanted} & set(self._classes)
            if not matches:
                raise self._no_class(wanted)
            used |= matches
        return used

    def _no_class(self, wanted: str) -> DataError:
        folders = {f"{name.partition('/')[0]}/" for name in self._classes if "/" in name}
        names = {*folders, *self._classes, *self._layout.groups}
        hint = did_you_mean(wanted, names, "leave `classes` out to use all")
        problem = Problem(f"{self._name} has no class `{wanted}`", place="data.source.classes", hint=hint)
        return DataError("the data set does not fit the recipe", [problem])

    def inputs(self, keys: Sequence[str]) -> Inputs:
        """The images of the named samples: an array for small ones, files for the others."""
        offsets = {}
        contents: list[Content] = []
        for part in self._layout.parts:
            offsets[part] = sum(_count(content) for content in contents)
            contents += self._part(part)
        rows = [offsets[part] + int(number) for part, _, number in (key.partition("/") for key in keys)]
        channels = self._layout.channels
        if self._layout.side is None:
            files = [file for content in contents for file in content.files or ()]
            read = read_gray if channels == 1 else read_rgb
            return ImageInputs(array=None, files=[files[row] for row in rows], read=read, channels=channels)
        arrays = [content.array for content in contents if content.array is not None]
        return ImageInputs(array=np.concatenate(arrays)[rows], channels=channels)

    def new_inputs(self, path: Path) -> tuple[tuple[str, ...], Inputs]:
        """New images: of the same size where those of the data set share one."""
        if self._layout.side is not None:
            return read_same_size(path, side=self._layout.side, channels=self._layout.channels)
        files = new_image_files(path)
        inputs = load_images([file for _, file in files], channels=self._layout.channels, in_memory=False)
        return tuple(key for key, _ in files), inputs

    def _files(self) -> list[tuple[str, Path]]:
        """(name, path) of all files that make up the data set, sorted."""
        found: list[Path] = []
        for name in self._layout.files:
            path = self._root / name
            found += [path] if path.is_file() else [item for item in path.rglob("*") if item.is_file()]
        kept = [path for path in found if path.suffix not in ARCHIVES and not path.name.startswith(".")]
        return sorted((path.relative_to(self._root).as_posix(), path) for path in kept)

    def _labels(self, part: str) -> list[int]:
        """Position in the class order of each sample of a part."""
        contents = self._part(part)
        starts = [0, *accumulate(len(self._layout.parts[name]) for name in self._layout.parts)]
        first = starts[list(self._layout.parts).index(part)]
        return [
            self._positions[first + number][label]
            for number, content in enumerate(contents)
            for label in content.labels
        ]

    def _part(self, part: str) -> list[Content]:
        """What torchvision holds of a part; everything is loaded at the first call."""
        if not self._loaded:
            self.check_present()
            self._load()
        return self._loaded[part]

    def _load(self) -> None:
        from ncdcli.compat import import_torchvision

        make = getattr(import_torchvision().datasets, self._name)
        names: list[list[str]] = []
        for part, arguments in self._layout.parts.items():
            self._loaded[part] = []
            for one in arguments:
                dataset = self._open(make, one)
                names.append(self._layout.classes(dataset))
                self._loaded[part].append(self._layout.read(dataset))
        merged = tuple(dict.fromkeys(name for group in names for name in group))
        self._classes = tuple(sorted(merged, key=self._layout.order)) if self._layout.order is not None else merged
        position = {name: number for number, name in enumerate(self._classes)}
        self._positions = [[position[name] for name in group] for group in names]

    def _open(self, make: Any, arguments: Any) -> Any:
        try:
            return make(root=str(self._root), download=False, **arguments)
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            hint = "the files may be damaged: remove them and add `--download` to the command"
            raise DataError(f"{self._name} in `{self._root}` cannot be read: {error}", hint=hint) from error


def _count(content: Content) -> int:
    return len(content.labels)
