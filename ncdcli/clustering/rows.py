"""Embeddings made fit for distances by GEMM: float32, contiguous, finite, and near the origin where that matters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering import loops
from ncdcli.errors import DataError
from ncdcli.words import counted

Rows = NDArray[np.float32]

BLOCK = 1024  # rows a GEMM takes at once: measured best or equal to 65,536 for d = 16 … 1280, k = 10 … 200
_FAR = 100.0  # offset² / spread² above which float32 distances by |x|² − 2xc + |c|² lose more than two digits
_SAFE = (1e-9, 1e9)  # spreads whose squares stay far from float32 under- and overflow


def blocks(n: int, size: int = BLOCK) -> Iterator[slice]:
    """Slices that cover `n` rows, `size` at a time."""
    return (slice(start, min(start + size, n)) for start in range(0, n, size))


def require_finite(embeddings: NDArray[Any]) -> None:
    """Nothing, where every value of the (n, d) array is finite in float32; DataError with the row numbers otherwise."""
    if embeddings.ndim != 2:
        raise DataError(f"embeddings must have two dimensions (samples × features), not {embeddings.ndim}")
    bad: list[int] = []
    limit = float(np.finfo(np.float32).max)
    for part in blocks(len(embeddings), 8192):
        fits = np.isfinite(embeddings[part]).all(axis=1)
        if embeddings.dtype == np.float64:  # infinite once it is float32
            fits &= (np.abs(embeddings[part]) <= limit).all(axis=1)
        bad.extend((part.start + np.flatnonzero(~fits)).tolist())
    if bad:
        shown = ", ".join(map(str, bad[:10])) + (", …" if len(bad) > 10 else "")
        count = counted(len(bad), "sample has", "samples have")
        raise DataError(
            f"{count} an embedding that is not finite (NaN or infinite): row {shown} of {len(embeddings)}",
            hint="remove these rows from the data, or check the training (a lower learning rate) that produced them",
        )


def as_rows(embeddings: NDArray[Any]) -> Rows:
    """The (n, d) embeddings as contiguous float32, without a copy where they are that already.

    Raises DataError for values that are not finite, and for an array that is not two-dimensional.
    """
    require_finite(embeddings)
    return np.ascontiguousarray(embeddings, dtype=np.float32)


@dataclass(frozen=True)
class Frame:
    """Where distances are computed: `(x − shift) · scale`. The k-means partition is the same in every frame."""

    shift: NDArray[np.float64] | None = None  # (d,)
    scale: float = 1.0

    def enter(self, rows: NDArray[Any]) -> Rows:
        """Rows in the frame; the same array where the frame is the identity."""
        if self.shift is None and self.scale == 1.0:
            return rows
        out = np.empty(rows.shape, np.float32)
        shift = 0.0 if self.shift is None else self.shift
        for part in blocks(len(rows), 8192):
            out[part] = (rows[part].astype(np.float64) - shift) * self.scale
        return out

    def leave(self, centres: NDArray[np.float64]) -> NDArray[np.float64]:
        """Centres in the coordinates of the embeddings."""
        return centres / self.scale + (0.0 if self.shift is None else self.shift)


def choose_frame(rows: Rows) -> Frame:
    """The identity for ordinary embeddings; a shift or scale where float32 would lose distances to cancellation.

    Distances are computed as |x|² − 2xc + |c|². A table whose column is `1e6 ± 1` would lose them all: such data are
    centred first. Spreads outside 1e-9 … 1e9 are scaled to 1.
    """
    if not len(rows):
        return Frame()
    total, squares = moments(rows)
    mean = total / len(rows)
    offset = float(mean @ mean)
    spread = max(float(squares.sum()) / len(rows) - offset, 0.0)
    shift = mean if offset > _FAR * spread else None
    width = float(np.sqrt(spread if shift is not None else spread + offset))
    return Frame(shift, 1.0 if width == 0 or _SAFE[0] < width < _SAFE[1] else 1.0 / width)


def moments(rows: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(d,) sums of the columns, and of their squares."""
    out = np.zeros((2, rows.shape[1]))
    loops.moments(np.ascontiguousarray(rows, np.float32), out)
    return out[0], out[1]


def squared_norms(rows: NDArray[Any]) -> NDArray[np.float32]:
    """(n,) squared length of every row."""
    return np.einsum("ij,ij->i", rows, rows)


def unit_rows(rows: Rows) -> Rows:
    """Rows scaled to unit length; a row of zeros stays zero."""
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    return (rows / np.where(lengths > 0, lengths, 1.0)).astype(np.float32)
