"""Folders of images: classes, parts, lists, truth, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ncdcli.data.image_folder import ImageFolder
from ncdcli.data.kinds import ImageFolder as Config
from ncdcli.errors import DataError, MissingError


def make(root: Path, *names: str) -> None:
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4, 3), number, np.uint8)).save(path)


def reader(root: Path, **fields) -> ImageFolder:
    return ImageFolder(Config(**fields), root)


def text_of(raised) -> str:
    return "\n".join([str(raised.value), raised.value.hint])


def test_a_folder_for_each_class_nested_ones_count_for_the_first(tmp_path):
    make(tmp_path, "t/dog/b.png", "t/cat/deep/er/a.png", "t/cat/z.png", "v/owl/q.png")
    listing = reader(tmp_path, train="t", test="v").listing()
    assert listing.keys == ("train/cat/deep/er/a.png", "train/cat/z.png", "train/dog/b.png", "test/owl/q.png")
    assert listing.classes == ("cat", "cat", "dog", "owl")
    assert listing.parts.tolist() == ["train"] * 3 + ["test"]
    assert listing.class_order == ("cat", "dog", "owl")


def test_classes_may_lie_in_several_folders_and_be_chosen_by_the_first_of_these(tmp_path):
    make(
        tmp_path, "t/Greek/c1/a.png", "t/Greek/c2/b.png", "t/Latin/c1/c.png", "t/Korean/c1/deep/d.png", "t/Latin/e.png"
    )
    listing = reader(tmp_path, train="t", class_depth=2).listing()
    assert listing.class_order == ("Greek/c1", "Greek/c2", "Korean/c1", "Latin/c1")
    assert listing.keys[2:] == ("train/Korean/c1/deep/d.png", "train/Latin/c1/c.png")
    assert listing.notes == (
        f"images in fewer than 2 folders in `{tmp_path / 't'}` belong to no class and are passed over",
    )
    listing = reader(tmp_path, train="t", class_depth=2, classes=("Latin/", "Greek/c2", "Greek/")).listing()
    assert listing.class_order == ("Latin/c1", "Greek/c2", "Greek/c1")
    assert listing.classes == ("Greek/c1", "Greek/c2", "Latin/c1")


def test_several_folders_without_an_image_or_of_no_class_are_named(tmp_path):
    make(tmp_path, "t/Greek/c1/a.png")
    (tmp_path / "t" / "Latin" / "c1").mkdir(parents=True)
    with pytest.raises(DataError) as raised:
        reader(tmp_path, train="t", class_depth=2).listing()
    assert "the class folder holds no image" in text_of(raised)
    assert "Latin/c1" in text_of(raised)
    with pytest.raises(DataError, match="no folder for class `Korean/`"):
        reader(tmp_path, train="t", class_depth=2, classes=("Greek/", "Korean/")).listing()


def test_own_folders_with_a_truth_file(tmp_path):
    make(tmp_path, "l/cat/1.png", "l/dog/2.png", "u/3.png", "u/sub/4.png", "u/5.png")
    (tmp_path / "truth.csv").write_text("key,class\n3.png,owl\nunlabelled/sub/4.png,cat\n")
    listing = reader(tmp_path, labelled="l", unlabelled="u", truth="truth.csv").listing()
    assert dict(zip(listing.keys, listing.classes, strict=True)) == {
        "labelled/cat/1.png": "cat", "labelled/dog/2.png": "dog",
        "unlabelled/3.png": "owl", "unlabelled/5.png": None, "unlabelled/sub/4.png": "cat",
    }  # fmt: skip
    assert listing.class_order == ("cat", "dog", "owl")


def test_other_truth_changes_the_identity_with_labels_and_not_the_one_without(tmp_path):
    make(tmp_path, "l/cat/1.png", "l/dog/2.png", "u/3.png", "u/4.png")
    source = reader(tmp_path, labelled="l", unlabelled="u", truth="truth.csv")
    digests = []
    for truth in ("3.png,owl\n4.png,cow\n", "3.png,cow\n4.png,owl\n"):
        (tmp_path / "truth.csv").write_text(truth)
        digests.append([source.identity(content=True, labels=labels) for labels in (True, False)])
    assert digests[0][0] != digests[1][0]
    assert digests[0][1] == digests[1][1]


def test_identity_by_content_sees_what_sizes_do_not(tmp_path):
    make(tmp_path, "t/cat/1.png", "t/dog/2.png")
    before = [reader(tmp_path, train="t").identity(content=content) for content in (False, True)]
    data = bytearray((tmp_path / "t/cat/1.png").read_bytes())
    data[-20] ^= 1
    (tmp_path / "t/cat/1.png").write_bytes(bytes(data))
    after = [reader(tmp_path, train="t").identity(content=content) for content in (False, True)]
    assert before[0] == after[0]
    assert before[1] != after[1]


def test_a_class_list_chooses_and_orders(tmp_path):
    make(tmp_path, "t/a/1.png", "t/b/1.png", "t/c/1.png")
    (tmp_path / "list.txt").write_text("# two of three\nc\na\n")
    listing = reader(tmp_path, train="t", class_list="list.txt").listing()
    assert listing.class_order == ("c", "a")
    assert set(listing.classes) == {"a", "c"}
    assert reader(tmp_path, train="t", classes=("c", "a")).listing().keys == listing.keys


def test_an_image_list_keeps_its_order_and_marks_the_test_part(tmp_path):
    make(tmp_path, "images/001.A/x_9.png", "images/001.A/x_1.png", "images/002.B/y.png")
    (tmp_path / "images.txt").write_text("1 001.A/x_9.png\n2 001.A/x_1.png\n3 002.B/y.png\n")
    (tmp_path / "marks.txt").write_text("1 1\n2 0\n3 1\n")
    listing = reader(tmp_path, train="images", image_list="images.txt", test_marks="marks.txt").listing()
    assert listing.keys == ("train/001.A/x_9.png", "test/001.A/x_1.png", "train/002.B/y.png")
    assert listing.parts.tolist() == ["train", "test", "train"]


def test_files_left_out_by_the_recipe_are_gone(tmp_path):
    make(tmp_path, "l/cat/1.png", "l/dog/2.png", "u/3.png", "u/4.png")
    source = reader(tmp_path, labelled="l", unlabelled="u", leave_out=("unlabelled/3.png",))
    assert source.listing().keys == ("labelled/cat/1.png", "labelled/dog/2.png", "unlabelled/4.png")
    assert source.listing().notes == ("1 image left out by the recipe",)


def test_images_come_in_the_order_asked_for(tmp_path):
    make(tmp_path, "t/a/0.png", "t/a/1.png", "t/b/2.png")
    inputs = reader(tmp_path, train="t").inputs(["train/b/2.png", "train/a/0.png"])
    assert inputs.array[:, 0, 0, 0].tolist() == [2, 0]


@pytest.mark.parametrize(
    ("names", "fields", "message", "hint"),
    [
        (("t/a/1.png",), {"train": "t", "classes": ("a", "bb")}, "no folder for class `bb`", "no such sub-folder"),
        (("t/1.png",), {"train": "t"}, "no image found", "sub-folders named after their class"),
        (("t/a/1.txt.png",), {"labelled": "t", "unlabelled": "empty"}, "no image found", ".jpg"),
        (("t/a/1.png",), {"train": "t", "leave_out": ("train/a/2.png",)}, "no image `train/a/2.png`", "did you mean"),
    ],
)
def test_what_is_refused(tmp_path, names, fields, message, hint):
    make(tmp_path, *names)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError) as raised:
        reader(tmp_path, **fields).listing()
    assert message in text_of(raised)
    assert hint in text_of(raised)


def test_an_empty_class_folder_is_refused(tmp_path):
    make(tmp_path, "t/a/1.png", "t/b/1.png")
    (tmp_path / "t/c").mkdir()
    with pytest.raises(DataError, match=r"t/c: the class folder holds no image"):
        reader(tmp_path, train="t").listing()


def test_truth_for_unknown_samples_is_refused_with_its_line(tmp_path):
    make(tmp_path, "l/cat/1.png", "l/dog/2.png", "u/3.png")
    (tmp_path / "truth.csv").write_text("3.png,owl\n9.png,owl\n")
    with pytest.raises(DataError, match=r"truth.csv:2: no unlabelled image `9.png`"):
        reader(tmp_path, labelled="l", unlabelled="u", truth="truth.csv").listing()


def test_an_absent_folder_is_missing_and_not_invalid(tmp_path):
    make(tmp_path, "l/cat/1.png")
    with pytest.raises(MissingError, match="nowhere") as raised:
        reader(tmp_path, labelled="l", unlabelled="nowhere").identity(content=False)
    assert "`unlabelled`" in raised.value.hint


def test_new_images_need_none_of_the_old_ones(tmp_path):
    make(tmp_path, "new/x/1.png", "new/2.png")
    keys, inputs = reader(tmp_path, train="gone").new_inputs(tmp_path / "new")
    assert keys == ("2.png", "x/1.png")
    assert len(inputs) == 2
