"""Several k-means from seeded starts, and how they become one answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.consensus import consensus
from ncdcli.clustering.descent import Partition, Pinned
from ncdcli.clustering.kinds import RestartsRule
from ncdcli.clustering.lloyd import lloyd, lloyds
from ncdcli.clustering.nearest import Nearest
from ncdcli.clustering.rows import Frame, Rows, choose_frame, unit_rows
from ncdcli.clustering.seeding import Seeding, draw_rows, plus_plus
from ncdcli.clustering.sums import group_sums
from ncdcli.clustering.threads import threads_for
from ncdcli.errors import RecipeError
from ncdcli.metrics.contingency import count_table
from ncdcli.metrics.scores import adjusted_rand

_EQUAL = 1e-9  # part of an objective that is rounding: the same partition, with its clusters in another order


def fit(
    rows: Rows,
    k: int,
    *,
    restarts: int,
    iterations: int,
    rng: np.random.Generator,
    seeding: Seeding = "kmeans++",
    seeding_rows: int | None = None,
    spherical: bool = False,
    tick: Callable[[], None] | None = None,
) -> list[Partition]:
    """One k-means partition of `rows` (n, d) per restart, each from its own random stream.

    No default of a library decides here: all rows are used, restarts are ours, centres are only normalised where
    `spherical` says so (rows must be unit vectors then), and Lloyd runs until nothing changes or `iterations`. Starts
    are drawn from a sample of `seeding_rows` rows where there are more.
    """
    rngs = rng.spawn(restarts)
    with threads_for(rows.size, k):
        frame = Frame() if spherical else choose_frame(rows)
        framed = frame.enter(rows)
        among = seeding_sample(framed, seeding_rows, k, rng)
        drawn = draw_rows(among, k, seeding, rngs=rngs)
        partitions = lloyds(framed, among[drawn], iterations=iterations, spherical=spherical, tick=tick)
    return [leave_frame(partition, frame) for partition in partitions]


class NestedFits:
    """k-means partitions of the same rows for one k after another: the starts of a smaller k are some of a greater's.

    Greedy k-means++ draws one centre after the other, so that each restart draws `most` of them once, and k of them
    begin the k-means of that k. Partitions of two candidates are then alike but for what the candidates make of them.
    """

    def __init__(self, rows: Rows, most: int, restarts: int, iterations: int, rng: np.random.Generator) -> None:
        self.most, self.restarts, self.iterations = most, restarts, iterations
        with threads_for(rows.size, most):
            self._frame = choose_frame(rows)
            self._rows = self._frame.enter(rows)
            self._nearest = Nearest(self._rows)
            self._drawn = plus_plus(self._rows, most, rngs=rng.spawn(restarts), greedy=True)  # (restarts, most)

    def __call__(self, k: int, which: slice = slice(None)) -> list[Partition]:
        """One partition into k ≤ `most` clusters per restart, or of `which` of them."""
        with threads_for(self._rows.size, k):
            starts = self._rows[self._drawn[which, :k]]
            runs = lloyds(self._rows, starts, iterations=self.iterations, nearest=self._nearest)
        return [leave_frame(run, self._frame) for run in runs]


def descend(rows: Rows, centres: NDArray[np.float64], *, iterations: int, spherical: bool = False) -> Partition:
    """Where Lloyd's iteration ends from these centres (k, d)."""
    with threads_for(rows.size, len(centres)):
        frame = Frame() if spherical else choose_frame(rows)
        start = unit_rows(centres.astype(np.float32)) if spherical else frame.enter(centres)
        return leave_frame(lloyd(frame.enter(rows), start, iterations=iterations, spherical=spherical), frame)


def seeding_sample(rows: Rows, size: int | None, k: int, rng: np.random.Generator) -> Rows:
    """Rows to draw starts from: all, or a random sample of `size` (at least k) of them."""
    if size is None or len(rows) <= max(size, k):
        return rows
    return rows[np.sort(rng.choice(len(rows), max(size, k), replace=False))]


def by_objective(partitions: Sequence[Partition]) -> NDArray[np.int64]:
    """Positions of the partitions from the lowest objective up; equal ones, but for rounding, as they come."""
    objectives = np.array([partition.objective for partition in partitions])
    order = np.argsort(objectives, kind="stable")
    ascending = objectives[order]
    rank = np.cumsum(np.diff(ascending, prepend=ascending[:1]) > _EQUAL * np.abs(ascending))
    return order[np.lexsort((order, rank))]


def best_of(partitions: Sequence[Partition]) -> int:
    """Position of the partition with the lowest objective, the first of equal ones."""
    return 0 if len(partitions) == 1 else int(by_objective(partitions)[0])


def leave_frame(partition: Partition, frame: Frame) -> Partition:
    """The partition in the coordinates of the embeddings."""
    return replace(partition, centres=frame.leave(partition.centres), objective=partition.objective / frame.scale**2)


@dataclass(frozen=True)
class Settled:
    """One answer from several restarts."""

    partition: Partition
    statistics: dict[str, Any]  # of the rule: goes to `clustering.json`


def settle(
    partitions: Sequence[Partition],
    rule: RestartsRule,
    rows: Rows,
    *,
    again: Callable[[NDArray[np.float64]], Partition],
    pinned: Pinned | None = None,
    held_out: Callable[[], Sequence[float]] | None = None,
) -> Settled:
    """One partition of `rows` from those of several restarts, without any label of a novel class.

    `lowest_objective`: the one with the lowest objective. `medoid`: the one with the greatest mean adjusted Rand index
    to the others. `held_out`: the greatest sum of two z-scores, of `held_out()` (accuracies on labelled rows that the
    clustering did not use) and of the negated objective. `consensus`: what they have in common (see `consensus`),
    whose centres, the means of its clusters, Lloyd's iteration `again` brings to rest.

    The lowest objective is not the best partition. Over ten seeds of eight real sets (`scripts/rules.py`) consensus is
    one to four points of accuracy above it for k-means, semi-supervised k-means, `gmm` and `ncd_spectral`, and half a
    point for `spectral`: there it is the default. NCD k-means, whose starts are drawn away from known classes and whose
    objective is a sum of plain distances, gains nothing by it, so that the published lowest objective stays its
    default, and that of `semi_gmm`, which starts from it.
    """
    objectives = np.array([partition.objective for partition in partitions])
    if len(partitions) == 1 or not len(rows) or rule == "lowest_objective":
        chosen = best_of(partitions)
    elif rule == "medoid":
        chosen = int(_agreements(partitions).argmax())
    elif rule == "held_out":
        if held_out is None:
            raise RecipeError(
                "`restarts_rule: held_out` chooses by known classes, and none are in what is clustered",
                hint="use `restarts_rule: consensus`",
            )
        scores = np.asarray(held_out(), np.float64)
        chosen = int((_standard(scores) - _standard(objectives)).argmax())
    else:
        return _consensus(partitions, rows, again, pinned)
    return Settled(partitions[chosen], {"rule": rule, "best_restart": chosen})


def _consensus(
    partitions: Sequence[Partition],
    rows: Rows,
    again: Callable[[NDArray[np.float64]], Partition],
    pinned: Pinned | None,
) -> Settled:
    best = partitions[best_of(partitions)]
    k = len(best.centres)
    votes = np.stack([partitions[position].labels for position in by_objective(partitions)])
    labels, disagreement = consensus(votes, k, pinned=None if pinned is None else pinned.counts)
    sums, counts = group_sums(rows, labels, k), np.bincount(labels, minlength=k)
    if pinned is not None:
        sums, counts = sums + pinned.sums, counts + pinned.counts
    centres = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], best.centres)
    return Settled(again(centres), {"rule": "consensus", "best_restart": None, "disagreement": disagreement})


def _agreements(partitions: Sequence[Partition]) -> NDArray[np.float64]:
    """Mean adjusted Rand index of each partition to the others."""
    k = len(partitions[0].centres)
    scores = np.zeros((len(partitions), len(partitions)))
    for a, one in enumerate(partitions):
        for b, other in enumerate(partitions[:a]):
            scores[a, b] = scores[b, a] = adjusted_rand(count_table(one.labels, other.labels, shape=(k, k))) or 0.0
    return scores.sum(axis=1) / (len(partitions) - 1)


def _standard(values: NDArray[np.float64]) -> NDArray[np.float64]:
    spread = values.std()
    return (values - values.mean()) / spread if spread > 0 else np.zeros_like(values)


def restart_statistics(partitions: Sequence[Partition], labels: NDArray[np.int64], k: int) -> dict[str, Any]:
    """What `clustering.json` tells about the restarts; `labels` are the clusters of the answer."""
    return {
        "rule": "lowest_objective",
        "best_restart": best_of(partitions),
        "objectives": [partition.objective for partition in partitions],
        "iterations": [partition.iterations for partition in partitions],
        "converged": [partition.converged for partition in partitions],
        "repaired_clusters": sum(partition.repaired for partition in partitions),
        "empty_clusters": int((np.bincount(labels, minlength=k) == 0).sum()),
    }
