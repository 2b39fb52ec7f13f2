"""Tables in all their layouts, and the faults that are told by row and column."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from ncdcli.data.kinds import Table
from ncdcli.data.table_text import detect_layout
from ncdcli.data.tables import TableFile
from ncdcli.errors import DataError, MissingError

MISSING = ("", "?", "NA")


def layout(tmp_path: Path, text: str | bytes, **options):
    path = tmp_path / "t.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return detect_layout(path, **{"separator": "auto", "header": "auto", "missing": MISSING, **options})


def table(tmp_path: Path, text: str, **fields) -> TableFile:
    (tmp_path / "t.csv").write_text(text)
    return TableFile(Table(train="t.csv", **fields), tmp_path)


def text_of(raised) -> str:
    return "\n".join([str(raised.value), raised.value.hint])


@pytest.mark.parametrize(
    ("text", "separator", "header"),
    [
        ("a,b\n1,2\n3,4\n", "comma", True),
        ("1,2\n3,4\n", "comma", False),
        ("1;2,5\n3;4,5\n", "semicolon", False),
        ("a\tb\n1\t2\n", "tab", True),
        ("1 2  3\n4  5 6\n", "space", False),
        ("47, 100, 8\n0, 89, 2\n", "comma", False),
        ("0,1,classes\n1.5,2.5,8\n1.0,2.0,3\n", "comma", True),  # names that are numbers, and one that is not
        ("red,round\nblue,square\nred,square\n", "comma", False),
        ("colour,form\nblue,square\nred,square\n", "comma", True),
        ("?,1\n2,3\n", "comma", False),  # a missing value is no header
        ('a,b\n"1,5",2\n"x\ny",4\n', "comma", True),  # separators and line ends inside quotes
        ("@relation letter\n@data\n1,2,Z\n3,4,P\n", "comma", False),
    ],
)
def test_layouts_are_recognised(tmp_path, text, separator, header):
    found = layout(tmp_path, text)
    assert (found.separator, found.header) == (separator, header)


def test_a_byte_order_mark_is_not_part_of_the_first_name(tmp_path):
    assert layout(tmp_path, b"\xef\xbb\xbfa,b\n1,2\n").columns == ("a", "b")


def test_a_column_that_the_recipe_names_proves_a_header(tmp_path):
    assert layout(tmp_path, "red,form\nred,square\nred,square\n", named=["form"]).header
    assert not layout(tmp_path, "red,form\nred,square\nred,square\n").header


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("a,b\n1,2\n1,2,3\n", "t.csv:3: 3 cells; the first row has 2", "separator read is `comma`"),
        ("a,b,c\n1,2,3\n1,2\n4,5,6\n", "t.csv:3: 2 cells; the first row has 3", "separator"),
        ("only\none\ncolumn\n", "has one column", "set `separator`"),
        ("", "holds no row", "empty"),
        ("a,a\n1,2\n", "columns of the same name: `a`", "header: false"),
        (b"\xff\xfe1\x00,\x002\x00", "not text in UTF-8", "iconv"),
    ],
)
def test_unreadable_tables_are_refused(tmp_path, text, message, hint):
    with pytest.raises(DataError) as raised:
        layout(tmp_path, text)
    assert message in text_of(raised)
    assert hint in text_of(raised)


def test_a_short_row_beyond_the_sample_is_found_with_its_line(tmp_path):
    rows = ["1,2,x"] * 600
    rows[511] = "1,2"
    with pytest.raises(DataError, match=r"t\.csv:512: 2 cells; the first row has 3"):
        table(tmp_path, "\n".join(rows), label=-1).listing()


def test_rows_without_a_label_are_the_pool(tmp_path):
    source = table(tmp_path, "x,y,k,t\n1,2,a,a\n3,4,?,b\n5,6,,a\n7,8,b,b\n", label="k", truth="t")
    listing = source.listing()
    assert listing.parts.tolist() == ["labelled", "unlabelled", "unlabelled", "labelled"]
    assert listing.classes == ("a", "b", "a", "b")
    assert source.inputs(["train/3", "train/1"]).frame.to_numpy().tolist() == [[7, 8], [3, 4]]


def test_classes_that_are_numbers_keep_their_text_and_sort_as_numbers(tmp_path):
    listing = table(tmp_path, "".join(f"{n}.5,{n}\n" for n in (10, 9, 2, 1)), label=-1).listing()
    assert listing.class_order == ("1", "2", "9", "10")
    assert listing.classes == ("10", "9", "2", "1")


def test_test_rows_and_a_test_file_and_a_fraction(tmp_path):
    text = "".join(f"{n},{n * n},{'ab'[n % 2]}\n" for n in range(10))
    listing = table(tmp_path, text, label=-1, test_rows=(2, 5)).listing()
    assert listing.keys[-3:] == ("train/2", "train/3", "train/4")
    assert listing.parts.tolist() == ["train"] * 7 + ["test"] * 3
    (tmp_path / "v.csv").write_text("7,8,c\n")
    listing = table(tmp_path, text, label=-1, test="v.csv").listing()
    assert (listing.keys[-1], listing.classes[-1], listing.parts[-1]) == ("test/0", "c", "test")
    source = table(tmp_path, text, label=-1, test_fraction=0.3)
    assert source.listing().parts.tolist().count("test") == 3
    assert source.listing().keys == table(tmp_path, text, label=-1, test_fraction=0.3).listing().keys


def test_text_columns_are_categorical_and_the_rest_numbers(tmp_path):
    source = table(tmp_path, "x,colour,k\n1,red,a\n?,blue,b\n3,,a\n", label="k")
    inputs = source.inputs(source.listing().keys)
    assert inputs.categorical == ("colour",)
    assert np.isnan(inputs.frame["x"].to_numpy()).tolist() == [False, True, False]


def test_ids_name_the_rows(tmp_path):
    listing = table(tmp_path, "id,x,k\nq7,1,a\nq9,2,b\n", label="k", id="id").listing()
    assert listing.keys == ("q7", "q9")
    with pytest.raises(DataError, match="`q7` occurs 2 times"):
        table(tmp_path, "id,x,k\nq7,1,a\nq7,2,b\n", label="k", id="id").listing()


@pytest.mark.parametrize(
    ("text", "fields", "message", "hint"),
    [
        ("x,k\n1,a\ninf,b\n", {"label": "k"}, "t.csv:3: column `x`: `inf` (1 infinite value)", "`missing`"),
        (
            "x,k\n" + "1,a\n" * 20 + "oops,b\n", {"label": "k"},
            "t.csv:22: column `x`: `oops` is not a number (1 of 21 cells is not)", "`categorical`",
        ),
        (
            "x,name,k\n" + "".join(f"1,row {n},a\n" for n in range(300)), {"label": "k"},
            "column `name`: 300 different texts in 300 rows", "`drop`",
        ),
        ("x,k\n1,a\n2,b\n", {"label": "klass"}, "the table has no column `klass`", "columns: `x`, `k`"),
        ("x,k\n1,a\n2,b\n", {"label": 5}, "the table has no column `5`", "numbered from 0 to 1"),
        ("x,k\n1,a\n2,b\n", {"label": "k", "drop": ("x",)}, "no feature column left", "`drop`"),
        (
            "x,k\n1,a\n2,b\n", {"label": "k", "test_rows": (0, 9)},
            "rows 0 to 9 of a table with 2 rows", "numbered from 0",
        ),
        ("x,k\n", {"label": "k", "header": True}, "holds a header and no row", "add rows"),
    ],
)  # fmt: skip
def test_unusable_columns_and_options_are_refused(tmp_path, text, fields, message, hint):
    with pytest.raises(DataError) as raised:
        table(tmp_path, text, **fields).listing()
    assert message in text_of(raised)
    assert hint in text_of(raised)


def test_other_labels_change_the_identity_with_labels_and_not_the_one_without(tmp_path):
    first = table(tmp_path, "x,k,t\n1,a,a\n2,,b\n3,,c\n4,d,d\n", label="k", truth="t")
    digests = [first.identity(content=False, labels=labels) for labels in (True, False)]
    second = table(tmp_path, "x,k,t\n1,a,a\n2,,c\n3,,b\n4,d,d\n", label="k", truth="t")
    assert second.identity(content=False, labels=True) != digests[0]
    assert second.identity(content=False, labels=False) == digests[1]
    third = table(tmp_path, "x,k,t\n1,a,a\n2.5,,b\n3,,c\n4,d,d\n", label="k", truth="t")
    assert third.identity(content=False, labels=False) != digests[1]


def test_dates_are_days_and_their_formats_are_known(tmp_path):
    source = table(tmp_path, "d,e,k\n31/01/1970,19700102,a\n01/02/1970,19700103,b\n,19700104,\n", label="k",
                   dates={"d": "%d/%m/%Y", "e": "%Y%m%d"})  # fmt: skip
    inputs = source.inputs(source.listing().keys)
    assert inputs.frame["d"].tolist()[:2] == [30, 31]
    assert inputs.frame["e"].tolist() == [1, 2, 3]
    assert inputs.dates == {"d": "%d/%m/%Y", "e": "%Y%m%d"}


def test_dates_that_are_named_categories_or_not_named_stay_text(tmp_path):
    text = "d,x,k\n2024-01-05,1,a\n2024-02-06,2,b\n2024-01-05,3,\n"
    assert table(tmp_path, text, label="k").inputs(["train/0"]).dates == {"d": "iso"}
    for fields in ({"categorical": ("d",)}, {"dates": {}}):
        inputs = table(tmp_path, text, label="k", **fields).inputs(["train/0"])
        assert (inputs.dates, inputs.categorical) == ({}, ("d",))


def test_decimal_commas_and_thousands(tmp_path):
    source = table(tmp_path, "x;y;k\n1.234,5;2;a\n0,5;3.000;b\n", label="k", decimal="comma", thousands="point")
    assert source.inputs(source.listing().keys).frame.to_numpy().tolist() == [[1234.5, 2], [0.5, 3000]]


def test_a_test_file_is_read_as_the_training_file_was(tmp_path):
    train = "x,c,d,k\n1,007,2024-01-05,a\n2,L,2024-02-06,b\n"
    (tmp_path / "v.csv").write_text("x,c,d,k\n3,008,2024-03-01,a\n")
    source = table(tmp_path, train, label="k", test="v.csv")
    frame = source.inputs(source.listing().keys).frame
    assert frame["c"].tolist() == ["007", "L", "008"]
    assert frame["d"].tolist()[2] == 19783
    (tmp_path / "v.csv").write_text("x,c,d,k\nhuge,008,2024-03-01,a\n")
    with pytest.raises(DataError, match=r"v\.csv:2: column `x`: `huge` is not a number"):
        table(tmp_path, train, label="k", test="v.csv").listing()


def test_the_line_of_a_fault_is_that_of_the_file_also_where_rows_are_test_rows(tmp_path):
    text = "x,k\n" + "1,a\n" * 20 + "oops,b\n"
    with pytest.raises(DataError, match=r"t\.csv:22: column `x`: `oops`"):
        table(tmp_path, text, label="k", test_rows=(0, 5)).listing()


def test_a_row_that_the_table_lost_is_named(tmp_path):
    with pytest.raises(DataError, match="has no row `train/7` any more"):
        table(tmp_path, "x,k\n1,a\n2,b\n", label="k").inputs(["train/0", "train/7"])


def test_inputs_can_be_asked_for_again(tmp_path):
    source = table(tmp_path, "x,k\n1,a\n2,b\n", label="k")
    for _ in range(2):
        assert source.inputs(["train/1", "train/0"]).frame["x"].tolist() == [2, 1]


def test_spaces_around_cells_are_no_part_of_them(tmp_path):
    source = table(tmp_path, "x , c , k\n1 , red , a \n 2, red ,b\n3,NA , a\n", label="k")
    assert source.listing().class_order == ("a", "b")
    frame = source.inputs(source.listing().keys).frame
    assert frame["x"].tolist() == [1, 2, 3]
    assert frame["c"].tolist()[:2] == ["red", "red"]
    assert frame["c"].isna().tolist() == [False, False, True]


def test_an_absent_table_is_missing(tmp_path):
    with pytest.raises(MissingError, match="gone"):
        TableFile(Table(train="gone.csv"), tmp_path).identity(content=False)


@pytest.mark.skipif("NCD_TEST_DATA" not in os.environ, reason="NCD_TEST_DATA names no folder of real data")
@pytest.mark.parametrize(
    ("name", "rows", "columns", "classes"), [("letter", 20000, 16, 26), ("penbased", 10992, 16, 10)]
)
def test_real_tables(name, rows, columns, classes):
    root = Path(os.environ["NCD_TEST_DATA"])
    source = TableFile(Table(train=f"tables/{name}.dat", label=-1), root)
    listing = source.listing()
    assert len(listing.keys) == rows
    assert len(listing.class_order) == classes
    assert source.inputs(listing.keys).frame.shape == (rows, columns)
