"""Seconds of Ward's tree and of exact nearest neighbours: ours, SciPy's, scikit-learn's; medians of runs in turn.

    python scripts/bench/trees.py [--quick]

All get the same rows in the same process, one after another, three times. SciPy's `linkage` is what scikit-learn's
`AgglomerativeClustering` calls for Ward without a graph; its distances by GEMM, in place of its own, are a second row.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from statistics import median

import numpy as np
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform
from sklearn.neighbors import NearestNeighbors

from ncdcli.clustering.neighbours import nearest_neighbours
from ncdcli.clustering.ward_tree import ward_tree

SHAPES = ((2_000, 64), (6_000, 64), (6_000, 768), (10_000, 768))
NEIGHBOURS = 15
REPEATS = 3


def make_rows(n: int, d: int) -> np.ndarray:
    """A hundred overlapping blobs."""
    rng = np.random.default_rng(0)
    return (rng.normal(size=(100, d))[rng.integers(100, size=n)] + rng.normal(size=(n, d))).astype(np.float32)


def scipy_by_gemm(rows: np.ndarray) -> None:
    """SciPy's tree from distances that one product gives."""
    points = rows.astype(np.float64)
    sizes = np.einsum("ij,ij->i", points, points)
    distances = np.sqrt(np.maximum(sizes[:, None] - 2 * points @ points.T + sizes, 0))
    np.fill_diagonal(distances, 0)
    linkage(squareform(distances, checks=False), "ward")


def seconds(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Name -> median of a few timings, taken in turn."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(REPEATS):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return {name: median(found) for name, found in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the smallest sizes only")
    shapes = SHAPES[:2] if parser.parse_args().quick else SHAPES
    print("rows × columns   | Ward: ours | SciPy | SciPy, GEMM | neighbours: ours | scikit-learn")
    for n, d in shapes:
        rows = make_rows(n, d)
        engine = NearestNeighbors(n_neighbors=NEIGHBOURS, algorithm="brute").fit(rows)
        found = seconds(
            {
                "ours": partial(ward_tree, rows),
                "scipy": partial(linkage, rows.astype(np.float64), "ward"),
                "gemm": partial(scipy_by_gemm, rows),
                "neighbours": partial(nearest_neighbours, rows, NEIGHBOURS),
                "sklearn": engine.kneighbors,
            }
        )
        print(
            f"{n:>7,} × {d:<6}| {found['ours']:>10.2f} | {found['scipy']:>5.2f} | {found['gemm']:>11.2f} "
            f"| {found['neighbours']:>16.2f} | {found['sklearn']:>12.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
