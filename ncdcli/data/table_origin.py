"""Where rows of a table come from: their lines, and their cells as they stand in the file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ncdcli.data.table_cells import read_texts
from ncdcli.data.table_numbers import PLAIN, Style
from ncdcli.data.table_text import Layout, row_lines


@dataclass(frozen=True)
class Origin:
    """The file of some rows, and how it is read."""

    path: Path
    layout: Layout
    missing: tuple[str, ...]
    style: Style = PLAIN

    def place(self, row: int) -> str:
        """`file:line` of a row, from 0."""
        return f"{self.path}:{row_lines(self.path, self.layout, [row])[row]}"

    def texts(self, name: str) -> NDArray[np.object_]:
        """(n,) cells of a column as text, NaN where a value is missing."""
        return read_texts(self.path, self.layout, name, self.missing)
