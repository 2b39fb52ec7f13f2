"""What a stage is given, and nothing else: input paths, a folder to write in, a random stream, a device, progress."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from zlib import crc32

import numpy as np

from ncdcli.data.kinds import DataConfig
from ncdcli.run.manifest import Manifest


class Tick(Protocol):
    """Advances one progress bar."""

    def __call__(self, advance: int = 1, /, **values: float) -> None: ...


class Progress(Protocol):
    """Where a stage reports: a bar on a terminal, a line at each 10 % elsewhere, nothing in tests."""

    def track(self, title: str, total: int | None) -> AbstractContextManager[Tick]: ...

    def note(self, message: str) -> None: ...


class SilentProgress:
    """Progress that nobody sees; notes go on to `notes`, where that is given."""

    def __init__(self, notes: Callable[[str], None] | None = None) -> None:
        self._notes = notes

    def track(self, title: str, total: int | None) -> AbstractContextManager[Tick]:
        return nullcontext(_ignore)

    def note(self, message: str) -> None:
        if self._notes is not None:
            self._notes(message)


def _ignore(advance: int = 1, /, **values: float) -> None:
    pass


@dataclass(frozen=True)
class Resources:
    """Where and how fast: nothing here may change a number by more than the rounding of a device."""

    device: str = "auto"  # auto | cpu | cuda | cuda:0 | mps
    processes: int = 1  # data-parallel processes (`--devices N`)
    workers: int = 0  # loader processes that decode files
    download: bool = False
    deterministic: bool = False  # kernels that round alike in every repetition, on a GPU too


@dataclass(frozen=True)
class StageContext:
    """The world of one stage."""

    inputs: Mapping[str, Path]  # "split/samples.csv" -> its path; only what the stage declares
    output: Path  # folder to write in; kept between an interruption and its resumption
    stream: np.random.SeedSequence
    resources: Resources
    progress: Progress
    data: DataConfig | None = None  # where to read samples from; only for stages that read them
    manifests: Mapping[str, Manifest] = field(default_factory=dict)  # of earlier stages, where they are shown
    # True after Ctrl-C or SIGTERM. A stage that asks must ask often; others are stopped where they stand.
    stop_requested: Callable[[], bool] = field(default=lambda: False)

    def rng(self, *key: int) -> np.random.Generator:
        """A generator of this stage's stream; different keys give independent generators."""
        entropy, spawn_key = self.stream.entropy, (*self.stream.spawn_key, *key)
        return np.random.default_rng(np.random.SeedSequence(entropy, spawn_key=spawn_key))


def stage_stream(seed: int, stage: str) -> np.random.SeedSequence:
    """The random stream of a stage: independent of every other stage's."""
    return np.random.SeedSequence(seed, spawn_key=(crc32(stage.encode()),))
