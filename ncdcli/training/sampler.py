"""Which samples an epoch sees, in which order, and the random numbers of their views: fixed before it starts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncdcli.training.streams import Key, generator

PLANNED_SAMPLES = 20_000  # of how many the order is drawn at once, where an epoch has fewer
PARAMETERS = 16  # uniforms per view; see `ncdcli.training.augment.Column`


@dataclass(frozen=True)
class EpochPlan:
    """All draws of one epoch. Any process can compute it, so that each takes its part of every batch."""

    stream: np.random.SeedSequence
    epoch: int
    order: NDArray[np.int64]  # (m,) rows of the source
    positions: NDArray[np.int64]  # (m,) of these among the training rows
    views: int
    batch_size: int

    @cached_property
    def uniforms(self) -> NDArray[np.float32]:
        """(m, views, PARAMETERS) in [0, 1): drawn when they are first asked for, since vectors need none."""
        shape = (len(self.order), self.views, PARAMETERS)
        return generator(self.stream, Key.VIEWS, self.epoch).random(shape, dtype=np.float32)

    @property
    def n_batches(self) -> int:
        """How many batches; see `n_batches`."""
        return n_batches(len(self.order), self.batch_size)

    def part(self, batch: int, *, rank: int = 0, processes: int = 1) -> slice:
        """Positions in `order` that process `rank` takes of a batch; the parts join to the batch, in order."""
        start = batch * self.batch_size
        size = min(self.batch_size, len(self.order) - start)
        return slice(start + size * rank // processes, start + size * (rank + 1) // processes)


def n_batches(samples: int, batch_size: int) -> int:
    """Batches of an epoch. A last batch of one sample is left out: batch norm and contrasts need two."""
    full, rest = divmod(samples, batch_size)
    return full + (rest > 1)


def plan_epoch(
    stream: np.random.SeedSequence,
    *,
    epoch: int,
    rows: NDArray[np.int64],
    labels: NDArray[np.int64],
    sampler: str,
    batch_size: int,
    views: int,
) -> EpochPlan:
    """The plan of an epoch over `rows`, whose `labels` are -1 where there is none.

    `shuffle`: each row once. `same_order`: the same, in the order of the first epoch. `balanced` (GCD): |L| + |U| draws
    with replacement, with weight 1 for a labelled and |L| / |U| for an unlabelled row, so that about half of each batch
    is labelled.
    """
    order_rng = generator(stream, Key.ORDER, 0 if sampler == "same_order" else epoch)
    labelled = labels >= 0
    if sampler == "balanced" and labelled.any() and not labelled.all():
        weights = np.where(labelled, 0.5 / labelled.sum(), 0.5 / (~labelled).sum())
        positions = order_rng.choice(len(rows), size=len(rows), p=weights)
    else:
        positions = order_rng.permutation(len(rows))
    return EpochPlan(stream, epoch, rows[positions], positions, views, batch_size)


class Plans:
    """The plans of a training's epochs. Those of short ones are made for several at once: each takes half as long."""

    def __init__(self, stream: np.random.SeedSequence, *, epochs: int, rows: NDArray[np.int64], **how: Any) -> None:
        self.epochs, self.ahead = epochs, max(1, PLANNED_SAMPLES // len(rows))
        self._make = partial(plan_epoch, stream, rows=rows, **how)
        self._next: list[EpochPlan] = []

    def of(self, epoch: int) -> EpochPlan:
        """The plan of an epoch, as `plan_epoch` makes it."""
        if not self._next or self._next[0].epoch != epoch:
            last = min(epoch + self.ahead, self.epochs)
            self._next = [self._make(epoch=number) for number in range(epoch, last)]
        return self._next.pop(0)
