"""torchvision's data sets: parts, class order and images, on small data in torchvision's own layouts."""

from __future__ import annotations

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from ncdcli.data.kinds import TORCHVISION_SETS, Torchvision
from ncdcli.data.torchvision_layout import LAYOUTS
from ncdcli.data.torchvision_sets import TorchvisionSet
from ncdcli.errors import DataError, MissingError


def opened(name: str, root: Path) -> TorchvisionSet:
    return TorchvisionSet(Torchvision(dataset=name), root)


def picture(path: Path, value: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8, 3), value, np.uint8)).save(path)


def write_idx(folder: Path, part: str, images: np.ndarray, labels: np.ndarray) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    header = np.array([2051, *images.shape], ">i4").tobytes()
    (folder / f"{part}-images-idx3-ubyte").write_bytes(header + images.tobytes())
    (folder / f"{part}-labels-idx1-ubyte").write_bytes(
        np.array([2049, len(labels)], ">i4").tobytes() + labels.tobytes()
    )


def write_mnist(root: Path, name: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    images, labels = rng.integers(0, 256, (12, 28, 28), np.uint8), rng.integers(0, 10, 12).astype(np.uint8)
    write_idx(root / name / "raw", "train", images[:8], labels[:8])
    write_idx(root / name / "raw", "t10k", images[8:], labels[8:])
    return images, labels


@pytest.mark.parametrize("name", ["MNIST", "FashionMNIST", "KMNIST"])
def test_idx_files(tmp_path, name):
    images, labels = write_mnist(tmp_path, name)
    source = opened(name, tmp_path)
    listing = source.listing()
    assert listing.keys[0] == "train/00000"
    assert listing.keys[8:] == ("test/00000", "test/00001", "test/00002", "test/00003")
    assert listing.parts.tolist() == ["train"] * 8 + ["test"] * 4
    assert [listing.class_order.index(name) for name in listing.classes] == labels.tolist()
    inputs = source.inputs(["test/00001", "train/00005"])
    np.testing.assert_array_equal(inputs.array[..., 0], images[[9, 5]])
    assert inputs.channels == 1


def test_labels_of_idx_files_are_not_part_of_the_inputs_identity(tmp_path):
    write_mnist(tmp_path, "MNIST")
    source = opened("MNIST", tmp_path)
    before = [source.identity(content=True, labels=labels) for labels in (True, False)]
    path = tmp_path / "MNIST/raw/train-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    after = [source.identity(content=True, labels=labels) for labels in (True, False)]
    assert before[0] != after[0]
    assert before[1] == after[1]


@pytest.fixture
def unchecked(monkeypatch):
    """torchvision takes files with other checksums than those of the real data."""
    from ncdcli.compat import import_torchvision

    datasets = import_torchvision().datasets
    for module in ("cifar", "svhn", "stl10", "flowers102"):
        monkeypatch.setattr(getattr(datasets, module), "check_integrity", lambda *arguments, **options: True)


def test_cifar_batches(tmp_path, unchecked):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (6, 3072), np.uint8)
    for number, name in enumerate([*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]):
        content = {"data": pixels[number : number + 1], "labels": [number % 2]}
        (folder / name).write_bytes(pickle.dumps(content))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": ["airplane", "automobile"]}))
    source = opened("CIFAR10", tmp_path)
    listing = source.listing()
    assert listing.classes == ("airplane", "automobile", "airplane", "automobile", "airplane", "automobile")
    array = source.inputs(["test/00000"]).array
    np.testing.assert_array_equal(array[0], pixels[5].reshape(3, 32, 32).transpose(1, 2, 0))


def test_svhn_and_stl10(tmp_path, unchecked):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (32, 32, 3, 2), np.uint8)
    for part in ("train", "test"):
        savemat(tmp_path / f"{part}_32x32.mat", {"X": pixels, "y": np.array([[10], [3]])})  # 10 stands for 0
    source = opened("SVHN", tmp_path)
    assert source.listing().classes == ("0", "3", "0", "3")
    np.testing.assert_array_equal(source.inputs(["train/00001"]).array[0], pixels[..., 1])

    folder = tmp_path / "stl10_binary"
    folder.mkdir()
    (folder / "class_names.txt").write_text("airplane\nbird\n")
    columns = rng.integers(0, 256, (2, 3, 96, 96), np.uint8)  # channel, column, row
    for part in ("train", "test"):
        (folder / f"{part}_X.bin").write_bytes(columns.tobytes())
        (folder / f"{part}_y.bin").write_bytes(bytes([2, 1]))
    source = opened("STL10", tmp_path)
    assert source.listing().classes == ("bird", "airplane", "bird", "airplane")
    np.testing.assert_array_equal(source.inputs(["test/00001"]).array[0], columns[1].transpose(2, 1, 0))


def test_flowers_and_cars(tmp_path, unchecked):
    folder = tmp_path / "flowers-102"
    (folder / "jpg").mkdir(parents=True)
    savemat(folder / "setid.mat", {"trnid": [[2, 1]], "valid": [[4, 6]], "tstid": [[3, 5]]})
    savemat(folder / "imagelabels.mat", {"labels": [[77, 1, 102, 2, 3, 4]]})
    source = opened("Flowers102", tmp_path)
    listing = source.listing()
    assert listing.classes == ("1", "77", "2", "4", "102", "3")
    assert listing.parts.tolist() == ["train"] * 4 + ["test"] * 2
    assert Path(source.inputs(["train/00002"]).files[0]).name == "image_00004.jpg"

    cars = tmp_path / "stanford_cars"
    for name in ("devkit", "cars_train", "cars_test"):
        (cars / name).mkdir(parents=True)
    kind = [("fname", object), ("class", object)]
    savemat(cars / "devkit/cars_meta.mat", {"class_names": np.array([["AM General Hummer", "Acura RL"]], object)})
    savemat(cars / "devkit/cars_train_annos.mat", {"annotations": np.array([[("1.jpg", 2), ("2.jpg", 1)]], kind)})
    savemat(cars / "cars_test_annos_withlabels.mat", {"annotations": np.array([[("1.jpg", 1), ("2.jpg", 2)]], kind)})
    listing = opened("StanfordCars", tmp_path).listing()
    assert listing.classes == ("Acura RL", "AM General Hummer", "AM General Hummer", "Acura RL")


def test_aircraft_variants_are_numbered_in_sorted_order(tmp_path):
    data = tmp_path / "fgvc-aircraft-2013b" / "data"
    for number in range(3):
        picture(data / "images" / f"00{number}.jpg", number)
    (data / "variants.txt").write_text("Boeing 717\n707-320\n")  # not the order of the Semantic Shift Benchmark
    (data / "images_variant_trainval.txt").write_text("002 Boeing 717\n000 707-320\n")
    (data / "images_variant_test.txt").write_text("001 707-320\n")
    source = opened("FGVCAircraft", tmp_path)
    listing = source.listing()
    assert listing.class_order == ("707-320", "Boeing 717")
    assert listing.classes == ("Boeing 717", "707-320", "707-320")
    assert Path(source.inputs(["train/00000"]).files[0]).name == "002.jpg"
    assert source.inputs(listing.keys).image(0).size == (8, 8)


def test_food_and_pets_and_textures_and_land(tmp_path):
    for name in ("apple_pie/1", "waffles/2"):
        picture(tmp_path / "food-101" / "images" / f"{name}.jpg")
    (tmp_path / "food-101/meta").mkdir()
    (tmp_path / "food-101/meta/train.json").write_text(json.dumps({"waffles": ["waffles/2"], "apple_pie": []}))
    (tmp_path / "food-101/meta/test.json").write_text(json.dumps({"waffles": [], "apple_pie": ["apple_pie/1"]}))
    listing = opened("Food101", tmp_path).listing()
    assert listing.classes == ("waffles", "apple_pie")
    assert listing.class_order == ("apple_pie", "waffles")

    pets = tmp_path / "oxford-iiit-pet"
    (pets / "annotations").mkdir(parents=True)
    (pets / "images").mkdir()
    (pets / "annotations/trainval.txt").write_text("Birman_1 1 1 1\ngreat_dane_2 2 2 1\n")
    (pets / "annotations/test.txt").write_text("great_dane_9 2 2 1\nBirman_7 1 1 1\n")
    listing = opened("OxfordIIITPet", tmp_path).listing()
    assert listing.classes == ("Birman", "Great Dane", "Great Dane", "Birman")

    for name in ("River/River_1", "Forest/Forest_1"):
        picture(tmp_path / "eurosat" / "2750" / f"{name}.jpg")
    listing = opened("EuroSAT", tmp_path).listing()
    assert (listing.classes, set(listing.parts)) == (("Forest", "River"), {"train"})

    labels = tmp_path / "dtd/dtd/labels"
    labels.mkdir(parents=True)
    for part, line in (("train1", "banded/1.jpg"), ("val1", "woven/2.jpg"), ("test1", "banded/3.jpg")):
        (labels / f"{part}.txt").write_text(f"{line}\n")
    listing = opened("DTD", tmp_path).listing()
    assert listing.classes == ("banded", "woven", "banded")  # each file lists some of the classes only
    assert listing.parts.tolist() == ["train", "train", "test"]


def test_omniglot_lists_background_before_evaluation_in_a_fixed_order(tmp_path, monkeypatch):
    for name in ("images_background/Greek/character01/b", "images_background/Greek/character01/a"):
        picture(tmp_path / "omniglot-py" / f"{name}.png")
    picture(tmp_path / "omniglot-py" / "images_evaluation" / "Kannada" / "character02" / "c.png")
    from ncdcli.compat import import_torchvision

    monkeypatch.setattr(import_torchvision().datasets.Omniglot, "_check_integrity", lambda self: True)
    source = opened("Omniglot", tmp_path)
    assert source.listing().classes == ("Greek/character01", "Greek/character01", "Kannada/character02")
    inputs = source.inputs(source.listing().keys)
    assert [Path(file).name for file in inputs.files] == ["a.png", "b.png", "c.png"]
    assert inputs.image(0).mode == "L"


def test_some_classes_of_omniglot(tmp_path, monkeypatch):
    for number, name in enumerate(("Greek/character01/a", "Greek/character02/b", "Greeks/character01/c")):
        picture(tmp_path / "omniglot-py" / "images_background" / f"{name}.png", number)
    picture(tmp_path / "omniglot-py" / "images_evaluation" / "Kannada" / "character02" / "d.png", 3)
    from ncdcli.compat import import_torchvision

    monkeypatch.setattr(import_torchvision().datasets.Omniglot, "_check_integrity", lambda self: True)
    classes = ("Kannada/", "Greek/", "Greeks/character01")
    everything = opened("Omniglot", tmp_path)
    source = TorchvisionSet(Torchvision(dataset="Omniglot", classes=classes[:2]), tmp_path)
    listing = source.listing()
    assert sorted(listing.class_order) == ["Greek/character01", "Greek/character02", "Kannada/character02"]
    assert listing.class_order == tuple(name for name in everything.listing().class_order if "Greeks" not in name)
    assert sorted(Path(file).name for file in source.inputs(listing.keys).files) == ["a.png", "b.png", "d.png"]
    assert [
        Path(file).parent.as_posix()[-len(name) :]
        for file, name in zip(source.inputs(listing.keys).files, listing.classes, strict=True)
    ] == list(listing.classes)
    for every in (classes, ("evaluation", "background")):
        again = TorchvisionSet(Torchvision(dataset="Omniglot", classes=every), tmp_path).listing()
        assert again.keys == everything.listing().keys
        assert again.class_order == everything.listing().class_order
    background = TorchvisionSet(Torchvision(dataset="Omniglot", classes=("background",)), tmp_path).listing()
    assert background.keys == everything.listing().keys[:3]  # keys stay those of the whole data set
    with pytest.raises(DataError, match="does not fit") as raised:
        TorchvisionSet(Torchvision(dataset="Omniglot", classes=("Greec/",)), tmp_path).listing()
    assert "did you mean `Greek/`" in raised.value.problems[0].hint


def test_every_data_set_of_the_schema_has_a_layout():
    assert set(LAYOUTS) == set(TORCHVISION_SETS)


@pytest.mark.parametrize("name", TORCHVISION_SETS)
def test_absent_data_are_missing_with_what_brings_them(tmp_path, name):
    with pytest.raises(MissingError, match=name) as raised:
        opened(name, tmp_path).identity(content=False)
    assert ("`stanford_cars" if name == "StanfordCars" else "`--download`") in raised.value.message + raised.value.hint


def test_a_download_that_fails_says_where_to_put_the_files(tmp_path, monkeypatch):
    class Unreachable:
        def __init__(self, **arguments):
            raise RuntimeError("Error downloading\nno network")

    from ncdcli.compat import import_torchvision

    monkeypatch.setattr(import_torchvision().datasets, "CIFAR10", Unreachable)
    with pytest.raises(MissingError, match="cannot be downloaded: Error downloading no network") as raised:
        opened("CIFAR10", tmp_path).download()
    assert f"put the files into `{tmp_path}`" in raised.value.hint


def test_damaged_files_are_refused(tmp_path):
    write_mnist(tmp_path, "MNIST")
    (tmp_path / "MNIST/raw/train-images-idx3-ubyte").write_bytes(b"\x00\x00\x08\x03")
    with pytest.raises(DataError, match=r"MNIST in .* cannot be read"):
        opened("MNIST", tmp_path).listing()


def test_archives_and_hidden_files_are_not_part_of_the_identity(tmp_path):
    write_mnist(tmp_path, "MNIST")
    picture(tmp_path / "eurosat/2750/River/1.jpg")
    before = opened("EuroSAT", tmp_path).identity(content=False)
    (tmp_path / "eurosat/2750/EuroSAT.zip").write_bytes(b"1")
    (tmp_path / "eurosat/2750/.DS_Store").write_bytes(b"1")
    assert opened("EuroSAT", tmp_path).identity(content=False) == before


@pytest.mark.skipif("NCD_TEST_DATA" not in os.environ, reason="NCD_TEST_DATA names no folder of real data")
def test_the_real_fashion_mnist():
    source = opened("FashionMNIST", Path(os.environ["NCD_TEST_DATA"]))
    listing = source.listing()
    assert (len(listing.keys), listing.class_order[9]) == (70_000, "Ankle boot")
    assert listing.classes[:2] == ("Ankle boot", "T-shirt/top")
    assert source.inputs(["train/00000"]).array.sum() == 76_247  # independently: od -An -tu1 -j16 -N784
