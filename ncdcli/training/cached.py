"""Views whose way through frozen blocks is kept on disk: a source that gives what enters the first trained block."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ncdcli.jsonfile import json_text
from ncdcli.models.backbone import ImagePreparation, InputSpec
from ncdcli.training.batches import Draw

# Names by which the runner knows what serves to resume: kept after a kill, and removed before a stage is published.
RANDOM, CENTRE, RECORD = "checkpoint-views.bin", "checkpoint-centres.bin", "checkpoint-views.json"


@dataclass(frozen=True)
class Store:
    """Where views of samples are kept, and in which form. Picklable."""

    folder: Path
    shape: tuple[int, ...]  # of what is kept of a view
    dtype: str  # of its numbers: float32 | float16
    views: int  # random ones of each sample
    rows: NDArray[np.int64]  # samples with random views, ascending
    centre_rows: NDArray[np.int64]  # samples with the view that an inference sees, ascending

    @property
    def view_bytes(self) -> int:
        """Bytes of one view."""
        return prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def size_bytes(self) -> int:
        """Bytes of all."""
        return sum(self.sizes.values())

    @property
    def sizes(self) -> dict[Path, int]:
        """File -> bytes in it when it is whole."""
        of_random = len(self.rows) * self.views * self.view_bytes
        centres = {self.folder / CENTRE: len(self.centre_rows) * self.view_bytes} if len(self.centre_rows) else {}
        return {self.folder / RANDOM: of_random, **centres}

    def describe(self) -> dict[str, Any]:
        """What must be the same for kept views to be of use; all else lies in the stage's fingerprint."""
        counts = {"views": self.views, "samples": len(self.rows), "centres": len(self.centre_rows)}
        return {"shape": list(self.shape), "dtype": self.dtype, **counts}

    def is_whole(self) -> bool:
        """Whether all views are there."""
        sizes = all(path.exists() and path.stat().st_size == size for path, size in self.sizes.items())
        return sizes and read_record(self.folder / RECORD) == self.describe()

    def random(self) -> NDArray[Any]:
        """(n, views, …) the random views, memory-mapped."""
        shape = (len(self.rows), self.views, *self.shape)
        return np.memmap(self.folder / RANDOM, self.dtype, "r", shape=shape)

    def centres(self) -> NDArray[Any]:
        """(m, …) the views that an inference sees, memory-mapped."""
        return np.memmap(self.folder / CENTRE, self.dtype, "r", shape=(len(self.centre_rows), *self.shape))


class CachedViews:
    """A source of kept views. The numbers by which other sources crop decide which of them are taken."""

    def __init__(self, store: Store, n: int) -> None:
        self.store, self.n = store, n
        self.spec = InputSpec("activations", store.shape)

    def __len__(self) -> int:
        return self.n

    def read(
        self, draws: Sequence[Draw], preparation: ImagePreparation | None, device: torch.device
    ) -> Iterator[list[Tensor]]:
        """For each draw, per view (b, …) float32. A batch is read from the disk while the one before it is used."""
        if not draws:
            return
        random = any(draw.crops is not None for draw in draws)
        kept = self.store.random() if random else self.store.centres()
        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(self._take, kept, draws[0])
            for following in [*draws[1:], None]:
                views = ahead.result()
                if following is not None:
                    ahead = reader.submit(self._take, kept, following)
                yield [torch.from_numpy(view).to(device).float() for view in views]

    def _take(self, kept: NDArray[Any], draw: Draw) -> list[NDArray[Any]]:
        if draw.crops is None:
            return [kept[np.searchsorted(self.store.centre_rows, draw.rows)]]
        places = np.searchsorted(self.store.rows, draw.rows)
        chosen = choose_views(draw.crops[:, :, 0], self.store.views)
        return [kept[places, chosen[:, at]] for at in range(chosen.shape[1])]


def choose_views(uniforms: NDArray[np.float32], kept: int) -> NDArray[np.int64]:
    """(b, views) numbers below `kept`, different ones in each row, for (b, views) uniforms in [0, 1)."""
    chosen = np.empty(uniforms.shape, np.int64)
    for at in range(uniforms.shape[1]):
        left = kept - at
        number = np.minimum((uniforms[:, at].astype(np.float64) * left).astype(np.int64), left - 1)
        for taken in np.sort(chosen[:, :at], axis=1).T:  # count over those that are taken
            number += number >= taken
        chosen[:, at] = number
    return chosen


def read_record(path: Path) -> Any:
    """The content of a JSON file; None where it is not there, or was being written when its process was killed."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def write_record(path: Path, content: Any) -> None:
    """Write a JSON file in one step."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json_text(content), "utf-8")
    os.replace(temporary, path)
