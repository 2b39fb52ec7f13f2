"""ProtoGCD's estimate of the number of classes: held-out samples and class centroids that fit the clusters best."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.assign import margins
from ncdcli.clustering.base import Clustering
from ncdcli.clustering.checks import class_means
from ncdcli.counting.base import Cost, CountEstimate, CountProblem
from ncdcli.counting.candidates import stratified_rows
from ncdcli.counting.kinds import PrototypeScore
from ncdcli.counting.labelled import Candidates, Sample, Verdict, choose, labelled_range, require_labels
from ncdcli.counting.pinned import PinnedSweep
from ncdcli.counting.search import SEARCHES
from ncdcli.pipeline.context import Progress


def estimate(
    problem: CountProblem, config: PrototypeScore, rng: np.random.Generator, progress: Progress
) -> CountEstimate:
    """The k in low … high with the greatest prototype score of semi-supervised k-means.

    Ma et al., TPAMI 2025 (ProtoGCD), section 4, score each k by the accuracy on labelled rows together with how well
    the centroids of labelled classes fit those of pseudo-labelled unlabelled rows. There a model is trained for every
    k; here the embeddings are frozen, and semi-supervised k-means gives the pseudo-labels. Our form, both parts
    without a unit and greatest at 1:

        score(k) = ½ · (accuracy + centroid score)

    * accuracy: share of held-out labelled rows (`held_out` of each class; pinned ones are right by construction) in
      the cluster of their class;
    * centroid score: mean over the classes with labelled rows of 1 − d_own / d_other, where d_own is the distance of
      the mean of all labelled rows of the class to the mean of the rows without a pin in its cluster, and d_other
      that to the nearest such mean of another cluster (negative, as d_other / d_own − 1, where that is nearer).

    With too few clusters the known ones take in novel rows, which moves their means; with too many a class is shared
    by several. The interval, and what decides among its candidates, are those of `max_acc`: bootstrap samples are of
    the held-out rows for the accuracy, and of the classes for the centroid score.

    Raises DataError where no class has two labelled rows or with too few rows, RecipeError for bounds that make no
    sense.
    """
    require_labels(problem, "prototype_score")
    key = int(rng.integers(2**63))
    chosen = stratified_rows(problem.labels, config.max_samples, np.random.default_rng([key, 0]))
    sample, cost = Sample.of(problem, chosen, key), Cost()
    sweep = PinnedSweep.of(sample, config.held_out, config.restarts, cost, progress, kind="prototype_score")
    classes = np.unique(sample.labels[sample.labels >= 0])
    means = class_means(sample.rows, sample.labels, sample.n_known)[classes]
    answer = choose(
        Candidates(partial(_judge, sweep, classes, means), sweep.sample),
        labelled_range(problem, config, most=sweep.most),
        kind="prototype_score",
        score_name="prototype_score",
        search=SEARCHES[config.search],
        ties=config.ties,
        pool=True,
        progress=progress,
    )
    cost.distances += len(sweep.sample.pool) ** 2 if answer.other_scores else 0
    return replace(answer, statistics={**answer.statistics, "cost": cost.facts(len(chosen))})


def _judge(sweep: PinnedSweep, classes: NDArray[np.int64], means: NDArray[np.float64], k: int) -> Verdict:
    clustering = sweep.cluster(k)
    right = sweep.right(clustering)
    fits = centroid_scores(sweep, clustering, classes, means)

    def resample(rng: np.random.Generator) -> float:
        rows, drawn = rng.integers(len(right), size=len(right)), rng.integers(len(fits), size=len(fits))
        return float((right[rows].mean() + fits[drawn].mean()) / 2)

    score = float((right.mean() + fits.mean()) / 2)
    return Verdict(score, clustering.assignments[sweep.sample.pool], resample)


def centroid_scores(
    sweep: PinnedSweep, clustering: Clustering, classes: NDArray[np.int64], means: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(classes,) how clearly the mean of each class's labelled rows belongs to its cluster, by rows without a pin.

    -1 … 1; 0 for a class whose cluster holds none of these.
    """
    loose = np.flatnonzero(sweep.pins < 0)
    clusters = clustering.assignments[loose]
    centroids = class_means(sweep.sample.rows[loose], clusters, clustering.k)
    filled = np.unique(clusters)
    scores = np.zeros(len(classes))
    there = np.isin(classes, filled)
    if there.any():
        scores[there] = margins(means[there], centroids, clusters=classes[there], allowed=filled)
    return scores
