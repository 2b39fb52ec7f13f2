"""Seconds of k-means and semi-supervised k-means: ours beside faiss.Kmeans and scikit-learn, in one run.

    python scripts/bench/clustering.py [kmeans] [semi] [loops] [large] [curves] [--quick] [--plot FILE]

kmeans   one Lloyd iteration after another from the same start, and whole fits with k-means++ and restarts
semi     `semi_kmeans` with `init: matched` and the same n, k, d, iterations and restarts as faiss.Kmeans
loops    whole fits with the inner loops compiled, and in NumPy
large    1,000,000 × 256 in a memory-mapped file, k = 1,000: seconds an iteration and peak memory
curves   seconds an iteration while n, k and d double; `--plot` draws them

Every figure is a median. faiss is told to use all points (by default it takes 256 a centroid), one thread pool serves
all. GFLOP/s count the 2·n·k·d operations of a full sweep; "of GEMM" compares them with what one large matrix product
reaches on this machine. Ours can exceed it: distances that cannot matter are not computed.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from kmeans_sides import (
    Side,
    faiss_kmeans,
    gemm_rate,
    lloyd_from,
    make_blobs,
    race,
    seconds,
    sklearn_kmeans,
    whole_fit,
)

from ncdcli.clustering import kmeans, loops, plain, semi_kmeans
from ncdcli.clustering.base import Problem
from ncdcli.clustering.kinds import KMeans, SemiKMeans
from ncdcli.clustering.lloyd import lloyd
from ncdcli.pipeline.context import SilentProgress

SHAPES = ((1_797, 64, 10), (20_000, 16, 26), (10_000, 1_280, 10), (6_000, 768, 200), (50_000, 768, 100))
SEMI_SHAPES = ((6_000, 768, 200), (50_000, 768, 100))
LARGE = (1_000_000, 256, 1_000)
ITERATIONS = 20
RESTARTS = 3
DEFAULT_RESTARTS = KMeans().restarts


def bench_kmeans(shapes: tuple[tuple[int, int, int], ...]) -> None:
    """Print one Lloyd from a given start, and a whole fit."""
    peak = gemm_rate()
    print(f"one Lloyd from the same start, at most {ITERATIONS} iterations; a large GEMM reaches {peak:.0f} GFLOP/s")
    print(f"{'n':>7} {'d':>5} {'k':>4} | it. |  ours s  faiss s  sklearn s | ours/faiss  ours/sklearn | of GEMM")
    for n, d, k in shapes:
        rows, _ = make_blobs(n, d, k)
        start = rows[np.random.default_rng(1).choice(n, k, replace=False)]
        iterations = lloyd(rows, start, iterations=ITERATIONS).iterations
        ours, theirs, reference = seconds(
            partial(lloyd_from, rows, start, iterations),
            partial(faiss_kmeans, rows, k, iterations, start=start),
            partial(sklearn_kmeans, rows, k, iterations, init=start, n_init=1),
            repeats=15 if n * d * k < 1e9 else 3,
        )
        rate = 2 * n * d * k * iterations / ours / 1e9
        print(
            f"{n:7} {d:5} {k:4} | {iterations:3} | {ours:7.4f} {theirs:8.4f} {reference:10.4f} |"
            f" {ours / theirs:10.2f} {ours / reference:13.2f} | {rate / peak:7.2f}",
            flush=True,
        )
    print("\nwhole fits, at most 100 iterations, every repeat another seed; greedy beside sklearn, random beside faiss")
    print(f"{'n':>7} {'d':>5} {'k':>4} | restarts |{_heading('ours', 'sklearn')} |{_heading('ours', 'faiss')}")
    for shape, restarts in product(shapes, (1, RESTARTS, DEFAULT_RESTARTS)):
        if restarts <= RESTARTS or np.prod(shape) < 1e9:
            bench_fits(*shape, restarts)


def bench_fits(n: int, d: int, k: int, restarts: int) -> None:
    """Print a row about whole fits: starts, restarts, and what is best of them."""
    rows, _ = make_blobs(n, d, k)
    greedy, reference, random, theirs = race(
        (
            partial(whole_fit, rows, k, restarts, "greedy"),
            lambda seed: sklearn_kmeans(rows, k, 100, n_init=restarts, random_state=seed),
            partial(whole_fit, rows, k, restarts, "random"),
            lambda seed: faiss_kmeans(rows, k, 100, redo=restarts, seed=seed),
        ),
        repeats=51 if n * d * k < 1e7 else 7 if n * d * k < 1e9 else 1,
    )
    print(f"{n:7} {d:5} {k:4} | {restarts:8} |{_beside(greedy, reference)} |{_beside(random, theirs)}", flush=True)


def _heading(ours: str, theirs: str) -> str:
    return f" {ours + ' s':>8} {theirs + ' s':>9} ratio  inertia  iterations  ratio each"


def _beside(ours: Side, theirs: Side) -> str:
    each = ours.seconds / ours.iterations / (theirs.seconds / theirs.iterations)
    return (
        f" {ours.seconds:8.4f} {theirs.seconds:9.4f} {ours.seconds / theirs.seconds:5.2f}"
        f" {ours.objective / theirs.objective:8.5f} {ours.iterations:5.0f} {theirs.iterations:5.0f} {each:11.2f}"
    )


def bench_semi(shapes: tuple[tuple[int, int, int], ...]) -> None:
    """Print semi-supervised k-means beside plain faiss.Kmeans of the same size."""
    print(f"\nsemi_kmeans (half of the classes known, half of their rows labelled), {ITERATIONS} iterations")
    print(f"{'n':>7} {'d':>5} {'k':>4} | restarts | matched s  mixed s    gcd s  faiss s | matched/faiss  mixed/faiss")
    for n, d, k in shapes:
        rows, classes = make_blobs(n, d, k)
        problem = Problem(rows, np.where((classes < k // 2) & (np.arange(n) % 2 == 0), classes, -1), k // 2, k)
        for restarts in (1, 10):
            calls = [
                partial(
                    semi_kmeans.cluster,
                    problem,
                    SemiKMeans(init=init, restarts=restarts, iterations=ITERATIONS),
                    np.random.default_rng(0),
                    SilentProgress(),
                )
                for init in ("matched", "mixed", "gcd")
            ]
            times = seconds(*calls, partial(faiss_kmeans, rows, k, ITERATIONS, redo=restarts), repeats=3)
            print(
                f"{n:7} {d:5} {k:4} | {restarts:8} | {times[0]:9.2f} {times[1]:8.2f} {times[2]:8.2f} {times[3]:8.2f} |"
                f" {times[0] / times[3]:13.2f} {times[1] / times[3]:12.2f}",
                flush=True,
            )


def bench_loops(shapes: tuple[tuple[int, int, int], ...]) -> None:
    """Print whole fits with compiled inner loops beside those of NumPy."""
    if not loops.COMPILED:
        raise SystemExit(f"nothing to compare: {loops.WHY_NOT}")
    ways = [[(name, getattr(module, name)) for name in loops.__all__] for module in (loops, plain)]

    def fit_by(way: list[tuple[str, Any]], rows: np.ndarray, k: int, restarts: int, seed: int) -> tuple[float, float]:
        for name, value in way:
            setattr(loops, name, value)
        return whole_fit(rows, k, restarts, "greedy", seed)

    print(f"\n{'n':>7} {'d':>5} {'k':>4} | restarts |{_heading('compiled', 'NumPy')}")
    for (n, d, k), restarts in product(shapes, (1, DEFAULT_RESTARTS)):
        rows, _ = make_blobs(n, d, k)
        ours, theirs = race([partial(fit_by, way, rows, k, restarts) for way in ways], repeats=15)
        print(f"{n:7} {d:5} {k:4} | {restarts:8} |{_beside(ours, theirs)}", flush=True)


def bench_large(shape: tuple[int, int, int], iterations: int = 5) -> None:
    """Print seconds an iteration and peak memory on a memory-mapped file, each side in a process of its own."""
    n, d, k = shape
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npy"
        rng = np.random.default_rng(0)
        middles = rng.normal(size=(k, d)).astype(np.float32)
        rows = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n, d))
        for first in range(0, n, 50_000):
            size = min(50_000, n - first)
            rows[first : first + size] = middles[rng.integers(k, size=size)] + rng.normal(size=(size, d)).astype("f4")
        rows.flush()
        del rows
        array = n * d * 4 / 2**30
        print(f"\n{n:,} × {d}, k = {k:,}, memory-mapped ({array:.2f} GiB), {iterations} iterations from given rows")
        sides = {}
        for side in ("ours", "faiss", "whole"):
            command = [sys.executable, __file__, "--side", side, "--file", str(path), "--k", str(k)]
            printed = subprocess.run(
                [*command, "--iterations", str(iterations)], check=True, stdout=subprocess.PIPE, text=True
            )
            sides[side] = [float(word) for word in printed.stdout.split()]
        print(f"ours   {sides['ours'][0]:6.2f} s an iteration, peak memory {sides['ours'][1]:.2f} GiB")
        print(f"faiss  {sides['faiss'][0]:6.2f} s an iteration, peak memory {sides['faiss'][1]:.2f} GiB")
        print(f"ours / faiss: {sides['ours'][0] / sides['faiss'][0]:.2f}")
        print(
            f"cluster kind `kmeans`, 1 restart, k-means++ on 100,000 rows, {iterations} iterations: "
            f"{sides['whole'][0]:.0f} s, peak memory {sides['whole'][1]:.2f} GiB"
            f" (array + {sides['whole'][1] - array:.2f} GiB)"
        )


def large_side(side: str, path: Path, k: int, iterations: int) -> None:
    """Print seconds (an iteration, or in all) and peak memory in GiB of one side."""
    rows = np.load(path, mmap_mode="r")
    start = np.array(rows[np.sort(np.random.default_rng(1).choice(len(rows), k, replace=False))])
    if side == "whole":
        config = KMeans(restarts=1, iterations=iterations, seeding_rows=100_000)
        problem = Problem(rows, np.full(len(rows), -1), 0, k)
        (taken,) = seconds(
            partial(kmeans.cluster, problem, config, np.random.default_rng(0), SilentProgress()), repeats=1
        )
    else:
        run = partial(lloyd_from, rows, start) if side == "ours" else partial(_faiss_of, rows, k, start)
        one, many = seconds(partial(run, 1), partial(run, 1 + iterations), repeats=1)
        taken = (many - one) / iterations
    print(taken, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)


def _faiss_of(rows: np.ndarray, k: int, start: np.ndarray, iterations: int) -> None:
    faiss_kmeans(rows, k, iterations, start=start)


def bench_curves(quick: bool, plot: Path | None) -> None:
    """Print seconds of one full sweep (assignment and means) while one of n, k, d doubles, and the growth."""
    peak = gemm_rate()
    base = (4_000, 128, 64) if quick else (20_000, 256, 128)
    curves = {}
    print(f"\nseconds an iteration while one of n, d, k doubles from n, d, k = {base}; GEMM reaches {peak:.0f} GFLOP/s")
    for position, name in enumerate("ndk"):
        sizes, times = [], []
        for doubling in range(5):
            shape = [size * 2**doubling if index == position else size for index, size in enumerate(base)]
            rows = np.random.default_rng(0).normal(size=shape[:2]).astype(np.float32)
            start = rows[: shape[2]].copy()
            (taken,) = seconds(partial(lloyd_from, rows, start, 3), repeats=5)
            sizes.append(shape[position])
            times.append(taken / 4)  # three iterations, and a last look at the nearest centres
        growth = np.polyfit(np.log(sizes), np.log(times), 1)[0]
        rate = 2 * np.prod([float(size) for size in base]) * 16 / times[-1] / 1e9
        curves[name] = sizes, times
        row = "  ".join(f"{size:,}: {taken:.4f}" for size, taken in zip(sizes, times, strict=True))
        print(f"{name}: {row}   grows as {name}^{growth:.2f}; last: {rate / peak:.2f} of GEMM", flush=True)
    if plot is not None:
        _plot(curves, plot)


def _plot(curves: dict[str, tuple[list[int], list[float]]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3), layout="constrained")
    for axes, (name, (sizes, times)) in zip(figure.subplots(1, 3), curves.items(), strict=True):
        axes.loglog(sizes, times, "o-", label="measured")
        axes.loglog(sizes, [times[0] * size / sizes[0] for size in sizes], ":", label="linear")
        axes.set(xlabel=name, ylabel="seconds an iteration")
        axes.legend()
    figure.savefig(path)
    print(f"drawn: {path}")


def main() -> None:
    """Run the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help="kmeans, semi, loops, large, curves; default: the first two")
    parser.add_argument("--quick", action="store_true", help="small shapes")
    parser.add_argument("--plot", type=Path, help="file for the curves")
    for name, kind in (("--side", str), ("--file", Path), ("--k", int), ("--iterations", int)):
        parser.add_argument(name, type=kind, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        large_side(options.side, options.file, options.k, options.iterations)
        return
    parts = options.parts or ["kmeans", "semi"]
    if "kmeans" in parts:
        bench_kmeans(SHAPES[:3] if options.quick else SHAPES)
    if "semi" in parts:
        bench_semi(((1_500, 128, 50),) if options.quick else SEMI_SHAPES)
    if "loops" in parts:
        bench_loops(SHAPES[:2] if options.quick else SHAPES[:3])
    if "large" in parts:
        bench_large((100_000, 64, 100) if options.quick else LARGE)
    if "curves" in parts:
        bench_curves(options.quick, options.plot)


if __name__ == "__main__":
    main()
