"""Files that are packed, cut off, of another encoding or no text at all."""

from __future__ import annotations

import gzip

import pytest

from ncdcli.data import table_open
from ncdcli.data.kinds import Table
from ncdcli.data.table_open import check_text, not_utf8, open_text
from ncdcli.data.tables import TableFile
from ncdcli.errors import DataError, MissingError

TEXT = "x,k\n1,a\n2,b\n3,\n"


def test_a_packed_table_reads_as_the_plain_one_whatever_its_name(tmp_path):
    (tmp_path / "plain.csv").write_text(TEXT)
    (tmp_path / "packed.csv").write_bytes(gzip.compress(TEXT.encode()))
    found = [TableFile(Table(train=name, label="k"), tmp_path) for name in ("plain.csv", "packed.csv")]
    listings = [source.listing() for source in found]
    assert listings[0].classes == listings[1].classes == ("a", "b", None)
    cells = [source.inputs(listings[0].keys).frame["x"].tolist() for source in found]
    assert cells[0] == cells[1] == [1, 2, 3]


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        (gzip.compress(TEXT.encode(), mtime=0)[:-10], "is cut off or damaged", "again"),
        (b"\x1f\x8b12345", "is cut off or damaged", "again"),
        (b"PK\x03\x04...", "is a zip archive", "CSV"),
        (b"PAR1...", "is a Parquet file", "read_parquet"),
        (b"SQLite format 3\0", "is an SQLite data base", "sqlite3"),
        (b"BZh91AY", "packed by bzip2", "bunzip2 -k t.csv"),
        (b"x,k\n1,\xe9\n", "not text in UTF-8 (line 2, byte 6)", "iconv -f latin1 -t utf-8 t.csv > utf8-t.csv"),
        (TEXT.encode("utf-16"), "not text in UTF-8 (line 1, byte 0)", "iconv -f utf-16"),
        (gzip.compress(b"x,k\n1,\xe9\n", mtime=0), "(line 2, byte 6)", "gunzip -c t.csv | iconv -f latin1 -t utf-8 >"),
        (b"x,k\n1,a\n2,\xc3", "(line 3, byte 10)", "latin1"),  # a character that the end of the file cuts
        (b"x,k\n1,a\0\n", "U+0000 (line 2, byte 7)", "damaged"),
    ],
)
def test_other_files_are_told_as_what_they_are(tmp_path, content, message, hint):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(DataError) as raised:
        check_text(path)
    assert message in str(raised.value)
    assert hint in raised.value.hint


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_the_place_of_a_fault_does_not_depend_on_the_blocks_that_are_read(tmp_path, monkeypatch, size):
    monkeypatch.setattr(table_open, "BLOCK_BYTES", size)
    path = tmp_path / "t.csv"
    path.write_bytes("ä,ö\n1,ü\n2,ß\n".encode())
    check_text(path)
    path.write_bytes("ä,ö\n1,ü\n".encode() + b"2,\xe9\n")
    with pytest.raises(DataError, match=r"line 3, byte 13"):
        check_text(path)
    assert "line 3, byte 13" in str(not_utf8(path))


def test_a_folder_and_an_absent_file(tmp_path):
    with pytest.raises(DataError, match="is a folder"):
        check_text(tmp_path)
    with pytest.raises(MissingError, match="is not there"):
        check_text(tmp_path / "gone.csv")


def test_a_byte_order_mark_is_no_text(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"\xef\xbb\xbfx\r\n1\r2\n")
    with open_text(tmp_path / "t.csv") as file:
        assert file.readlines() == ["x\r\n", "1\r", "2\n"]
