"""Seconds of one k-means restart: ours, faiss.Kmeans and scikit-learn; and of semi-supervised k-means.

    python scripts/bench/clustering.py [--quick]

All three get the same rows, k and random starts without k-means++ (faiss has none), run in the same process one after
another, for as many iterations as ours needs. faiss is told to use every row; the table gives its time per iteration
times our number of iterations.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import faiss
import numpy as np
from sklearn.cluster import KMeans as SklearnKMeans

from ncdcli.clustering import semi_kmeans
from ncdcli.clustering.base import Problem
from ncdcli.clustering.kinds import SemiKMeans
from ncdcli.clustering.lloyd import lloyd
from ncdcli.clustering.seeding import plus_plus
from ncdcli.pipeline.context import SilentProgress

SHAPES = ((1_797, 64, 10), (10_000, 1_280, 10), (6_000, 768, 200), (20_000, 16, 26), (50_000, 768, 100))
ITERATIONS = 20


def make_blobs(n: int, d: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping blobs of unit vectors in at most 64 directions, and their classes."""
    rng = np.random.default_rng(0)
    width = min(d, 64)
    classes = rng.integers(k, size=n)
    rows = np.zeros((n, d), np.float32)
    rows[:, :width] = rng.normal(size=(k, width))[classes] + 1.2 * rng.normal(size=(n, width))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), classes


def seconds(call: Callable[[], object], repeats: int = 3) -> float:
    """The least of a few timings."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def faiss_kmeans(rows: np.ndarray, start: np.ndarray, iterations: int) -> None:
    """faiss.Kmeans with its surprising defaults turned off."""
    engine = faiss.Kmeans(
        rows.shape[1], len(start), niter=iterations, nredo=1, spherical=False, verbose=False,
        min_points_per_centroid=1, max_points_per_centroid=len(rows),
    )  # fmt: skip
    engine.train(rows, init_centroids=start)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the three smallest shapes")
    shapes = SHAPES[:3] if parser.parse_args().quick else SHAPES
    print(f"{'n':>7} {'d':>5} {'k':>4} | ours s  faiss s  sklearn s | k-means++ s | matched s  gcd s (5 restarts)")
    for n, d, k in shapes:
        rows, classes = make_blobs(n, d, k)
        start = rows[np.random.default_rng(1).choice(n, k, replace=False)]
        iterations = lloyd(rows, start, iterations=ITERATIONS).iterations
        ours = seconds(lambda: lloyd(rows, start, iterations=ITERATIONS))  # noqa: B023
        theirs = seconds(lambda: faiss_kmeans(rows, start, iterations))  # noqa: B023
        sklearn = SklearnKMeans(k, init=start, n_init=1, max_iter=iterations, tol=0)
        reference = seconds(lambda: sklearn.fit(rows), 1)  # noqa: B023
        seeding = seconds(lambda: plus_plus(rows, k, rngs=np.random.default_rng(0).spawn(5)), 1)  # noqa: B023
        semi = []
        for init in ("matched", "gcd"):
            labels = np.where((classes < k // 2) & (np.arange(n) % 2 == 0), classes, -1)
            problem, config = Problem(rows, labels, k // 2, k), SemiKMeans(init=init, restarts=5)
            rng = np.random.default_rng(0)
            semi.append(seconds(partial(semi_kmeans.cluster, problem, config, rng, SilentProgress()), 1))
        plain = f"{ours:6.3f} {theirs:8.3f} {reference:10.3f} | {seeding:11.3f}"
        print(f"{n:7} {d:5} {k:4} | {plain} | {semi[0]:9.2f} {semi[1]:6.2f}", flush=True)


if __name__ == "__main__":
    main()
