"""Where torchvision keeps each of its data sets, and how its objects are read: one row a data set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arguments = Mapping[str, Any]
TRAIN_TEST = {"train": ({"train": True},), "test": ({"train": False},)}
SPLITS = {"train": ({"split": "train"},), "test": ({"split": "test"},)}
TRAINVAL = {"train": ({"split": "trainval"},), "test": ({"split": "test"},)}
WITH_VAL = {"train": ({"split": "train"}, {"split": "val"}), "test": ({"split": "test"},)}
IDX_FILES = tuple(f"{part}-{what}" for part in ("train", "t10k") for what in ("images-idx3-ubyte", "labels-idx1-ubyte"))


@dataclass(frozen=True)
class Content:
    """One part as torchvision holds it, labels read and images of files not."""

    labels: list[int]
    array: NDArray[np.uint8] | None = None  # (n, height, width, channels)
    files: list[str] | None = None


@dataclass(frozen=True)
class Layout:
    """One data set."""

    files: tuple[str, ...]  # files and folders below the root that must be there, and that are digested
    parts: Mapping[str, tuple[Arguments, ...]]  # part -> arguments of the objects that make it up
    read: Callable[[Any], Content]
    side: int | None = None  # pixels, where all images share a size and are kept in memory
    channels: int = 3
    classes: Callable[[Any], list[str]] = field(default=lambda dataset: list(dataset.classes))
    groups: Mapping[str, int] = field(default_factory=dict)  # name of many classes -> number of the object with them
    order: Callable[[str], str] | None = (
        None  # key that sorts class names, where torchvision's order is not the field's
    )


def _gray(dataset: Any) -> Content:
    return Content(dataset.targets.tolist(), array=dataset.data.numpy()[..., None])


def _colour(dataset: Any) -> Content:
    return Content(list(dataset.targets), array=np.asarray(dataset.data, np.uint8))


def _channels_first(dataset: Any) -> Content:
    array = np.ascontiguousarray(dataset.data.transpose(0, 2, 3, 1))
    return Content(np.asarray(dataset.labels).astype(int).tolist(), array=array)


def _image_files(dataset: Any) -> Content:
    return Content(list(dataset._labels), files=[str(path) for path in dataset._image_files])


def _pets(dataset: Any) -> Content:
    return Content(list(dataset._labels), files=[str(path) for path in dataset._images])


def _samples(dataset: Any) -> Content:
    return Content([int(label) for _, label in dataset.samples], files=[str(path) for path, _ in dataset.samples])


def _cars(dataset: Any) -> Content:
    return Content([int(label) for _, label in dataset._samples], files=[str(path) for path, _ in dataset._samples])


def _drawings(dataset: Any) -> Content:
    folder = Path(dataset.target_folder)
    found = [(str(folder / dataset._characters[label] / name), label) for name, label in dataset._flat_character_images]
    found.sort(key=lambda entry: (entry[1], entry[0]))  # torchvision's order is that of the file system
    return Content([label for _, label in found], files=[path for path, _ in found])


def _digits(dataset: Any) -> list[str]:
    return [str(digit) for digit in range(10)]


def _flowers(dataset: Any) -> list[str]:
    return [str(number) for number in range(1, 103)]


def _idx(name: str, classes: Callable[[Any], list[str]] | None = None) -> Layout:
    files = tuple(f"{name}/raw/{file}" for file in IDX_FILES)
    layout = Layout(files, TRAIN_TEST, _gray, side=28, channels=1)
    return layout if classes is None else Layout(files, TRAIN_TEST, _gray, side=28, channels=1, classes=classes)


LAYOUTS: Mapping[str, Layout] = {
    "MNIST": _idx("MNIST", _digits),
    "FashionMNIST": _idx("FashionMNIST"),
    "KMNIST": _idx("KMNIST"),
    "SVHN": Layout(("train_32x32.mat", "test_32x32.mat"), SPLITS, _channels_first, side=32, classes=_digits),
    "CIFAR10": Layout(("cifar-10-batches-py",), TRAIN_TEST, _colour, side=32),
    "CIFAR100": Layout(("cifar-100-python",), TRAIN_TEST, _colour, side=32),
    "STL10": Layout(("stl10_binary",), SPLITS, _channels_first, side=96),
    "Flowers102": Layout(("flowers-102",), WITH_VAL, _image_files, classes=_flowers),
    "OxfordIIITPet": Layout(("oxford-iiit-pet/images", "oxford-iiit-pet/annotations"), TRAINVAL, _pets),
    # The class lists of the Semantic Shift Benchmark number the variants in sorted order.
    "FGVCAircraft": Layout(("fgvc-aircraft-2013b/data",), TRAINVAL, _image_files, order=lambda name: f"{name}\n"),
    "StanfordCars": Layout(
        ("stanford_cars/devkit", "stanford_cars/cars_train", "stanford_cars/cars_test",
         "stanford_cars/cars_test_annos_withlabels.mat"), SPLITS, _cars,
    ),
    "Food101": Layout(("food-101/meta", "food-101/images"), SPLITS, _image_files),
    "EuroSAT": Layout(("eurosat/2750",), {"train": ({},)}, _samples),
    "DTD": Layout(("dtd/dtd",), WITH_VAL, _image_files),
    # Background and evaluation drawings are of different characters: both are training samples, in this order, so
    # that the first 964 classes are the background set.
    "Omniglot": Layout(
        ("omniglot-py/images_background", "omniglot-py/images_evaluation"),
        {"train": ({"background": True}, {"background": False})}, _drawings,
        channels=1, classes=lambda dataset: list(dataset._characters), groups={"background": 0, "evaluation": 1},
    ),
}  # fmt: skip
