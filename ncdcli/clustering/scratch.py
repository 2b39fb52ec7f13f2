"""Arrays that are used again: the system gives and takes large ones page by page, for longer than they are filled."""

from __future__ import annotations

import threading
from math import prod
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T", bound=np.generic)


class Scratch(threading.local):
    """Room for what a step computes, which the next step overwrites; each thread has its own."""

    def __init__(self) -> None:
        self._kept: dict[str, NDArray[np.uint8]] = {}

    def __call__(self, name: str, shape: tuple[int, ...], dtype: type[T]) -> NDArray[T]:
        """An array of this shape and type, not cleared, in the room of the last one of that `name`."""
        size = prod(shape) * np.dtype(dtype).itemsize
        kept = self._kept.get(name)
        if kept is None or kept.nbytes < size:
            kept = self._kept[name] = np.empty(size, np.uint8)
        return kept[:size].view(dtype).reshape(shape)
