"""Which clusters may be one, and which may be several: close pairs without a gap, and clusters with one inside.

Both look at a density along one line: between the centres of two clusters, or from a part of one, found by k-means, to
the rest of it. A line that was chosen by looking at samples separates these samples even where there is nothing to
separate (in many dimensions any two halves of noise do). Therefore the line is drawn from one half of the samples, and
the density is that of the other half, and the same the other way round.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

Values = NDArray[np.floating]

ROWS = 400  # of a cluster that are looked at, drawn
LEAST = 20  # samples of a cluster below which nothing is suggested
NEIGHBOURS = 3  # nearest clusters of a novel one that it is compared with
NO_GAP = 0.7  # the density in the gap, as a share of the lower peak, from which two clusters may be one
GAP = 0.4  # the same, below which one cluster may be several
SMALLEST_PART = 0.12  # of a cluster that may be several
PARTS = (2, 3)  # that are looked for in a cluster: where there are three, no two halves of it have a gap between them
GRID = 128


@dataclass(frozen=True)
class Merge:
    """Two clusters that may be one."""

    clusters: tuple[int, int]
    valley: float  # density between them as a share of the lower peak: 1 is no gap, 0 an empty one
    undecided: float  # share of their samples that are nearly as near to the other centre
    rows: int


@dataclass(frozen=True)
class Split:
    """A cluster that may be several: a part of it lies apart from the rest."""

    cluster: int
    valley: float  # density between the part and the rest as a share of the lower peak, the greater of both halves'
    parts: tuple[int, int]  # how many of the samples looked at lie on either side
    rows: int
    examples: tuple[tuple[int, ...], tuple[int, ...]]  # rows well inside either side


def suggest_merges(
    values: Values,
    groups: NDArray[np.int64],
    *,
    novel: Sequence[int],
    known: Sequence[int],
    rng: np.random.Generator,
) -> list[Merge]:
    """Pairs with no gap between them, the least gap first: a novel cluster and one of the clusters nearest to it.

    `values`: (n, d) embeddings or principal components; `groups`: (n,) cluster of each row. Two known classes are
    never suggested: the labels say that they differ.
    """
    members = {cluster: _draw(np.flatnonzero(groups == cluster), rng) for cluster in (*novel, *known)}
    members = {cluster: rows for cluster, rows in members.items() if len(rows) >= LEAST}
    centres = {cluster: values[rows].mean(axis=0) for cluster, rows in members.items()}
    found = []
    for one, other in _close_pairs(centres, novel):
        count = min(len(members[one]), len(members[other]))
        pair = [rng.permutation(members[cluster])[:count] for cluster in (one, other)]
        projected = _between(values[pair[0]], values[pair[1]])
        valley = valley_of(projected)
        if valley >= NO_GAP:
            undecided = float((np.abs(projected) < 0.1).mean())
            found.append(Merge((one, other), round(valley, 4), round(undecided, 4), 2 * count))
    return sorted(found, key=lambda merge: (-merge.valley, merge.clusters))


def suggest_splits(
    values: Values, groups: NDArray[np.int64], *, clusters: Iterable[int], rng: np.random.Generator
) -> list[Split]:
    """Clusters with an empty stretch inside, the emptiest first."""
    with threadpool_limits(1):  # once: to ask which libraries there are takes longer than a small k-means
        drawn = [(cluster, _draw(np.flatnonzero(groups == cluster), rng)) for cluster in clusters]
        splits = [_split(values, cluster, rows, rng) for cluster, rows in drawn if len(rows) >= 2 * LEAST]
    return sorted(filter(None, splits), key=lambda split: (split.valley, split.cluster))


def _split(values: Values, cluster: int, rows: NDArray[np.int64], rng: np.random.Generator) -> Split | None:
    best = min((_apart(values[rows], parts, rng) for parts in PARTS), key=lambda pair: pair[0])
    valley, projected = best
    if valley >= GAP:
        return None
    sides = [np.flatnonzero(projected < 0), np.flatnonzero(projected >= 0)]
    inside = [side[np.argsort(np.abs(projected[side] - np.median(projected[side])))[:4]] for side in sides]
    examples = (tuple(rows[inside[0]].tolist()), tuple(rows[inside[1]].tolist()))
    return Split(cluster, round(valley, 4), (len(sides[0]), len(sides[1])), len(rows), examples)


def valley_of(projected: Values) -> float:
    """Least density between the two peaks, one below 0 and one above, as a share of the lower peak; 1: no valley.

    A Gaussian kernel density, its width by Silverman's rule from the spread within the two sides.
    """
    left, right = projected[projected < 0], projected[projected >= 0]
    if len(left) < 2 or len(right) < 2:
        return 1.0
    spread = np.sqrt((left.var() * len(left) + right.var() * len(right)) / len(projected))
    width = max(0.9 * float(spread) * len(projected) ** -0.2, 1e-9)
    grid = np.linspace(projected.min(), projected.max(), GRID)
    density = np.exp(-0.5 * ((grid[:, None] - projected[None, :]) / width) ** 2).mean(axis=1)
    below, above = np.flatnonzero(grid < 0), np.flatnonzero(grid >= 0)
    if not len(below) or not len(above):
        return 1.0
    first, second = below[density[below].argmax()], above[density[above].argmax()]
    lowest = density[first : second + 1].min()
    return float(lowest / max(min(density[first], density[second]), 1e-300))


def with_rows(split: Split, rows: NDArray[np.int64]) -> Split:
    """The split with its examples as row numbers of the run, of which `rows` were looked at."""
    first, second = (tuple(rows[list(side)].tolist()) for side in split.examples)
    return replace(split, examples=(first, second))


def as_json(suggestion: Merge | Split, keys: Sequence[str]) -> dict[str, Any]:
    """The suggestion for `clusters.json`; samples by key."""
    content = asdict(suggestion)
    if isinstance(suggestion, Split):
        content["examples"] = [[keys[row] for row in side] for side in suggestion.examples]
    return content


def _close_pairs(centres: dict[int, Values], novel: Sequence[int]) -> list[tuple[int, int]]:
    """Each novel cluster with its nearest ones, every pair once."""
    numbers = list(centres)
    if len(numbers) < 2:
        return []
    matrix = np.stack([centres[number] for number in numbers]).astype(np.float64)
    pairs = set()
    for position, number in enumerate(numbers):
        if number not in novel:
            continue
        gaps = np.linalg.norm(matrix - matrix[position], axis=1)
        for other in np.argsort(gaps, kind="stable")[1 : NEIGHBOURS + 1]:
            pairs.add((min(number, numbers[other]), max(number, numbers[other])))
    return sorted(pairs)


def _between(one: Values, other: Values) -> Values:
    """(m,) position of the samples of two clusters on the line between the centres: −1 and 1, half from either half."""
    placed = []
    for half in (0, 1):
        first, second = one[half::2].mean(axis=0), other[half::2].mean(axis=0)
        held_out = np.concatenate([one[1 - half :: 2], other[1 - half :: 2]])
        placed.append(_on_line(held_out, first, second))
    return np.concatenate(placed)


def _apart(values: Values, parts: int, rng: np.random.Generator) -> tuple[float, Values]:
    """The least gap between one of some parts and the rest, and (m,) positions on that line; 1 where a side is small.

    Where the samples lie is measured twice, with lines from either half; the fuller of both gaps counts, and the
    positions are those on a line from all samples.
    """
    order = rng.permutation(len(values))
    halves = order[::2], order[1::2]
    valleys = []
    for drawn, held_out in (halves, halves[::-1]):
        lines = _lines(values[drawn], parts, rng)
        valleys.append(min((_gap(_on_line(values[held_out], *line)) for line in lines), default=1.0))
    if max(valleys) >= GAP:
        return max(valleys), np.zeros(len(values))
    placed = [_on_line(values, *line) for line in _lines(values, parts, rng)]
    return max(valleys), min(placed, key=_gap)


def _gap(projected: Values) -> float:
    """The valley; 1 where one side holds too little."""
    smaller = min(int((projected < 0).sum()), int((projected >= 0).sum()))
    return valley_of(projected) if smaller >= max(SMALLEST_PART * len(projected), LEAST / 4) else 1.0


def _lines(values: Values, parts: int, rng: np.random.Generator) -> list[tuple[Values, Values]]:
    """Centre of each part that k-means finds, with that of all the others."""
    from sklearn.cluster import KMeans

    found = KMeans(parts, n_init=2, random_state=int(rng.integers(2**31))).fit_predict(values)
    sides = [found == part for part in range(1 if parts == 2 else parts)]
    return [(values[side].mean(axis=0), values[~side].mean(axis=0)) for side in sides if side.any() and not side.all()]


def _on_line(values: Values, first: Values, second: Values) -> Values:
    """(m,) positions on the line through two points, which lie at −1 and 1."""
    line = (second - first).astype(np.float64)
    square = float(line @ line)
    if square == 0:
        return np.zeros(len(values))
    return 2 * ((values - (first + second) / 2) @ line) / square


def _draw(rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    return rows if len(rows) <= ROWS else np.sort(rng.choice(rows, ROWS, replace=False))
