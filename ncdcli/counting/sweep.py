"""k-means of the pool for every candidate number of classes: what every criterion without labels looks at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.descent import Partition
from ncdcli.clustering.restarts import best_of, fit
from ncdcli.clustering.rows import Rows, as_rows
from ncdcli.counting.base import Cost, CountProblem
from ncdcli.counting.candidates import candidate_range
from ncdcli.pipeline.context import Progress

ITERATIONS = 100

T = TypeVar("T")


class SweepConfig(Protocol):
    """The fields that a recipe section needs for a sweep."""

    @property
    def low(self) -> int | None: ...

    @property
    def high(self) -> int | None: ...

    @property
    def restarts(self) -> int: ...


@dataclass(frozen=True)
class PoolSweep:
    """The pool, and the numbers of classes that it is divided into one after another.

    In the NCD setting the pool holds novel classes only: candidate k means k − n_known clusters of it.
    """

    rows: Rows  # (n, d) of the pool
    others: int  # classes that the pool does not hold: the known ones in the NCD setting
    low: int  # candidates, known and novel classes together
    high: int
    restarts: int
    key: int  # of the random streams
    cost: Cost = field(default_factory=Cost)

    def run(self, look: Callable[[int, Partition], T], progress: Progress) -> dict[int, T]:
        """What `look(k, partition)` makes of the best partition of every candidate k; the partition is then dropped.

        Best is the one with the lowest inertia. Every k has a random stream of its own, `[key, k]`.
        """
        out = {}
        with progress.track("estimate k", self.high - self.low + 1) as tick:
            for k in range(self.low, self.high + 1):
                rng = np.random.default_rng([self.key, k])
                runs = fit(
                    self.rows, k - self.others,
                    restarts=self.restarts, iterations=ITERATIONS, seeding="greedy", rng=rng,
                )  # fmt: skip
                self.cost.add_kmeans(len(self.rows), k - self.others, [run.iterations for run in runs])
                out[k] = look(k, runs[best_of(runs)])
                tick(1, k=k)
        return out


def sweep_of(
    problem: CountProblem,
    config: SweepConfig,
    rng: np.random.Generator,
    *,
    max_samples: int | None = None,
    least_novel: int = 2,
) -> PoolSweep:
    """The sweep of `config.low` … `config.high` over the pool, or over a random sample of `max_samples` of its rows.

    Default range: known classes … 3 × known + 10; NCD: `least_novel` … max(29, 2 × known + 10) novel ones beside the
    known ones. There are always fewer clusters than rows.

    Raises DataError with too few unlabelled rows, RecipeError for bounds that make no sense.
    """
    pool = np.flatnonzero(problem.labels < 0)
    known = problem.n_known
    others = known if problem.novel_only else 0
    rows_used = len(pool) if max_samples is None else min(len(pool), max_samples)
    low, high = candidate_range(
        config.low,
        config.high,
        default=(known + least_novel, known + max(29, 2 * known + 10)) if others else (max(known, 2), 3 * known + 10),
        most=others + rows_used - 1,
        n_known=known,
        novel_only=problem.novel_only,
    )
    key = int(rng.integers(2**63))
    rows = as_rows(problem.embeddings[pool[sample_of(len(pool), max_samples, key)]])
    return PoolSweep(rows, others, low, high, config.restarts, key)


def sample_of(n: int, size: int | None, key: int) -> NDArray[np.int64]:
    """Ascending numbers of `size` of n rows, drawn at random; of all of them where there are no more."""
    if size is None or n <= size:
        return np.arange(n)
    return np.sort(np.random.default_rng([key, 0]).choice(n, size, replace=False))
