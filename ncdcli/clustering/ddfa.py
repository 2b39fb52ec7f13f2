"""Discovery from label shift between domains: DDFA (Roberts, Mani, Garg & Lipton, NeurIPS 2022), Algorithm 1.

Where the same classes occur in several domains in different shares, and look alike in all of them, the shares alone
tell the classes apart: discriminate (which domain is a sample from?), discretise (cells of like answers), factorise
(cells by domain = cells by class × classes by domain), adjust. Where we differ: the classifier is scikit-learn's, on
embeddings, and no sample is scored by one that it trained; domains need not be of equal size, their shares enter by
Bayes' rule; and the factorisation starts at anchor cells, on which the paper's proof rests, and not at random.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from ncdcli.clustering.base import Clustering, Problem
from ncdcli.clustering.checks import check_problem
from ncdcli.clustering.division import Division, cluster_without_labels
from ncdcli.clustering.kinds import Ddfa
from ncdcli.clustering.restarts import best_of, fit
from ncdcli.clustering.rows import Rows, as_rows
from ncdcli.errors import DataError
from ncdcli.pipeline.context import Progress, Tick
from ncdcli.words import counted

_KMEANS_ITERATIONS = 100
_NEAR_CHANCE = 0.02  # accuracy of the domain classifier above the largest domain's share below which a note is written
_HIDDEN = 100
_CLASSIFIER_ITERATIONS = 500

_Table = NDArray[np.float64]


@dataclass(frozen=True)
class Mixture:
    """Domains as mixtures of classes."""

    cells_of_class: _Table  # (k, m) share of a class's samples in each cell; rows sum to 1
    classes_of_domain: _Table  # (domains, k) share of each class in a domain; rows sum to 1
    error: float  # root of the sum of squared differences of cells by domain


def cluster(problem: Problem, config: Ddfa, rng: np.random.Generator, progress: Progress) -> Clustering:
    """The k classes whose shares differ between domains, in labelled and unlabelled rows (NCD: unlabelled rows alone).

    Labels only name the clusters: see `cluster_without_labels`. New samples, whose domain is not asked for, go to the
    nearest mean. A cluster that no row is in is left out. The objective is the error of the factorisation.

    Raises DataError where rows have no domain or there are fewer domains than clusters, for embeddings that are not
    finite or too few, RecipeError for a k below the known classes.
    """
    check_problem(problem)
    rows = as_rows(problem.embeddings)
    if problem.domains is None or (problem.domains < 0).any():
        raise DataError(
            "`ddfa` needs a domain for every sample, and the data name none",
            hint="name the column (`domain`, tables) or file (`domains`, embeddings) in `data.source`",
        )
    domains = problem.domains[problem.labels < 0] if problem.novel_only else problem.domains

    def divide(part: Rows, k: int) -> Division:
        ids = np.unique(domains, return_inverse=True)[1].reshape(-1)
        _check_domains(ids, k)
        with progress.track("ddfa", config.folds) as tick:
            probabilities = domain_probabilities(part, ids, config, rng, tick)
            _note_chance(probabilities, ids, progress)
            cells = _cells(probabilities, min(max(config.cells or k, k), len(part)), config, rng)
            mixture = factorise(_cells_by_domain(cells, ids), k, iterations=config.iterations)
        clusters = adjust(probabilities, ids, mixture.classes_of_domain).argmax(axis=1)
        statistics = {
            "domains": int(ids.max()) + 1,
            "domain_accuracy": float((probabilities.argmax(axis=1) == ids).mean()),
            "largest_domain": float(np.bincount(ids).max() / len(ids)),
            "cells": len(np.unique(cells)),
            "condition": _condition(mixture.classes_of_domain),
        }
        return Division(_without_gaps(clusters), mixture.error, statistics=statistics)

    return cluster_without_labels(problem, rows, divide)


def _condition(shares: _Table) -> float | None:
    """Condition number of the shares of classes; None where they are singular: classes that no domain tells apart."""
    number = float(np.linalg.cond(shares))
    return number if np.isfinite(number) else None


def domain_probabilities(
    rows: Rows, domains: NDArray[np.int64], config: Ddfa, rng: np.random.Generator, tick: Tick
) -> _Table:
    """(n, domains) probability of each domain given the row, by a classifier that was trained without this row.

    Rows are standardised. Each domain is spread evenly over the folds; in a fold whose domain has no row elsewhere that
    domain has probability 0.
    """
    fold = np.empty(len(rows), np.int64)
    fold[np.lexsort((rng.random(len(rows)), domains))] = np.arange(len(rows)) % config.folds
    out = np.zeros((len(rows), domains.max() + 1))
    for number in np.unique(fold):
        training, scored = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        present = np.unique(domains[training])
        if len(present) < 2:
            out[np.ix_(scored, present)] = 1
        else:
            engine = _classifier(config, int(rng.integers(2**31)))
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # not converged: `domain_accuracy` tells how good it is
                engine.fit(rows[training], domains[training])
            out[np.ix_(scored, present)] = engine.predict_proba(rows[scored])
        tick()
    return out


def _classifier(config: Ddfa, seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    engine = (
        LogisticRegression(max_iter=_CLASSIFIER_ITERATIONS)
        if config.classifier == "logistic"
        else MLPClassifier((_HIDDEN,), early_stopping=True, max_iter=_CLASSIFIER_ITERATIONS, random_state=seed)
    )
    return make_pipeline(StandardScaler(), engine)


def factorise(cells_by_domain: _Table, k: int, *, iterations: int) -> Mixture:
    """The mixture of k classes that explains the (domains, m) shares of cells best (non-negative factorisation).

    It starts at k anchor cells (`anchors`) that are taken to hold one class each. A random start can end at any of the
    factorisations with the same error, of which there are many unless domains differ much.
    """
    from sklearn.decomposition import NMF

    profiles = _columns_to_one(cells_by_domain)  # p(d | cell), were domains of equal size
    corners = profiles[:, anchors(profiles, k)]
    parts = np.stack([nnls(corners, profile)[0] for profile in profiles.T], axis=1)
    start = corners, parts * cells_by_domain.sum(axis=0)
    engine = NMF(k, init="custom", max_iter=iterations)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not converged: the start is good
        shares = engine.fit_transform(cells_by_domain, W=start[0].copy(), H=start[1].copy())
    sizes = engine.components_.sum(axis=1)
    return Mixture(_rows_to_one(engine.components_), _rows_to_one(shares * sizes), float(engine.reconstruction_err_))


def anchors(profiles: _Table, k: int) -> NDArray[np.int64]:
    """k columns of the (domains, m) table that are corners of what the others are mixtures of.

    Successive projection (Araújo et al. 2001; Gillis & Vavasis 2014): the longest column, then again and again the one
    that is longest at right angles to those chosen.
    """
    rest = profiles.copy()
    chosen = np.empty(k, np.int64)
    for step in range(k):
        lengths = np.einsum("ij,ij->j", rest, rest)
        lengths[chosen[:step]] = -1
        chosen[step] = lengths.argmax()
        direction = rest[:, chosen[step]]
        size = float(direction @ direction)
        if size > 0:
            rest = rest - np.outer(direction, direction @ rest) / size
    return chosen


def adjust(probabilities: _Table, domains: NDArray[np.int64], classes_of_domain: _Table) -> _Table:
    """(n, k) how much each row looks like each class, knowing its domain: proportional to p(y | x, d), may be negative.

    p(d | y) follows from the shares of classes in domains and the sizes of the domains; p(d | x) = Σ p(d | y) p(y | x)
    is solved for p(y | x) by the pseudo-inverse; then p(y | x, d) ∝ p(y | x) p(d | y).
    """
    sizes = np.bincount(domains, minlength=len(classes_of_domain)) / len(domains)
    of_class = _columns_to_one(classes_of_domain * sizes[:, None])  # p(d | y)
    return probabilities @ np.linalg.pinv(of_class).T * of_class[domains]


def _cells(probabilities: _Table, count: int, config: Ddfa, rng: np.random.Generator) -> NDArray[np.int64]:
    """(n,) cell of each row: k-means of the domain probabilities."""
    partitions = fit(as_rows(probabilities), count, restarts=config.restarts, iterations=_KMEANS_ITERATIONS, rng=rng)
    return partitions[best_of(partitions)].labels


def _cells_by_domain(cells: NDArray[np.int64], domains: NDArray[np.int64]) -> _Table:
    """(domains, m) share of each domain's rows in each cell."""
    counts = np.zeros((domains.max() + 1, cells.max() + 1))
    np.add.at(counts, (domains, cells), 1)
    return _rows_to_one(counts)


def _columns_to_one(table: _Table) -> _Table:
    return _rows_to_one(table.T).T


def _rows_to_one(table: _Table) -> _Table:
    """Rows scaled to sum 1; one of zeros becomes uniform."""
    sums = table.sum(axis=1, keepdims=True)
    return np.where(sums > 0, table / np.where(sums > 0, sums, 1), 1 / table.shape[1])


def _without_gaps(clusters: NDArray[np.int64]) -> NDArray[np.int64]:
    """Clusters renumbered 0 …, those that no row is in left out."""
    return np.unique(clusters, return_inverse=True)[1].reshape(-1)


def _check_domains(domains: NDArray[np.int64], k: int) -> None:
    count = int(domains.max()) + 1
    if count < k:
        raise DataError(
            f"`ddfa` tells no more classes apart than there are domains: {counted(count, 'domain')} for "
            f"{counted(k, 'cluster')}",
            hint="give data from more domains, a smaller k, or another kind of clustering",
        )


def _note_chance(probabilities: _Table, domains: NDArray[np.int64], progress: Progress) -> None:
    accuracy = float((probabilities.argmax(axis=1) == domains).mean())
    chance = float(np.bincount(domains).max() / len(domains))
    if accuracy < chance + _NEAR_CHANCE:
        progress.note(
            f"domains can hardly be told apart (accuracy {accuracy:.2f}, the largest one alone {chance:.2f}): "
            "`ddfa` has little to go by"
        )
