"""Images in folders: a folder for each class, or a user's own labelled and unlabelled folders."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ncdcli.data.arrays import LABEL_NAMES
from ncdcli.data.digests import digest_files, digest_of
from ncdcli.data.images import EXTENSIONS, load_images, new_image_files, walk_images
from ncdcli.data.kinds import ImageFolder as Config
from ncdcli.data.sources import Inputs, Listing
from ncdcli.data.table_open import ENCODING, not_utf8
from ncdcli.errors import DataError, MissingError, Problem
from ncdcli.words import counted, did_you_mean

SHOWN = 5
FOLDERS = ("train", "labelled", "unlabelled", "test")
LISTS = ("truth", "class_list", "image_list", "test_marks")


@dataclass(frozen=True)
class _Found:
    """One image file."""

    key: str  # part/path below the folder
    path: Path
    name: str | None  # of its class; None: unlabelled
    part: str


class ImageFolder:
    """Images below up to four folders. A sample is called by its part and path: `train/cat/001.jpg`.

    The class is the first folder below `train`, `labelled` or `test`, or with `class_depth` the first few of them;
    deeper ones only group. Keys therefore hold the class of `train` and `test` samples; where that must not be, use
    `labelled`, `unlabelled` and `truth`.
    Hidden files, and files with another extension than that of an image, are passed over.
    """

    def __init__(self, config: Config, root: Path) -> None:
        self._config = config
        self._paths = {name: root / path for name in (*FOLDERS, *LISTS) if (path := getattr(config, name)) is not None}

    def identity(self, *, content: bool, labels: bool = True) -> str:
        """Digest of the images' (key, size) or contents, and of the lists by content."""
        digest = digest_files([(image.key, image.path) for image in self._images], content=content)
        if not labels:
            return digest
        lists = [(name, path) for name, path in self._paths.items() if name in LISTS]
        return digest_of([digest, digest_files(lists, content=True)])

    def check_present(self) -> None:
        """MissingError where a folder or list is absent."""
        for name, path in self._paths.items():
            exists = path.is_dir() if name in FOLDERS else path.is_file()
            if not exists:
                what = "folder" if name in FOLDERS else "file"
                hint = f"check `{name}` in the recipe's `data` section, or set `data.root`"
                raise MissingError(f"the {what} `{path}` is not there", hint=hint)

    def download(self) -> None:
        """MissingError where a folder is absent: these data come from nowhere else."""
        self.check_present()

    def listing(self) -> Listing:
        """All images of the folders, by part and path, or in the order of the list."""
        images = self._images
        self._check_found(images)
        truth = self._truth([image.key for image in images if image.part == "unlabelled"])
        classes = tuple(image.name if image.name is not None else truth.get(image.key) for image in images)
        ordered = self._class_order(images)
        order = (*ordered, *sorted({name for name in classes if name is not None} - set(ordered)))
        parts = np.array([image.part for image in images])
        return Listing(tuple(image.key for image in images), classes, parts, order, self._notes())

    def inputs(self, keys: Sequence[str]) -> Inputs:
        """The named images: an array where all are tiny and of one size, else files."""
        return load_images(self.files(keys))

    def files(self, keys: Sequence[str]) -> list[Path]:
        """The files of the named images."""
        paths = {image.key: image.path for image in self._images}
        return [paths[key] for key in keys]

    def new_inputs(self, path: Path) -> tuple[tuple[str, ...], Inputs]:
        """New images: one file, or all below a folder."""
        files = new_image_files(path)
        return tuple(key for key, _ in files), load_images([file for _, file in files])

    @cached_property
    def _images(self) -> list[_Found]:
        self.check_present()
        if "image_list" in self._paths:
            found = list(self._listed())
        else:
            found = [image for part in FOLDERS if part in self._paths for image in self._walk(part)]
        known = {image.key for image in found}
        if absent := [key for key in self._config.leave_out if key not in known]:
            hint = did_you_mean(absent[0], known, "keys are `part/path below the folder`, as in samples.csv")
            problem = Problem(f"no image `{absent[0]}`", place="data.source.leave_out", hint=hint)
            raise DataError("the images do not fit the recipe", [problem])
        left_out = set(self._config.leave_out)
        return [image for image in found if image.key not in left_out]

    def _walk(self, part: str) -> Iterator[_Found]:
        for relative, path in walk_images(self._paths[part]):
            if part == "unlabelled":
                yield _Found(f"{part}/{relative}", path, None, part)
            elif (name := self._class_of(relative)) is not None and self._is_wanted(name):
                yield _Found(f"{part}/{relative}", path, name, part)

    def _listed(self) -> Iterator[_Found]:
        """Images of `image_list`, in its order: the field's splits count along it."""
        names = [line.split()[-1] for line in _lines(self._paths["image_list"])]
        marks = ["1"] * len(names)
        if "test_marks" in self._paths:
            marks = [line.split()[-1] for line in _lines(self._paths["test_marks"])]
        if len(marks) != len(names) or not set(marks) <= {"0", "1"}:
            hint = f"{len(names)} lines that end in 1 (train) or 0 (test) are needed, one for each image"
            raise DataError(f"`{self._paths['test_marks']}` does not fit the list of images", hint=hint)
        for name, mark in zip(names, marks, strict=True):
            class_name = self._class_of(name)
            if class_name is not None and self._is_wanted(class_name):
                part = "train" if mark == "1" else "test"
                yield _Found(f"{part}/{name}", self._paths["train"] / name, class_name, part)

    def _class_of(self, relative: str) -> str | None:
        """The class of an image by its path below a folder of classes; None where it lies in too few folders."""
        folders = relative.split("/")[:-1]
        depth = self._config.class_depth
        return "/".join(folders[:depth]) if len(folders) >= depth else None

    def _is_wanted(self, name: str) -> bool:
        names, groups = self._wanted_sets
        return self._wanted is None or name in names or name.startswith(groups)

    @cached_property
    def _wanted_sets(self) -> tuple[frozenset[str], tuple[str, ...]]:
        """Names of classes, and beginnings of those that are below a folder."""
        wanted = self._wanted or ()
        return frozenset(wanted), tuple(name for name in wanted if name.endswith("/"))

    @cached_property
    def _wanted(self) -> tuple[str, ...] | None:
        """The class folders to use, or None for all; those that end in `/` stand for all below."""
        if self._config.classes is not None:
            return self._config.classes
        if "class_list" not in self._paths:
            return None
        return tuple(line.strip() for line in _lines(self._paths["class_list"]) if not line.startswith("#"))

    def _class_order(self, images: Sequence[_Found]) -> tuple[str, ...]:
        names = sorted({image.name for image in images if image.name is not None})
        if self._wanted is None:
            return tuple(names)
        ordered = [name for wanted in self._wanted for name in (_below(wanted, names) or [wanted])]
        return tuple(dict.fromkeys(ordered))

    def _check_found(self, images: Sequence[_Found]) -> None:
        """DataError for folders without images, empty class folders, and classes of the list that are not there."""
        problems = []
        for part in FOLDERS:
            if part not in self._paths or any(image.part == part for image in images):
                continue
            hint = f"extensions read: {' '.join(EXTENSIONS)}"
            if part != "unlabelled" and any(True for _ in walk_images(self._paths[part])):
                hint = "images lie in sub-folders named after their class: `cat/001.jpg`"
            problems.append(Problem("no image found", place=str(self._paths[part]), hint=hint))
        if not problems:
            problems = [*self._empty_classes(images), *self._absent_files(images)]
        if problems:
            raise DataError("the folders of images cannot be used as they are", problems)

    def _empty_classes(self, images: Sequence[_Found]) -> Iterator[Problem]:
        for part in ("train", "labelled"):
            if part not in self._paths:
                continue
            present = {image.name for image in images if image.part == part or "image_list" in self._paths}
            folders = self._class_folders(part)
            for name in folders:
                if name not in present and self._is_wanted(name):
                    place = str(self._paths[part] / name)
                    yield Problem("the class folder holds no image", place=place, hint="remove it, or add images")
            for name in self._wanted or ():
                if name not in present and name not in folders and not _below(name, folders):
                    hint = did_you_mean(name, folders, f"the folder `{self._paths[part]}` has no such sub-folder")
                    yield Problem(f"no folder for class `{name}`", place=str(self._paths[part]), hint=hint)

    def _class_folders(self, part: str) -> list[str]:
        """Names of the classes that have a folder in a part, with images or without."""
        folder = self._paths[part]
        found = [path for path in folder.glob("/".join("*" * self._config.class_depth)) if path.is_dir()]
        names = (path.relative_to(folder).as_posix() for path in found)
        return sorted(name for name in names if not any(step.startswith(".") for step in name.split("/")))

    def _absent_files(self, images: Sequence[_Found]) -> Iterator[Problem]:
        if "image_list" in self._paths:
            absent = [image for image in images if not image.path.is_file()]
            for image in absent[:SHOWN]:
                yield Problem("listed, and not there", place=str(image.path))

    def _truth(self, keys: Sequence[str]) -> dict[str, str]:
        """Key -> class of unlabelled samples, from the truth file; keys may leave out `unlabelled/`."""
        if "truth" not in self._paths:
            return {}
        path = self._paths["truth"]
        known = set(keys)
        truth, unknown = {}, []
        for line, row in enumerate(_csv_rows(path), 1):
            if len(row) != 2:
                raise DataError(f"`{path}`, line {line}: {counted(len(row), 'cell')}", hint="two columns: key, class")
            key = row[0] if row[0] in known else f"unlabelled/{row[0]}"
            if key in known:
                if row[1]:
                    truth[key] = row[1]
            elif line > 1 or row[1].lower() not in LABEL_NAMES:
                unknown.append(Problem(f"no unlabelled image `{row[0]}`", place=f"{path}:{line}"))
        if unknown:
            hint = "the first column names images as paths below the `unlabelled` folder"
            raise DataError("the truth file names samples that are not there", unknown[:SHOWN], hint=hint)
        return truth

    def _notes(self) -> tuple[str, ...]:
        loose = [
            part for part in ("train", "labelled", "test")
            if part in self._paths and any(self._class_of(name) is None for name, _ in walk_images(self._paths[part]))
        ]  # fmt: skip
        left_out = len(self._config.leave_out)
        where = "directly" if self._config.class_depth == 1 else f"in fewer than {self._config.class_depth} folders"
        notes = [f"images {where} in `{self._paths[part]}` belong to no class and are passed over" for part in loose]
        return (*notes, *([f"{counted(left_out, 'image')} left out by the recipe"] if left_out else []))


def _below(wanted: str, names: Sequence[str]) -> list[str]:
    """The names that begin with one that ends in `/`; none for another one."""
    return [name for name in names if name.startswith(wanted)] if wanted.endswith("/") else []


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding=ENCODING)
    except UnicodeDecodeError as error:
        raise not_utf8(path) from error
    return [line for line in text.splitlines() if line.strip()]


def _csv_rows(path: Path) -> list[list[str]]:
    return [[cell.strip() for cell in row] for row in csv.reader(_lines(path), skipinitialspace=True)]
