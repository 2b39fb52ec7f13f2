"""The hierarchy of selective neighbours, and merges between its levels (CiPR, Hao, Han & Wong, TMLR 2024, section 3.3).

Where we differ from the released code: clusters that hold labelled rows of one class count as one cluster, and are one
in the end; merges are the nearest two means of all, known ones of the same class included.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from ncdcli.clustering.neighbours import nearest_neighbours
from ncdcli.clustering.rows import Rows, choose_frame, unit_rows
from ncdcli.clustering.sampled import cluster_means

_GRAM = 8192  # rows of a class up to which their products are computed at once (256 MB)


def levels(
    rows: Rows, labels: NDArray[np.int64], rng: np.random.Generator, *, spherical: bool = True
) -> list[NDArray[np.int64]]:
    """(n,) clusters 0 … m − 1 of all rows at each level of the hierarchy, the finest first.

    At the first level each unlabelled row (label -1) is joined to its nearest row of all, as in FINCH (Sarfraz et al.
    2019), and the labelled rows of each class to chains of ⌈√size⌉: from a row drawn at random to the nearest one of
    the class that is in no chain yet, and on. What is joined is a cluster; at the next level clusters take the place of
    rows, their means that of embeddings. So a cluster never holds two classes. Levels end when nothing is left to join.
    `spherical`: nearest by cosine.
    """
    if spherical:
        rows = unit_rows(rows)
    points, marks = rows, labels
    clusters = np.arange(len(rows))
    found: list[NDArray[np.int64]] = []
    while True:
        joined = _join(points, marks, rng)
        if len(joined) == 0 or joined.max() + 1 == len(joined):
            return found or [clusters]
        clusters = joined[clusters]
        found.append(clusters)
        marks = class_of_clusters(clusters, labels)
        means = cluster_means(rows, clusters).astype(np.float32)
        points = unit_rows(means) if spherical else means


def refine(
    rows: Rows, labels: NDArray[np.int64], partition: NDArray[np.int64], k: int, *, spherical: bool = True
) -> NDArray[np.int64]:
    """(n,) clusters 0 … k − 1, made of those of `partition` by merging the two with the nearest means again and again.

    See `merge_down`. Raises ValueError where the partition has fewer than k clusters, or labels have more classes.
    """
    return merge_down(rows, labels, partition, [k], spherical=spherical)[0]


def merge_down(
    rows: Rows,
    labels: NDArray[np.int64],
    partition: NDArray[np.int64],
    counts: Sequence[int],
    *,
    spherical: bool = True,
) -> list[NDArray[np.int64]]:
    """(n,) clusters of all rows at each of the `counts`, which are passed on the way down from `partition`.

    At each step the two clusters with the nearest means are merged (the lowest numbers of equally near ones), but never
    two that hold labelled rows of different classes. Clusters that hold rows of the same class count as one, and are
    united in the answer. Quadratic in the number of clusters.
    """
    merger = _Merger(rows, labels, partition, spherical)
    most, least = merger.count, len(np.unique(labels[labels >= 0]))
    if not all(max(least, 1) <= count <= most for count in counts):
        raise ValueError(f"{most} clusters with {least} known classes among them cannot be merged to {list(counts)}")
    answers: dict[int, NDArray[np.int64]] = {}
    for count in sorted(set(counts), reverse=True):
        while merger.count > count:
            merger.step()
        answers[count] = merger.clusters()
    return [answers[count] for count in counts]


def count_clusters(partition: NDArray[np.int64], labels: NDArray[np.int64]) -> int:
    """Number of clusters, those that hold labelled rows of the same class being one."""
    marks = class_of_clusters(partition, labels)
    return int((marks < 0).sum()) + len(np.unique(marks[marks >= 0]))


def unite(partition: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n,) the clusters, those that hold rows of the same class made one, numbered in the order of first rows."""
    marks = class_of_clusters(partition, labels)
    names = np.where(marks >= 0, marks, marks.max(initial=-1) + 1 + np.arange(len(marks)))[partition]
    _, first, clusters = np.unique(names, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[clusters.reshape(-1)]


def class_of_clusters(partition: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """(m,) class of the labelled rows that each cluster holds, -1 for none."""
    out = np.full(partition.max(initial=-1) + 1, -1, np.int64)
    np.maximum.at(out, partition, labels)
    return out


def _join(points: Rows, marks: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """(m,) cluster of each point, numbered in the order of first points: those that selective neighbours connect."""
    links = np.arange(len(points))
    unlabelled = np.flatnonzero(marks < 0)
    nearest, _ = nearest_neighbours(points, 1, of=unlabelled)
    if nearest.shape[1]:
        links[unlabelled] = nearest[:, 0]
    for number in np.unique(marks[marks >= 0]):
        members = np.flatnonzero(marks == number)
        links[members] = members[_chains(points[members], rng)]
    graph = coo_matrix((np.ones(len(links), np.int8), (np.arange(len(links)), links)), shape=(len(links), len(links)))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _chains(points: Rows, rng: np.random.Generator) -> NDArray[np.int64]:
    """(m,) next point in the chain of each, itself at the end of one."""
    m = len(points)
    points = choose_frame(points).enter(points)
    links = np.arange(m)
    length = int(np.ceil(np.sqrt(m)))
    products = points @ points.T if m <= _GRAM else None
    half_squares = np.einsum("ij,ij->i", points, points) / 2
    taken = np.zeros(m, bool)
    for start in rng.permutation(m):
        if taken[start]:
            continue
        tip = start
        taken[tip] = True
        for _ in range(length - 1):
            closeness = (points @ points[tip] if products is None else products[tip]) - half_squares
            closeness[taken] = -np.inf
            following = int(closeness.argmax())
            if taken[following]:
                break
            links[tip] = following
            tip = following
            taken[tip] = True
    return links


class _Merger:
    """Clusters that are merged one pair at a time; a merged one lives in the place of the lower number."""

    def __init__(self, rows: Rows, labels: NDArray[np.int64], partition: NDArray[np.int64], spherical: bool) -> None:
        if spherical:
            rows = unit_rows(rows)
        self.partition, self.labels = partition, labels
        self.spherical = spherical
        self.sizes = np.bincount(partition).astype(np.float64)
        self.sums = cluster_means(rows, partition) * self.sizes[:, None]
        self.marks = class_of_clusters(partition, labels)
        self.count = count_clusters(partition, labels)
        self.place = np.arange(len(self.sizes))  # cluster of the partition -> where it lives now
        self.origin = np.zeros(rows.shape[1]) if spherical else self.sums.sum(axis=0) / len(rows)
        self.points = self._points(np.arange(len(self.sizes)))
        self.distances = self._distances(np.arange(len(self.sizes)))
        self.nearest = self.distances.argmin(axis=1)
        self.least = self.distances[np.arange(len(self.nearest)), self.nearest]

    def step(self) -> None:
        """Merge the nearest two."""
        one = int(self.least.argmin())
        kept, gone = sorted((one, int(self.nearest[one])))
        if self.marks[kept] < 0 or self.marks[gone] < 0:
            self.count -= 1
        self.marks[kept] = max(self.marks[kept], self.marks[gone])
        self.sizes[kept] += self.sizes[gone]
        self.sums[kept] += self.sums[gone]
        self.place[self.place == gone] = kept
        self.distances[gone] = self.distances[:, gone] = self.least[gone] = np.inf
        self.sizes[gone] = 0
        self.points[kept] = self._points(np.array([kept]))[0]
        new = self._distances(np.array([kept]))[0]
        self.distances[kept] = self.distances[:, kept] = new
        nearer = (new < self.least) | ((new == self.least) & (kept < self.nearest))
        lost = np.isin(self.nearest, (kept, gone)) & ~nearer
        self.nearest[nearer], self.least[nearer] = kept, new[nearer]
        lost[kept] = True
        for cluster in np.flatnonzero(lost & (self.sizes > 0)):
            self.nearest[cluster] = self.distances[cluster].argmin()
            self.least[cluster] = self.distances[cluster, self.nearest[cluster]]

    def clusters(self) -> NDArray[np.int64]:
        """(n,) clusters now, those of a class united, numbered in the order of first rows."""
        return unite(self.place[self.partition], self.labels)

    def _points(self, clusters: NDArray[np.int64]) -> NDArray[np.float64]:
        """Means of clusters, of unit length where `spherical`, else near the origin: for distances by GEMM."""
        means = self.sums[clusters] / self.sizes[clusters, None] - self.origin
        if not self.spherical:
            return means
        lengths = np.linalg.norm(means, axis=1, keepdims=True)
        return means / np.where(lengths > 0, lengths, 1.0)

    def _distances(self, clusters: NDArray[np.int64]) -> NDArray[np.float64]:
        """(clusters, m) squared distances of their means to all; infinite where a merge is not allowed."""
        lengths = np.einsum("ij,ij->i", self.points, self.points)
        out = lengths[clusters, None] - 2 * self.points[clusters] @ self.points.T + lengths
        np.maximum(out, 0, out=out)
        marks = self.marks[clusters, None]
        out[(self.sizes == 0) | ((self.marks >= 0) & (marks >= 0) & (self.marks != marks))] = np.inf
        out[np.arange(len(clusters)), clusters] = np.inf
        return out
