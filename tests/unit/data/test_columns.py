"""CSV files by column, beside what the standard library writes and reads."""

import csv
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ncdcli.data.columns import read_columns, write_columns
from ncdcli.data.samples import Samples
from ncdcli.errors import DataError

CELL = st.text(st.sampled_from("a1 ,\"\n'é\t;"), max_size=6) | st.integers() | st.none() | st.floats(allow_nan=False)


@given(rows=st.lists(st.tuples(CELL, CELL, CELL), max_size=8))
def test_the_bytes_are_those_of_the_standard_library(rows, tmp_path_factory):
    path = tmp_path_factory.mktemp("columns") / "file.csv"
    names = ["row", "a,b", "c"]
    expected = io.StringIO()
    csv.writer(expected, lineterminator="\n").writerows([names, *rows])
    write_columns(path, {name: [row[i] for row in rows] for i, name in enumerate(names)})
    assert path.read_bytes() == expected.getvalue().encode()
    found = read_columns(path, texts=names)
    for i, name in enumerate(names):
        assert found[name].tolist() == ["" if row[i] is None else str(row[i]) for row in rows]


def test_a_carriage_return_in_a_name_comes_back(tmp_path):
    samples = Samples(("a\rb", "c\r\nd", ' "e" '), np.array(["labelled", "test", "test"]), np.array([1, -1, -1]),
                      ("x", "y, z"), "gcd")  # fmt: skip
    samples.write(tmp_path)
    again = Samples.read(tmp_path / "samples.csv", tmp_path / "classes.json")
    assert (again.keys, again.known, again.setting) == (samples.keys, samples.known, "gcd")
    assert again.roles.tolist() == samples.roles.tolist()
    assert again.labels.tolist() == [1, -1, -1]


def test_columns_of_different_lengths_are_refused(tmp_path):
    with pytest.raises(ValueError):
        write_columns(tmp_path / "file.csv", {"a": [1, 2], "b": [1]})


@pytest.mark.parametrize("text", ["a,b\n1,x\n", "a,c\n1,2\n", "", "a,b\n1,\n"])
def test_a_file_that_does_not_hold_the_columns_is_named(text, tmp_path):
    path = tmp_path / "file.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=r"file\.csv` cannot be read") as caught:
        read_columns(path, texts=["a"], numbers=["b"])
    assert "--force" in caught.value.hint


def test_class_names_that_look_like_numbers_or_nothing_stay_text(tmp_path):
    path = tmp_path / "file.csv"
    names = ["007", "1.0", "NA", "null", "", "True", "1e3"]
    write_columns(path, {"row": range(7), "class": names})
    found = read_columns(path, texts=["class"], numbers=["row"])
    assert found["class"].tolist() == names
    assert found["row"].tolist() == list(range(7))


def test_a_file_without_rows(tmp_path):
    write_columns(tmp_path / "file.csv", {"a": [], "b": []})
    found = read_columns(tmp_path / "file.csv", texts=["a"], numbers=["b"])
    assert [len(column) for column in found.values()] == [0, 0]
