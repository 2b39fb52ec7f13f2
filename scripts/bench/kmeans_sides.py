"""The sides of benches of k-means, ours and others', and how they race."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median
from typing import NamedTuple

import faiss
import numpy as np
from sklearn.cluster import KMeans as SklearnKMeans

from ncdcli.clustering.lloyd import lloyd
from ncdcli.clustering.restarts import best_of, fit
from ncdcli.clustering.seeding import Seeding
from ncdcli.clustering.threads import threads_for

SHORT = 0.05  # seconds


def make_blobs(n: int, d: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping blobs of unit vectors in at most 64 directions, and their classes."""
    rng = np.random.default_rng(0)
    width = min(d, 64)
    classes = rng.integers(k, size=n)
    rows = np.zeros((n, d), np.float32)
    rows[:, :width] = rng.normal(size=(k, width))[classes] + 1.2 * rng.normal(size=(n, width))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), classes


def seconds(*calls: Callable[[], object], repeats: int = 3) -> list[float]:
    """The median time of each call; calls take turns, so that a busy moment of the machine meets all of them.

    Short ones are made twice, and the second counts: threads of the side before go on looking for work for
    milliseconds, on our processors.
    """
    times: list[list[float]] = [[] for _ in calls]
    for repeat in range(repeats):
        for call, taken in zip(calls, times, strict=True):
            if repeat and taken[-1] < SHORT:
                call()
            start = time.perf_counter()
            call()
            taken.append(time.perf_counter() - start)
    return [median(taken) for taken in times]


class Side(NamedTuple):
    """What a side of a race took and reached."""

    seconds: float
    objective: float
    iterations: float  # all restarts together; nan where they are not told


def race(sides: Sequence[Callable[[int], tuple[float, float]]], repeats: int) -> list[Side]:
    """Medians of each side, a function from a seed to objective and iterations; calls take turns as in `seconds`."""
    taken: list[list[Side]] = [[] for _ in sides]
    for seed in range(repeats):
        for side, found in zip(sides, taken, strict=True):
            if seed and found[-1].seconds < SHORT:
                side(seed)
            start = time.perf_counter()
            outcome = side(seed)
            found.append(Side(time.perf_counter() - start, *outcome))
    return [Side(*(median(values) for values in zip(*found, strict=True))) for found in taken]


def gemm_rate() -> float:
    """GFLOP/s of a large float32 matrix product with the threads that BLAS is given."""
    a = np.ones((2_048, 2_048), np.float32)
    return 2 * 2_048**3 / min(seconds(partial(np.matmul, a, a), repeats=5)) / 1e9


def faiss_kmeans(
    rows: np.ndarray, k: int, iterations: int, *, redo: int = 1, start: np.ndarray | None = None, seed: int = 1234
) -> tuple[float, float]:
    """faiss.Kmeans with its surprising defaults turned off; its lowest objective, and iterations of a single start."""
    engine = faiss.Kmeans(
        rows.shape[1], k, niter=iterations, nredo=redo, spherical=False, verbose=False, seed=seed,
        min_points_per_centroid=1, max_points_per_centroid=len(rows),
    )  # fmt: skip
    engine.train(rows, init_centroids=start)
    return float(engine.obj[-1]), float(len(engine.obj)) if redo == 1 else np.nan


def sklearn_kmeans(rows: np.ndarray, k: int, iterations: int, **options: object) -> tuple[float, float]:
    """scikit-learn's KMeans until nothing changes or `iterations`; its inertia, and iterations of a single start."""
    found = SklearnKMeans(k, max_iter=iterations, tol=0, **options).fit(rows)
    return float(found.inertia_), float(found.n_iter_) if options["n_init"] == 1 else np.nan


def lloyd_from(rows: np.ndarray, start: np.ndarray, iterations: int) -> None:
    """Our Lloyd from a given start."""
    with threads_for(rows.size, len(start)):
        lloyd(rows, start, iterations=iterations)


def whole_fit(rows: np.ndarray, k: int, restarts: int, seeding: Seeding, seed: int) -> tuple[float, float]:
    """Our whole fit, at most 100 iterations; its lowest objective, and iterations of all restarts."""
    runs = fit(rows, k, restarts=restarts, iterations=100, rng=np.random.default_rng(seed), seeding=seeding)
    return runs[best_of(runs)].objective, sum(run.iterations for run in runs)
