"""Several k-means from seeded starts, and what is told about them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.lloyd import Partition, lloyd
from ncdcli.clustering.rows import Frame, Rows, choose_frame
from ncdcli.clustering.seeding import plus_plus, random_rows
from ncdcli.clustering.threads import threads_for


def fit(
    rows: Rows,
    k: int,
    *,
    restarts: int,
    iterations: int,
    rng: np.random.Generator,
    seeding: str = "kmeans++",
    spherical: bool = False,
    tick: Callable[[], None] | None = None,
) -> list[Partition]:
    """One k-means partition of `rows` (n, d) per restart, each from its own random stream.

    No default of a library decides here: all rows are used, restarts are ours, centres are only normalised where
    `spherical` says so (rows must be unit vectors then), and Lloyd runs until nothing changes or `iterations`.
    """
    frame = Frame() if spherical else choose_frame(rows)
    framed = frame.enter(rows)
    partitions = []
    rngs = rng.spawn(restarts)
    with threads_for(rows.size, k):
        drawn = random_rows(len(rows), k, rngs=rngs) if seeding == "random" else plus_plus(framed, k, rngs=rngs)
        for chosen in drawn:
            partition = lloyd(framed, framed[chosen], iterations=iterations, spherical=spherical)
            partitions.append(leave_frame(partition, frame))
            if tick is not None:
                tick()
    return partitions


def best_of(partitions: Sequence[Partition]) -> int:
    """Position of the partition with the lowest objective, the first of equal ones."""
    return int(np.argmin([partition.objective for partition in partitions]))


def leave_frame(partition: Partition, frame: Frame) -> Partition:
    """The partition in the coordinates of the embeddings."""
    return replace(partition, centres=frame.leave(partition.centres), objective=partition.objective / frame.scale**2)


def restart_statistics(partitions: Sequence[Partition], labels: NDArray[np.int64], k: int) -> dict[str, Any]:
    """What `clustering.json` tells about the restarts; `labels` are the clusters of the answer."""
    return {
        "rule": "lowest objective",
        "best_restart": best_of(partitions),
        "objectives": [partition.objective for partition in partitions],
        "iterations": [partition.iterations for partition in partitions],
        "converged": [partition.converged for partition in partitions],
        "repaired_clusters": sum(partition.repaired for partition in partitions),
        "empty_clusters": int((np.bincount(labels, minlength=k) == 0).sum()),
    }
