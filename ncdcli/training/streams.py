"""Random numbers of a training: every number is a function of the recipe's seed and a key, never of what ran before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import numpy as np
import torch


class Key(IntEnum):
    """What a stream of random numbers is for."""

    WEIGHTS = 0  # initial weights of backbone and head
    ORDER = 1  # (epoch): which samples, in which order
    VIEWS = 2  # (epoch): parameters of the random views
    ELEMENTS = 3  # (epoch, batch): noise and masks, element by element
    DROPOUT = 4  # (epoch, batch, rank), and the phase after the first
    REFRESH = 5  # (epoch): what an objective renews when an epoch begins
    START = 6  # what a joint method starts from, beside its initial weights
    MADE_VIEWS = 7  # (epoch, batch): views that an objective makes itself
    CACHED_VIEWS = 8  # parameters, noise and masks of the views that are drawn once for all epochs
    ORACLE = 9  # starts of the k-means that `selection: oracle` scores, the same in each epoch


def generator(stream: np.random.SeedSequence, *key: int) -> np.random.Generator:
    """A generator of a stage's stream; different keys give independent ones (as `StageContext.rng`)."""
    return np.random.default_rng(np.random.SeedSequence(stream.entropy, spawn_key=(*stream.spawn_key, *key)))


@contextmanager
def torch_seeded(stream: np.random.SeedSequence, *key: int, device: torch.device | None = None) -> Iterator[None]:
    """Within: torch draws (initialisation, dropout) from the keyed stream. The global generators are put back."""
    devices = [device] if device is not None and device.type == "cuda" else []
    seed = int(generator(stream, *key).integers(2**63))
    with torch.random.fork_rng(devices=devices):
        # `torch.manual_seed` asks every kind of device and notes the call stack for each: a fifth of a small step.
        torch.default_generator.manual_seed(seed)
        if devices:
            torch.cuda.manual_seed_all(seed)
        yield
