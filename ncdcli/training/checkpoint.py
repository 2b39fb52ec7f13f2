"""The state of a training in one file, replaced in one step, so that a kill at any moment leaves a whole one."""

from __future__ import annotations

import json
import os
import pickle
import time
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ncdcli.errors import NcdError

NAME = "checkpoint.pt"
LOG_SECONDS = 1.0  # at least so long between two writes of a log


@dataclass
class State:
    """Where a training stands: what a checkpoint holds besides the weights."""

    epoch: int = 0  # epochs finished
    batch: int = 0  # batches finished in the epoch under way
    sums: dict[str, Tensor] = field(default_factory=dict)  # losses of the epoch under way, times samples
    records: list[dict[str, Any]] = field(default_factory=list)  # one per finished epoch
    best: dict[str, Any] = field(default_factory=dict)  # epoch, accuracy, state that is kept; not with `last`


def write_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write `checkpoint.pt` in `folder`: to a temporary file, synced, then renamed."""
    temporary = folder / (NAME + ".tmp")
    with open(temporary, "wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, folder / NAME)


def read_checkpoint(folder: Path) -> dict[str, Any] | None:
    """The state that `write_checkpoint` wrote, on the CPU; None where there is none."""
    path = folder / NAME
    if not path.exists():
        return None
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, LookupError) as error:
        raise NcdError(f"`{path}` cannot be read: {error}", hint="add `--restart` to train from the start") from error


def write_lines(path: Path, records: list[dict[str, Any]]) -> None:
    """Replace a JSON-lines file by `records`, in one step."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    os.replace(temporary, path)


class Log:
    """A JSON-lines file that grows by whole lines, now and then: opening it takes as long as a short epoch's step."""

    def __init__(self, path: Path, *, seconds: float = LOG_SECONDS) -> None:
        self.path, self.seconds = path, seconds
        self.waiting: list[dict[str, Any]] = []
        self.written_at = -inf

    def add(self, record: dict[str, Any]) -> None:
        """Add one record; it is in the file when `seconds` have passed and another one comes, or at `flush`."""
        self.waiting.append(record)
        if time.monotonic() - self.written_at >= self.seconds:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if self.waiting:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write("".join(json.dumps(record) + "\n" for record in self.waiting))
            self.waiting, self.written_at = [], time.monotonic()
