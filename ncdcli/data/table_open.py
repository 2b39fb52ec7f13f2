"""Opens text files of tables and labels: UTF-8, as they are or packed by gzip; anything else is told as what it is."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from pathlib import Path
from typing import IO, TextIO, cast

from ncdcli.errors import DataError, MissingError

ENCODING = "utf-8-sig"  # UTF-8, with or without a byte-order mark
BLOCK_BYTES = 1 << 20
GZIP = b"\x1f\x8b"
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# First bytes of files that are often taken for tables -> what they are, and the way out.
OTHER_FORMATS = {
    b"PK\x03\x04": ("a zip archive, as .xlsx and .ods files are", "save the sheet as CSV in UTF-8, or unpack it"),
    b"\xd0\xcf\x11\xe0": ("an old Excel file", "save the sheet as CSV in UTF-8"),
    b"PAR1": ("a Parquet file", "`pandas.read_parquet(path).to_csv('table.csv', index=False)` writes a table"),
    b"SQLite format 3": ("an SQLite data base", "`sqlite3 -header -csv FILE 'select * from TABLE' > table.csv`"),
    b"BZh": ("packed by bzip2", "`bunzip2 -k FILE`, or pack it by gzip"),
    b"\xfd7zXZ": ("packed by xz", "`unxz -k FILE`, or pack it by gzip"),
    b"\x28\xb5\x2f\xfd": ("packed by zstd", "`unzstd FILE`, or pack it by gzip"),
    b"\x93NUMPY": ("an .npy array", "`ncd init embeddings` reads it"),
    b"%PDF": ("a PDF file", "a table is a CSV, TSV or space-separated file"),
}  # fmt: skip


def is_packed(path: Path) -> bool:
    """Whether a file is packed by gzip, whatever its name."""
    with open(path, "rb") as file:
        return file.read(len(GZIP)) == GZIP


def open_text(path: Path) -> TextIO:
    """The file as text, line ends as they stand."""
    return io.TextIOWrapper(_open_bytes(path), encoding=ENCODING, newline="")


def check_text(path: Path) -> None:
    """Nothing, or the error for a file that is absent, of another format, cut off, not UTF-8, or holds U+0000.

    Reads it once. No recipe could name a class with U+0000, and readers of CSV stop at it.
    """
    if path.is_dir():
        raise DataError(f"`{path}` is a folder", hint="name the file of the table; `ncd init images` reads folders")
    if not path.is_file():
        raise MissingError(f"the table `{path}` is not there", hint="check the path in the recipe's `data` section")
    with open(path, "rb") as file:
        start = file.read(16)
    for magic, (what, hint) in OTHER_FORMATS.items():
        if start.startswith(magic):
            raise DataError(f"`{path}` is {what}", hint=hint.replace("FILE", path.name))
    try:
        _scan(path)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"`{path}` is cut off or damaged: {error}", hint="copy or download it again") from error


def not_utf8(path: Path) -> DataError:
    """The error for a file in another encoding, with the line and byte of its first character that is no UTF-8."""
    before, lines = 0, 1
    decoder = codecs.getincrementaldecoder("utf-8")()
    with _open_bytes(path) as file:
        while block := file.read(BLOCK_BYTES):
            pending = len(decoder.getstate()[0])
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                at = error.start - pending
                return _not_utf8(path, lines + block.count(b"\n", 0, max(at, 0)), before + at)
            before, lines = before + len(block), lines + block.count(b"\n")
    return _not_utf8(path, lines, before - len(decoder.getstate()[0]))


def _not_utf8(path: Path, line: int, byte: int) -> DataError:
    with _open_bytes(path) as file:
        wide = file.read(2) in UTF_16
    name, condition = ("utf-16", "") if wide else ("latin1", ", if it is Latin-1")
    source = f"gunzip -c {path.name} | iconv" if is_packed(path) else "iconv"
    operand = "" if is_packed(path) else f" {path.name}"
    plain = path.name.removesuffix(".gz")
    hint = f"`{source} -f {name} -t utf-8{operand} > utf8-{plain}`{condition}"
    return DataError(f"`{path}` is not text in UTF-8 (line {line}, byte {byte})", hint=hint)


def _open_bytes(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path, "rb")) if is_packed(path) else open(path, "rb")


def _scan(path: Path) -> None:
    before, lines = 0, 1
    decoder = codecs.getincrementaldecoder("utf-8")()
    with _open_bytes(path) as file:
        while True:
            block = file.read(BLOCK_BYTES)
            if not block.isascii() or decoder.getstate()[0]:
                try:
                    decoder.decode(block, final=not block)
                except UnicodeDecodeError as error:
                    raise not_utf8(path) from error
            elif not block:
                return
            at = block.find(b"\0")
            if at >= 0:
                line = lines + block.count(b"\n", 0, at)
                hint = "it is damaged, or no text; a table in UTF-16 is turned into UTF-8 by `iconv -f utf-16 -t utf-8`"
                raise DataError(f"`{path}` holds the character U+0000 (line {line}, byte {before + at})", hint=hint)
            if not block:
                return
            before, lines = before + len(block), lines + block.count(b"\n")
