"""Maps: embeddings laid out in the plane, by PCA at once and by t-SNE or UMAP for what lies close together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigh
from threadpoolctl import threadpool_limits

from ncdcli.clustering.rows import blocks
from ncdcli.pipeline.context import Progress

MAP_ROWS = 20_000  # points of a map at most
TSNE_ROWS = 2_000  # a t-SNE of more would take longer than all the rest of the page
UMAP_ROWS = 10_000
FIT_ROWS = 5_000  # PCA is fitted on so many, drawn
WIDTH = 50  # dimensions that PCA leaves for what follows it
ITERATIONS = 500
PERPLEXITY = 20.0


@dataclass(frozen=True)
class Map:
    """A layout of some rows."""

    name: str
    note: str
    rows: NDArray[np.int64]  # (m,) row numbers, ascending
    points: NDArray[np.float32]  # (m, 2)


@dataclass(frozen=True)
class Axes:
    """Principal axes of the embeddings."""

    mean: NDArray[np.float64]  # (d,)
    axes: NDArray[np.float64]  # (w, d), the widest first, signs fixed
    shares: NDArray[np.float64]  # (w,) of the variance

    def project(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """(m, w) coordinates of rows."""
        out = np.empty((len(rows), len(self.axes)), np.float32)
        for part in blocks(len(rows), 4096):
            out[part] = (rows[part] - self.mean) @ self.axes.T
        return out


def choose_rows(clusters: NDArray[np.int64], most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Ascending rows: all, or `most` of them, each cluster with its share but small ones whole up to their due.

    Each cluster gets the lesser of its size and an equal part of what is left, from the smallest to the largest,
    averaged with its proportional share, so that a cluster of ten among a million is still seen.
    """
    n = len(clusters)
    if n <= most:
        return np.arange(n)
    numbers, sizes = np.unique(clusters, return_counts=True)
    share = sizes / n * most
    floor = np.minimum(sizes, most / (2 * len(numbers)))
    wanted = np.maximum(np.floor(share * (1 - floor.sum() / most) + floor), 1).astype(np.int64)
    chosen = [
        rng.choice(np.flatnonzero(clusters == number), min(count, size), replace=False)
        for number, count, size in zip(numbers.tolist(), wanted.tolist(), sizes.tolist(), strict=True)
    ]
    rows = np.concatenate(chosen)
    return np.sort(rows if len(rows) <= most else rng.choice(rows, most, replace=False))


def principal_axes(embeddings: NDArray[Any], rows: NDArray[np.int64], *, width: int = WIDTH) -> Axes:
    """The widest axes of some rows, by the eigenvectors of their covariance: exact, and quick up to some thousand
    dimensions. The sign of an axis is that of its largest part."""
    values = embeddings[rows].astype(np.float64)
    mean = values.mean(axis=0)
    values -= mean
    tall = len(values) >= values.shape[1]
    gram = values.T @ values if tall else values @ values.T
    side = len(gram)
    variances, vectors = eigh(gram, subset_by_index=[max(side - width, 0), side - 1])
    variances, vectors = np.maximum(variances[::-1], 0), vectors[:, ::-1]
    if not tall:
        vectors = values.T @ vectors
        lengths = np.linalg.norm(vectors, axis=0)
        vectors = vectors / np.where(lengths > 0, lengths, 1)
    signs = np.sign(vectors[np.abs(vectors).argmax(axis=0), np.arange(vectors.shape[1])])
    total = float(np.trace(gram))
    return Axes(mean, (vectors * np.where(signs == 0, 1, signs)).T, variances / total if total > 0 else variances)


def make_maps(
    embeddings: NDArray[Any],
    clusters: NDArray[np.int64],
    axes: Axes,
    *,
    kind: str,
    rng: np.random.Generator,
    progress: Progress,
) -> list[Map]:
    """The PCA map, and that of `kind` ("tsne" or "umap") where there are enough samples for it."""
    rows = choose_rows(clusters, MAP_ROWS, rng)
    reduced = axes.project(embeddings[rows])
    maps = [Map("PCA", _pca_note(axes, len(rows), len(clusters)), rows, _plane(reduced))]
    most = TSNE_ROWS if kind == "tsne" else UMAP_ROWS
    picked = choose_rows(clusters[rows], most, rng)
    if kind == "pca" or len(picked) < 8 or reduced.shape[1] < 3:
        return maps
    title = "t-SNE" if kind == "tsne" else "UMAP"
    with progress.track(f"report: {title} map", 1) as tick:
        points = _tsne(reduced[picked], rng) if kind == "tsne" else _umap(reduced[picked], rng)
        tick()
    note = f"{title} of {_of(len(picked), len(clusters))}; near is alike, far says little"
    return [Map(title, note, rows[picked], points), *maps]


def _tsne(values: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """(m, 2) by scikit-learn, in one thread: the same everywhere, and threads that wait for each other made it ten
    times slower on a busy machine."""
    from sklearn.manifold import TSNE

    perplexity = min(PERPLEXITY, (len(values) - 1) / 4)
    start = _plane(values) / max(float(values[:, 0].std()), 1e-12) * 1e-4  # as scikit-learn scales its own start
    method = TSNE(
        perplexity=perplexity, init=start, angle=0.8, max_iter=ITERATIONS, learning_rate="auto",
        random_state=int(rng.integers(2**31)),
    )  # fmt: skip
    with threadpool_limits(1):
        return method.fit_transform(values).astype(np.float32)


def _umap(values: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    import umap

    method = umap.UMAP(n_neighbors=min(15, len(values) - 1), random_state=int(rng.integers(2**31)), n_jobs=1)
    return np.asarray(method.fit_transform(values), np.float32)


def _plane(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The first two columns; zeros for those that are not there."""
    plane = np.zeros((len(values), 2), np.float32)
    plane[:, : min(2, values.shape[1])] = values[:, :2]
    return plane


def _pca_note(axes: Axes, shown: int, total: int) -> str:
    share = float(axes.shares[:2].sum())
    return f"PCA of {_of(shown, total)}; two axes hold {100 * share:.0f} % of the variance"


def _of(shown: int, total: int) -> str:
    return f"{shown:,} of {total:,} samples" if shown < total else f"{total:,} samples"
