"""Ready-made embeddings: arrays that are accepted, labels in all their forms, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ncdcli.data.features import EmbeddingFile
from ncdcli.data.kinds import Embeddings
from ncdcli.errors import DataError, MissingError


def source(root: Path, array, table: str | np.ndarray | None = None, **fields) -> EmbeddingFile:
    np.save(root / "x.npy", array, allow_pickle=True)
    if isinstance(table, str):
        (root / "y.csv").write_text(table)
        fields["labels"] = "y.csv"
    elif table is not None:
        np.save(root / "y.npy", table)
        fields["labels"] = "y.npy"
    return EmbeddingFile(Embeddings(train="x.npy", **fields), root)


X = np.arange(8, dtype=np.float32).reshape(4, 2) + 1


@pytest.mark.parametrize(
    "labels",
    ["a\nb\n\na\n", "label\na\nb\n\na\n", "i,a\nj,b\nk,\nl,a\n", "class,key\na,i\nb,j\n,k\na,l\n",
     np.array(["a", "b", "", "a"])],
)  # fmt: skip
def test_labels_in_all_their_forms(tmp_path, labels):
    listing = source(tmp_path, X, labels).listing()
    assert listing.classes == ("a", "b", None, "a")
    assert listing.parts.tolist() == ["labelled", "labelled", "unlabelled", "labelled"]
    named = isinstance(labels, str) and "," in labels
    assert listing.keys == (("i", "j", "k", "l") if named else ("train/0", "train/1", "train/2", "train/3"))


def test_whole_numbers_as_labels_negative_ones_are_none(tmp_path):
    assert source(tmp_path, X, np.array([3, 12, -1, 3])).listing().class_order == ("3", "12")
    assert source(tmp_path, X, np.array([3, 12, np.nan, 3])).listing().classes == ("3", "12", None, "3")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_rows_come_in_the_order_asked_for_and_stay_on_disk(tmp_path, dtype):
    inputs = source(tmp_path, X.astype(dtype), "a\nb\na\nb\n").inputs(["train/2", "train/0"])
    assert isinstance(inputs.array, np.memmap)
    assert inputs.array.dtype == dtype
    np.testing.assert_array_equal(inputs.array[inputs.rows], X[[2, 0]])


def test_a_test_array_with_its_own_labels(tmp_path):
    np.save(tmp_path / "v.npy", X[:2] * 10)
    (tmp_path / "w.csv").write_text("c\nd\n")
    reader = source(tmp_path, X, "a\nb\na\nb\n", test="v.npy", test_labels="w.csv")
    listing = reader.listing()
    assert listing.parts.tolist() == ["train"] * 4 + ["test"] * 2
    assert listing.classes[-2:] == ("c", "d")
    inputs = reader.inputs(["test/1", "train/0"])
    np.testing.assert_array_equal(inputs.array[inputs.rows], [X[1] * 10, X[0]])


def test_truth_of_the_pool_is_listed_and_not_part_of_the_inputs_identity(tmp_path):
    (tmp_path / "t.csv").write_text("a\nb\nc\na\n")
    reader = source(tmp_path, X, "a\nb\n\na\n", truth="t.csv")
    assert reader.listing().classes == ("a", "b", "c", "a")
    before = [reader.identity(content=True, labels=labels) for labels in (True, False)]
    (tmp_path / "t.csv").write_text("a\nb\nd\na\n")
    after = [reader.identity(content=True, labels=labels) for labels in (True, False)]
    assert before[0] != after[0]
    assert before[1] == after[1]


def test_texts_come_with_the_rows(tmp_path):
    np.save(tmp_path / "t.npy", X[:1])
    (tmp_path / "texts.csv").write_text('text\n"one, with a comma"\ntwo\n\n"four\nlines"\n', encoding="utf-8")
    (tmp_path / "more.csv").write_text("of the test\n", encoding="utf-8")
    found = source(tmp_path, X, "a\nb\n\na\n", texts="texts.csv", test="t.npy", test_texts="more.csv")
    inputs = found.inputs(["test/0", "train/3", "train/2", "train/0"])
    assert inputs.texts == ("of the test", "four\nlines", "", "one, with a comma")
    assert source(tmp_path, X, "a\nb\n\na\n").inputs(["train/0"]).texts is None


def test_texts_must_be_as_many_as_rows(tmp_path):
    (tmp_path / "texts.csv").write_text("one\ntwo\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"texts.csv. has 2 texts for 4 samples"):
        source(tmp_path, X, "a\nb\n\na\n", texts="texts.csv").listing()


def test_rows_of_zeros_are_noted(tmp_path):
    array = X.copy()
    array[1] = 0
    assert source(tmp_path, array, "a\nb\na\nb\n").listing().notes == (
        "1 row of `x.npy` with zeros only, which have no direction",
    )


BAD = X.copy()
BAD[[1, 3], 0] = np.nan, np.inf


@pytest.mark.parametrize(
    ("array", "labels", "message"),
    [
        (BAD, "a\nb\na\nb\n", "2 of 4 rows hold NaN or infinity: rows 1, 3"),
        (np.arange(4.0), None, r"has shape \(4,\)"),
        (X.astype(int), None, "holds int64"),
        (X[:0], None, "is empty"),
        (np.array([[{}], [[]]], dtype=object), None, "holds Python objects, which are never read"),
        (X, "a\nb\na\n", "has 3 labels for 4 samples"),
        (X, "a,b,c\n" * 4, "has 3 columns"),
        (X, "a,b\na\na,b\na,b\n", "row 2: 1 cell; others have 2"),
        (X, np.array([0.5, 1, 2, 3]), "not whole numbers"),
        (X, np.zeros((2, 2), int), r"has shape \(2, 2\)"),
        (X, "i,a\ni,b\nk,a\nl,b\n", "samples have the same name"),
    ],
)
def test_what_is_refused(tmp_path, array, labels, message):
    with pytest.raises(DataError, match=message):
        source(tmp_path, array, labels).listing()


def test_text_that_is_called_npy_is_refused(tmp_path):
    (tmp_path / "x.npy").write_text("1,2\n")
    with pytest.raises(DataError, match=r"is not an \.npy array"):
        EmbeddingFile(Embeddings(train="x.npy"), tmp_path).listing()


def test_absent_files_are_missing(tmp_path):
    with pytest.raises(MissingError, match=r"y\.csv"):
        source(tmp_path, X, labels="y.csv").identity(content=False)


def test_new_rows_must_be_of_the_same_width(tmp_path):
    reader = source(tmp_path, X)
    np.save(tmp_path / "n.npy", np.ones((3, 2)))
    assert reader.new_inputs(tmp_path / "n.npy")[0] == ("0", "1", "2")
    np.save(tmp_path / "n.npy", np.ones((3, 5)))
    with pytest.raises(DataError, match="5 columns; the run's embeddings have 2"):
        reader.new_inputs(tmp_path / "n.npy")
