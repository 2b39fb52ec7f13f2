"""Seconds of `max_acc` and of the published search for the number of classes, and how far both end from the truth.

    python scripts/bench/counting.py [--quick] [--evaluations N | --every] [--profile]

The published procedure is `scipy.optimize.minimize_scalar(method="bounded")` (Brent, tolerance 1e-5) on real numbers
cut to integers, with scikit-learn's k-means (ten restarts, `random_state=0`) at each, and no memory: it comes back to
the same integer again and again. As k-means of the same integer takes the same time and gives the same answer, each
integer is timed once here, and its seconds are charged as often as the search asks for it; `--every` runs them all.
`--evaluations N` stops after N evaluations and scales their seconds to 32: the later ones are then taken to cost what
the first did, and there is no estimate. Blobs are those of scripts/bench/kmeans_sides.py, known classes the first ones,
half of their rows labelled. The rows, and for the published side the labels, are the same on both sides; the range is
too, but ours begins no lower than the known classes.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import time
from dataclasses import dataclass

import numpy as np
from kmeans_sides import make_blobs
from scipy.optimize import linear_sum_assignment, minimize_scalar
from sklearn.cluster import KMeans as SklearnKMeans

from ncdcli.counting import max_acc
from ncdcli.counting.base import CountEstimate, CountProblem
from ncdcli.counting.kinds import MaxAcc
from ncdcli.pipeline.context import SilentProgress

EVALUATIONS = 32  # of the published search, as a rule
PARTS = ("plus_plus", "lloyd", "silhouettes", "bootstrap_sd")


@dataclass(frozen=True)
class Case:
    """One problem: the truth is `classes`, of which the first `known` are known."""

    n: int
    d: int
    classes: int
    known: int
    low: int
    high: int


CASES = (Case(6_000, 768, 200, 100, 25, 200), Case(6_000, 768, 50, 25, 25, 200))
QUICK = (Case(1_500, 128, 100, 50, 25, 100), Case(1_500, 128, 50, 25, 25, 100))


@dataclass(frozen=True)
class Spent:
    """Seconds by the clock, and of all cores together: the latter bear a machine that is shared better."""

    wall: float = 0.0
    cpu: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.wall + other.wall, self.cpu + other.cpu)

    def times(self, factor: float) -> Spent:
        """So many times as much."""
        return Spent(self.wall * factor, self.cpu * factor)

    def __str__(self) -> str:
        return f"{self.wall:8.1f} s (cores {self.cpu:7.1f} s)"


class Clock:
    """What was spent since it was made."""

    def __init__(self) -> None:
        self.start = time.perf_counter(), time.process_time()

    def spent(self) -> Spent:
        """Until now."""
        return Spent(time.perf_counter() - self.start[0], time.process_time() - self.start[1])


class Stop(Exception):
    """Enough evaluations."""


class Published:
    """The published objective, and what its evaluations took."""

    def __init__(self, problem: CountProblem, *, every: bool, limit: int | None) -> None:
        self.problem, self.every, self.limit = problem, every, limit
        self.taken: dict[int, tuple[float, Spent]] = {}  # k -> minus accuracy, and what it took
        self.asked: list[int] = []
        self.spent = Spent()

    def __call__(self, x: float) -> float:
        if self.limit is not None and len(self.asked) == self.limit:
            raise Stop
        k = int(x)
        if k not in self.taken or self.every or self.limit is not None:
            clock = Clock()
            value = self.evaluate(k)
            self.taken[k] = value, clock.spent()
        self.asked.append(k)
        self.spent += self.taken[k][1]
        return self.taken[k][0]

    def evaluate(self, k: int) -> float:
        """Minus the Hungarian accuracy of k clusters on labelled rows."""
        labelled = self.problem.labels >= 0
        clusters = SklearnKMeans(k, n_init=10, random_state=0).fit(self.problem.embeddings).labels_[labelled]
        classes = self.problem.labels[labelled]
        size = max(k, self.problem.n_known)
        counts = np.zeros((size, size), np.int64)
        np.add.at(counts, (clusters, classes), 1)
        rows, columns = linear_sum_assignment(counts, maximize=True)
        return -counts[rows, columns].sum() / labelled.sum()

    def search(self, low: int, high: int) -> int | None:
        """The integer at which the search ends, None where it was stopped."""
        try:
            answer = minimize_scalar(self, bounds=(low, high), method="bounded", options={"xatol": 1e-5})
        except Stop:
            return None
        return int(answer.x)


def make_problem(case: Case) -> CountProblem:
    """The blobs of a case, every second row of a known class labelled."""
    rows, classes = make_blobs(case.n, case.d, case.classes)
    labels = np.where((classes < case.known) & (np.arange(case.n) % 2 == 0), classes, -1)
    return CountProblem(rows, labels, case.known)


def ours(problem: CountProblem, case: Case, *, profile: bool) -> tuple[CountEstimate, Spent, dict[str, float]]:
    """Our estimate, its seconds, and those of its parts where they are asked for."""
    config = MaxAcc(low=max(case.low, case.known), high=case.high)
    profiler = cProfile.Profile()
    clock = Clock()
    if profile:
        profiler.enable()
    estimate = max_acc.estimate(problem, config, np.random.default_rng(0), SilentProgress())
    profiler.disable()
    spent = clock.spent()
    parts = {}
    if profile:
        for (_, _, name), (_, _, _, cumulative, _) in pstats.Stats(profiler).stats.items():
            if name in PARTS:
                parts[name] = max(parts.get(name, 0.0), cumulative)
    return estimate, spent, parts


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="1,500 rows of 128 numbers, range 25 to 100")
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--evaluations", type=int, metavar="N", help="of the published search; seconds are scaled to 32")
    group.add_argument("--every", action="store_true", help="run every evaluation of the published search")
    parser.add_argument("--profile", action="store_true", help="say where our seconds go")
    options = parser.parse_args()
    for case in QUICK if options.quick else CASES:
        print(f"n {case.n}, d {case.d}, range {case.low} to {case.high}, truth {case.classes}, known {case.known}")
        problem = make_problem(case)
        estimate, spent, parts = ours(problem, case, profile=options.profile)
        evaluated, interval = estimate.statistics["evaluated"], estimate.interval
        print(f"  ours       {spent}  k {estimate.k}, interval {interval}, {evaluated} numbers evaluated")
        for name, part in sorted(parts.items(), key=lambda item: -item[1]):
            print(f"    {name:14} {part:6.1f} s")
        published = Published(problem, every=options.every, limit=options.evaluations)
        k = published.search(case.low, case.high)
        asked, distinct = len(published.asked), len(published.taken)
        if k is None:
            total = published.spent.times(EVALUATIONS / asked)
            how = f"{asked} evaluations measured, scaled to {EVALUATIONS}"
        else:
            measured = "each run" if options.every else f"{distinct} of them measured, repetitions charged"
            total, how = published.spent, f"{asked} evaluations, {measured}"
        print(f"  published  {total}  k {'not known' if k is None else k}, {how}")
        print(f"    numbers evaluated: {' '.join(map(str, published.asked))}")
        ratios = f"{spent.wall / total.wall:8.3f}   (cores {spent.cpu / total.cpu:7.3f})"
        print(f"  ratio      {ratios}   required: at most 0.1", flush=True)
        if k is not None:
            print(f"  error      ours {abs(estimate.k - case.classes)}, published {abs(k - case.classes)}")


if __name__ == "__main__":
    main()
