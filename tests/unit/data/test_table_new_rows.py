"""New rows are read as those of the training table were, and their faults told with their line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ncdcli.data.kinds import Table
from ncdcli.data.tables import TableEncoder, TableFile
from ncdcli.errors import DataError


def table(tmp_path: Path, text: str, **fields) -> TableFile:
    (tmp_path / "t.csv").write_text(text)
    return TableFile(Table(train="t.csv", **fields), tmp_path)


def test_new_rows_may_lack_the_label_and_the_training_table(tmp_path):
    source = table(tmp_path, "x,y,k\n1,2,a\n3,4,b\n", label="k")
    (tmp_path / "n.csv").write_text("y,x\n7,8\n")
    keys, inputs = source.new_inputs(tmp_path / "n.csv")
    assert keys == ("0",)
    assert sorted(inputs.frame.columns) == ["x", "y"]
    (tmp_path / "t.csv").unlink()
    (tmp_path / "n.csv").write_text("y,x,k\n7,8,z\n")
    assert sorted(source.new_inputs(tmp_path / "n.csv")[1].frame.columns) == ["x", "y"]


def test_new_rows_without_header_are_features_only_or_laid_out_as_the_training_table(tmp_path):
    source = table(tmp_path, "1,2,a\n3,4,b\n", label=-1)
    for text in ("7,8\n9,1\n", "7,8,a\n9,1,b\n"):
        (tmp_path / "n.csv").write_text(text)
        inputs = source.new_inputs(tmp_path / "n.csv")[1]
        assert inputs.frame.columns.tolist() == ["0", "1"]
        assert inputs.frame.to_numpy().tolist() == [[7, 8], [9, 1]]


def new_inputs(tmp_path, source, text):
    (tmp_path / "n.csv").write_text(text)
    return source.new_inputs(tmp_path / "n.csv")[1]


def fitted(source):
    inputs = source.inputs(source.listing().keys)
    return TableEncoder.fit(inputs, np.arange(len(inputs)))


def test_new_rows_are_encoded_as_the_same_rows_of_training(tmp_path):
    rows = [
        "1,2024-01-05,true,007,a",
        "2,2024-02-06,,L,b",
        "3,2024-03-07,false,L,",
        "4.5,,true,,",
        "9,2024-05-09,true,8,a",
    ]
    source = table(tmp_path, "\n".join(["x,d,f,c,k", *rows]), label="k")
    inputs = source.inputs(source.listing().keys)
    encoder = TableEncoder.fit(inputs, np.arange(5))
    assert encoder.categorical[0].categories == ("007", "8", "L")
    expected = encoder.transform(inputs)
    for row, vector in zip(rows, expected, strict=True):  # one at a time: each column looks like something else
        x, d, f, c, _ = row.split(",")
        new = new_inputs(tmp_path, source, f"f;c;x;d\n{f};{c};{x};{d}\n")
        np.testing.assert_array_equal(encoder.transform(new)[0], vector)


@pytest.mark.parametrize(
    ("cell", "message"),
    [("oops,2024-01-01", "n.csv:3: column `x`: `oops` is not a number"),
     ("1e99,2024-01-01", "n.csv:3: row 1 has a value too large to encode in column `x`"),
     ("1,01/02/2024", "n.csv:3: column `d`: `01/02/2024` is not a date as `iso` reads them")],
)  # fmt: skip
def test_faults_of_new_rows_are_told_with_their_line(tmp_path, cell, message):
    source = table(tmp_path, "x,d,k\n1,2024-01-05,a\n2,2024-02-06,b\n3,2024-03-07,\n", label="k")
    encoder = fitted(source)
    with pytest.raises(DataError) as raised:
        encoder.transform(new_inputs(tmp_path, source, f"x,d\n1,2024-01-01\n{cell}\n"))
    assert message in str(raised.value)


def test_a_header_alone_is_no_row_of_new_samples(tmp_path):
    source = table(tmp_path, "x,c,k\n1,u,a\n2,v,b\n3,u,\n", label="k")
    with pytest.raises(DataError, match="a header and no row"):
        new_inputs(tmp_path, source, "c,x\n")
