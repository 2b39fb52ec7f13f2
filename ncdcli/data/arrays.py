"""`.npy` arrays of embeddings and label files, checked."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncdcli.data.table_open import ENCODING, not_utf8
from ncdcli.errors import DataError, MissingError, Problem
from ncdcli.words import counted

BLOCK_ROWS = 8192
SHOWN = 5
MAGIC = b"\x93NUMPY"
LABEL_NAMES = ("label", "labels", "class", "classes", "target", "truth", "y")


def open_embeddings(path: Path) -> NDArray[Any]:
    """(n, d) array of float16, float32 or float64, memory-mapped. Pickled content is never loaded."""
    array = _load(path)
    if array.ndim != 2:
        hint = "an array of n rows and d columns is needed: `x.reshape(len(x), -1)`"
        raise DataError(f"`{path}` has shape {array.shape}", hint=hint)
    if array.dtype not in (np.float16, np.float32, np.float64):
        raise DataError(f"`{path}` holds {array.dtype}", hint="save it as floats: `np.save(path, x.astype('float32'))`")
    if 0 in array.shape:
        raise DataError(f"`{path}` is empty: shape {array.shape}")
    return array


def check_finite(array: NDArray[Any], path: Path) -> tuple[str, ...]:
    """Notes on rows of zeros; DataError naming the first rows with NaN or infinity. Reads the array in blocks."""
    bad: list[int] = []
    zeros = bad_count = 0
    for start in range(0, len(array), BLOCK_ROWS):
        block = np.asarray(array[start : start + BLOCK_ROWS])
        rows = np.flatnonzero(~np.isfinite(block).all(axis=1)) + start
        bad_count += len(rows)
        bad += rows[: SHOWN - len(bad)].tolist()
        zeros += int((block == 0).all(axis=1).sum())
    if bad_count:
        shown = ", ".join(map(str, bad)) + (", …" if bad_count > SHOWN else "")
        hold, which = ("rows holds", "row") if bad_count == 1 else ("rows hold", "rows")
        message = f"{bad_count:,} of {len(array):,} {hold} NaN or infinity: {which} {shown}"
        problem = Problem(message, place=str(path))
        hint = "remove these rows, or compute them again: `rows = np.isfinite(x).all(axis=1)`"
        raise DataError("the embeddings cannot be used as they are", [problem], hint=hint)
    if zeros:
        return (f"{counted(zeros, 'row')} of `{path.name}` with zeros only, which have no direction",)
    return ()


def read_labels(path: Path, count: int, *, word: str = "label") -> tuple[list[str | None], list[str] | None]:
    """n class names, None for samples without one, and the names of the samples where the file has them.

    `.npy`: text or whole numbers; "" or a negative number is no label. CSV: one column of labels, or a column of
    names before it; with or without a header. DataError where the numbers of rows differ.
    """
    if path.suffix == ".npy":
        labels, keys = _labels_of_array(_load(path), path), None
    else:
        labels, keys = _labels_of_csv(path, count)
    if len(labels) != count:
        empty = "; leave it empty for samples of the pool" if word == "label" else ""
        hint = f"one {word} a sample, in the same order{empty}"
        raise DataError(f"`{path}` has {counted(len(labels), word)} for {counted(count, 'sample')}", hint=hint)
    return labels, keys


def _load(path: Path) -> NDArray[Any]:
    if not path.is_file():
        raise MissingError(f"`{path}` is not there", hint="check the path in the recipe's `data` section")
    with open(path, "rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise DataError(f"`{path}` is not an .npy array", hint="save one array by `np.save`")
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        if "Python objects" in str(error):
            hint = "save numbers or text: `np.save(path, np.array(values, dtype='float32'))`"
            raise DataError(f"`{path}` holds Python objects, which are never read from a file", hint=hint) from error
        raise DataError(f"`{path}` is cut off or damaged: {error}", hint="save it again by `np.save`") from error
    return array


def _labels_of_array(array: NDArray[Any], path: Path) -> list[str | None]:
    if array.ndim != 1:
        raise DataError(f"`{path}` has shape {array.shape}", hint="labels are an array with one axis")
    if array.dtype.kind in "fc":
        whole = np.isnan(array) | (array == np.floor(array))
        if array.dtype.kind == "c" or not whole.all():
            raise DataError(f"`{path}` holds {array.dtype} that are not whole numbers", hint="labels are names or ids")
        array = np.where(np.isnan(array), -1, array).astype(np.int64)
    if array.dtype.kind in "iu":
        return [str(label) if label >= 0 else None for label in array.tolist()]
    if array.dtype.kind == "U":
        return [label.strip() or None for label in array.tolist()]
    raise DataError(f"`{path}` holds {array.dtype}", hint="labels are text or whole numbers")


def _labels_of_csv(path: Path, count: int) -> tuple[list[str | None], list[str] | None]:
    rows = _csv_rows(path)
    width = max((len(row) for row in rows), default=0)
    uneven = [number for number, row in enumerate(rows, 1) if len(row) != width]
    if uneven:
        raise DataError(f"`{path}`, row {uneven[0]}: {counted(len(rows[uneven[0] - 1]), 'cell')}; others have {width}")
    if width > 2:
        hint = "one column of labels, or a column of names before it"
        raise DataError(f"`{path}` has {width} columns", hint=hint)
    has_header = len(rows) == count + 1 or (bool(rows) and rows[0][-1].strip().lower() in LABEL_NAMES)
    header, body = (rows[0], rows[1:]) if has_header else (None, rows)
    position = _label_position(header, width)
    labels = [row[position].strip() or None for row in body]
    keys = [row[1 - position].strip() for row in body] if width == 2 else None
    return labels, keys


def _csv_rows(path: Path) -> list[list[str]]:
    """All rows; an empty line is the empty label of a file with one column."""
    if not path.is_file():
        raise MissingError(f"`{path}` is not there", hint="check the path in the recipe's `data` section")
    try:
        with open(path, encoding=ENCODING, newline="") as file:
            return [row or [""] for row in csv.reader(file, skipinitialspace=True)]
    except UnicodeDecodeError as error:
        raise not_utf8(path) from error


def _label_position(header: Sequence[str] | None, width: int) -> int:
    """Which column holds the labels: the one called so, else the last."""
    names = [name.strip().lower() for name in header or ()]
    return next((number for number, name in enumerate(names) if name in LABEL_NAMES), width - 1)
