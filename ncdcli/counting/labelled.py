"""What labelled samples say of candidate numbers of classes, and what decides among those they cannot tell apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.rows import Rows, as_rows
from ncdcli.counting.base import CountEstimate, CountProblem
from ncdcli.counting.candidates import best_candidate, candidate_range, indistinct
from ncdcli.counting.search import Search, search_all
from ncdcli.errors import DataError
from ncdcli.metrics.contingency import count_table
from ncdcli.metrics.matching import match_clusters, matched_counts
from ncdcli.metrics.silhouette import silhouettes
from ncdcli.pipeline.context import Progress, Tick

RESAMPLES = 200
SILHOUETTE_ROWS = 5_000


@dataclass(frozen=True)
class Verdict:
    """What the labelled rows say of one candidate's partition."""

    score: float  # greater is better
    pool: NDArray[np.int64]  # (m,) clusters of the rows that silhouettes are taken of
    resample: Callable[[np.random.Generator], float]  # the score on one bootstrap sample of the labelled rows


@dataclass(frozen=True)
class Sample:
    """The rows that an estimate by labelled samples looks at."""

    rows: Rows  # (n, d)
    labels: NDArray[np.int64]  # (n,) known class, -1 on unlabelled rows
    pool: NDArray[np.int64]  # numbers of at most 5,000 rows that silhouettes are taken of: unlabelled ones
    n_known: int
    key: int  # of the random streams

    @classmethod
    def of(cls, problem: CountProblem, chosen: NDArray[np.int64], key: int) -> Sample:
        """The sample that holds the `chosen` rows of the problem."""
        labels = problem.labels[chosen]
        sample = cls(as_rows(problem.embeddings[chosen]), labels, np.empty(0, np.int64), problem.n_known, key)
        return sample.with_pool(labels < 0)

    def with_pool(self, of_pool: NDArray[np.bool_]) -> Sample:
        """The same rows, with silhouettes taken of those `of_pool` (n,), or of 5,000 of them."""
        pool = np.flatnonzero(of_pool)
        if len(pool) > SILHOUETTE_ROWS:
            pool = np.sort(np.random.default_rng([self.key, 2]).choice(pool, SILHOUETTE_ROWS, replace=False))
        return replace(self, pool=pool)


class RangeConfig(Protocol):
    """The fields of a recipe section that bound the candidates."""

    @property
    def low(self) -> int | None: ...

    @property
    def high(self) -> int | None: ...


def require_labels(problem: CountProblem, kind: str) -> None:
    """Nothing, where there are labelled rows; DataError otherwise."""
    if not (problem.labels >= 0).any():
        raise DataError(
            f"`{kind}` counts classes by the labelled samples, and there are none",
            hint="use `estimate_k: {kind: silhouette}`, or give k with `{kind: fixed, k: …}`",
        )


def labelled_range(problem: CountProblem, config: RangeConfig, *, most: int) -> tuple[int, int]:
    """Least and greatest candidate; default: known classes (NCD: one more) … 3 × known + 10."""
    least = problem.n_known + 1 if problem.novel_only else max(problem.n_known, 2)
    return candidate_range(
        config.low,
        config.high,
        default=(least, 3 * problem.n_known + 10),
        most=most,
        n_known=problem.n_known,
        novel_only=problem.novel_only,
    )


def hold_out(labels: NDArray[np.int64], share: float, rng: np.random.Generator, *, kind: str) -> NDArray[np.int64]:
    """Ascending numbers of `share` of the labelled rows of every class, at least one, leaving at least one.

    A class with a single labelled row keeps it. DataError where no class has two.
    """
    held = []
    for label in np.unique(labels[labels >= 0]):
        of_class = np.flatnonzero(labels == label)
        if len(of_class) > 1:
            count = min(max(1, round(share * len(of_class))), len(of_class) - 1)
            held.append(rng.choice(of_class, count, replace=False))
    if not held:
        raise DataError(
            f"`{kind}` holds labelled samples out, to score them, and no class has more than one",
            hint="label more samples, or use `estimate_k: {kind: max_acc}`",
        )
    return np.sort(np.concatenate(held))


def choose_anchors(
    labels: NDArray[np.int64], share: float, rng: np.random.Generator, *, kind: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Known classes, ascending, in two parts: a random `share` of those with labelled rows, and the others.

    Either part has one at least; DataError where only one class has labelled rows.
    """
    known = np.unique(labels[labels >= 0])
    if len(known) < 2:
        raise DataError(
            f"`{kind}` guides by some known classes and scores others, and only one has labelled samples",
            hint="use `estimate_k: {kind: silhouette}`, or give labelled samples of more classes",
        )
    count = min(max(1, round(share * len(known))), len(known) - 1)
    anchors = np.sort(rng.choice(known, count, replace=False))
    return anchors, np.setdiff1d(known, anchors)


def matching_verdict(sample: Sample, labels: NDArray[np.int64], k: int) -> Verdict:
    """The Hungarian accuracy of k clusters, `labels` (n,), on the labelled rows; matched anew in every resample."""
    labelled = np.flatnonzero(sample.labels >= 0)
    clusters, classes, n = labels[labelled], sample.labels[labelled], len(labelled)

    def score(rows: NDArray[np.int64] | slice) -> float:
        return accuracy(clusters[rows], classes[rows], k=k, n_known=sample.n_known)

    return Verdict(score(slice(None)), labels[sample.pool], lambda rng: score(rng.integers(n, size=n)))


def accuracy(clusters: NDArray[np.int64], classes: NDArray[np.int64], *, k: int, n_known: int) -> float:
    """Share of labelled rows in the cluster that is matched to their class (Hungarian, one to one)."""
    counts = count_table(clusters, classes, shape=(k, n_known))
    return float(matched_counts(counts, match_clusters(counts)).sum() / len(clusters))


class Candidates:
    """The verdict on every candidate that was asked for, each given once.

    `glance` is a cheaper score that a search can go by: then only the candidates near the best of it are judged.
    """

    def __init__(
        self, judge: Callable[[int], Verdict], sample: Sample, glance: Callable[[int], float] | None = None
    ) -> None:
        self._judge, self.sample, self._glance = judge, sample, glance
        self.verdicts: dict[int, Verdict] = {}
        self.glances: dict[int, float] = {}

    @property
    def scores(self) -> dict[int, float]:
        """Score of every candidate judged so far."""
        return {k: verdict.score for k, verdict in self.verdicts.items()}

    def score(self, k: int, tick: Tick) -> float:
        """Score of k, judged now if it was not before."""
        if k not in self.verdicts:
            self.verdicts[k] = self._judge(k)
            if k not in self.glances:
                tick(1, k=k)
        return self.verdicts[k].score

    def search(self, search: Search, limits: tuple[int, int], tick: Tick) -> None:
        """Judge what the search visits; with glances those visited whose glance is within a deviation of the best."""
        glance = self._glance
        if glance is None:
            search(lambda k: self.score(k, tick), *limits)
            return

        def look(k: int) -> float:
            self.glances[k] = glance(k)
            tick(1, k=k)
            return self.glances[k]

        search(look, *limits)
        best = best_candidate(self.glances)
        self.score(best, tick)
        least = self.glances[best] - self.bootstrap_sd(best)
        for k in sorted(self.glances):
            if self.glances[k] >= least:
                self.score(k, tick)

    def bootstrap_sd(self, k: int) -> float:
        """Standard deviation of the score of k over 200 bootstrap samples of the labelled rows."""
        rng = np.random.default_rng([self.sample.key, 1, k])
        return float(np.std([self.verdicts[k].resample(rng) for _ in range(RESAMPLES)], ddof=1))

    def complete(self, near: tuple[int, int], limits: tuple[int, int], least: float, tick: Tick) -> tuple[int, int]:
        """The interval `near` with every integer judged, widened within `limits` while scores are at least `least`."""
        first, last = near
        for k in range(first, last + 1):
            self.score(k, tick)
        while first > limits[0] and self.score(first - 1, tick) >= least:
            first -= 1
        while last < limits[1] and self.score(last + 1, tick) >= least:
            last += 1
        return first, last

    def mean_silhouettes(self, candidates: Sequence[int]) -> dict[int, float]:
        """Mean silhouette of the pool's rows in the clusters of each candidate."""
        partitions = [self.verdicts[k].pool for k in candidates]
        values = silhouettes(self.sample.rows[self.sample.pool], partitions).mean(axis=1)
        return dict(zip(candidates, values.tolist(), strict=True))


def choose(
    candidates: Candidates,
    limits: tuple[int, int],
    *,
    kind: str,
    score_name: str,
    search: Search,
    ties: Literal["silhouette", "smallest"],
    pool: bool,
    progress: Progress,
) -> CountEstimate:
    """The candidate with the best score, or, among those within one deviation of it, the best silhouette.

    The deviation is that of the best candidate's score over bootstrap samples of the labelled rows. With
    `ties: silhouette` the interval of candidates within it is completed (every integer, and beyond its ends as long
    as the score stays within), and the greatest mean silhouette of the `pool` (False: there is none) decides.
    """
    low, high = limits
    with progress.track("estimate k", high - low + 1 if search is search_all else None) as tick:
        candidates.search(search, limits, tick)
        scores = candidates.scores
        k = best_candidate(scores)
        sd = candidates.bootstrap_sd(k)
        statistics: dict[str, Any] = {"range": [low, high], f"best_{score_name}": scores[k]}
        statistics |= {"bootstrap_sd": sd, "ties": ties}
        first, last = indistinct(scores, sd)
        silhouette: dict[int, float] = {}
        if ties == "silhouette" and pool:
            first, last = candidates.complete((first, last), limits, scores[k] - sd, tick)
            silhouette = candidates.mean_silhouettes(range(first, last + 1))
            k = best_candidate(silhouette)
            statistics["silhouette"] = silhouette[k]
    scores = candidates.scores
    statistics |= {"evaluated": len(scores | candidates.glances), score_name: scores[k]}
    others = {"search": candidates.glances, "silhouette": silhouette}
    others = {name: curve for name, curve in others.items() if curve}
    return CountEstimate(k, kind, scores, (first, last), statistics, others)
