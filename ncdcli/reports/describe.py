"""What can be said of each cluster: how large, how clear, what it is next to, and which samples stand for it.

Nothing here looks at the truth but `Purity`, which is shown and decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.rows import blocks
from ncdcli.reports.results import Results

CARD_SAMPLES = 2_400  # shown on all cards together, so that a page of 300 clusters stays small
REFERENCES = 4  # labelled samples that show what a known class looks like
TOP_CLASSES = 5


@dataclass(frozen=True)
class Neighbour:
    """The known class, or the cluster, whose centre is nearest."""

    cluster: int
    name: str
    distance: float  # between centres
    ratio: float  # the distance in units of the cluster's own radius


@dataclass(frozen=True)
class Purity:
    """True classes of the pool and test samples in a cluster, as far as they are known."""

    value: float  # share of the most frequent class
    counted: int
    classes: tuple[tuple[str, int], ...]  # most frequent first


@dataclass(frozen=True)
class Exemplars:
    """Rows that show what a cluster holds."""

    central: tuple[int, ...]  # nearest to the centre
    random: tuple[int, ...]
    borderline: tuple[int, ...]  # smallest margin


@dataclass(frozen=True)
class Description:
    """One cluster, or several that the user has merged."""

    cluster: int
    name: str
    match: str | None  # the known class that it stands for; None: novel
    named: bool
    note: str
    parts: tuple[int, ...]  # clusters that are merged into it; empty for most
    sizes: dict[str, int]  # role -> samples
    confidence: float | None  # mean margin of the pool samples; None where there are none
    radius: float  # root mean square distance of its samples to their centre
    nearest_known: Neighbour | None  # None for a known class where it is the only one
    nearest: Neighbour | None
    purity: Purity | None
    exemplars: Exemplars

    @property
    def novel(self) -> bool:
        return self.match is None

    @property
    def pool(self) -> int:
        """Unlabelled samples in it: what was discovered."""
        return self.sizes.get("unlabelled", 0)

    @property
    def size(self) -> int:
        return sum(self.sizes.values())


def describe_clusters(results: Results, rng: np.random.Generator, *, samples: int = 8) -> list[Description]:
    """A description of every cluster, merged ones together; novel clusters first, larger ones before smaller ones.

    `samples`: central, random and borderline samples of a cluster, each, at most; fewer where there are many clusters.
    """
    heads = sorted(set(results.names.into))
    each = min(samples, max(3, CARD_SAMPLES // (3 * max(len(heads), 1))))
    distances = own_distances(results)
    centres = _centres(results, heads)
    found = [_describe(results, cluster, centres, distances, rng, each) for cluster in heads]
    return sorted(found, key=lambda one: (not one.novel, -one.pool, one.cluster))


def own_distances(results: Results) -> NDArray[np.float32]:
    """(n,) Euclidean distance of each sample to the centre of its cluster."""
    out = np.empty(len(results.clusters), np.float32)
    centres = results.centroids.astype(np.float32)
    for part in blocks(len(out), 8192):
        rows = results.embeddings[part].astype(np.float32)
        out[part] = np.linalg.norm(rows - centres[results.clusters[part]], axis=1)
    return out


def references(results: Results, distances: NDArray[np.float32]) -> dict[str, list[int]]:
    """Known class -> its labelled rows nearest to the centre of their cluster."""
    labels = results.samples.training_labels
    found = {}
    for known, name in enumerate(results.samples.known):
        rows = np.flatnonzero(labels == known)
        found[name] = rows[np.argsort(distances[rows], kind="stable")[:REFERENCES]].tolist()
    return found


def _centres(results: Results, heads: Sequence[int]) -> dict[int, NDArray[np.float64]]:
    """Centre of each cluster; of merged ones the mean of their centres, weighted by size."""
    sizes = np.bincount(results.clusters, minlength=results.k)
    into = np.asarray(results.names.into)
    centres = {}
    for head in heads:
        parts = np.flatnonzero(into == head)
        weights = np.maximum(sizes[parts], 1)
        centres[head] = np.average(results.centroids[parts].astype(np.float64), axis=0, weights=weights)
    return centres


def _describe(
    results: Results,
    cluster: int,
    centres: dict[int, NDArray[np.float64]],
    distances: NDArray[np.float32],
    rng: np.random.Generator,
    each: int,
) -> Description:
    rows = np.flatnonzero(results.groups == cluster)
    pool = rows[results.samples.roles[rows] == "unlabelled"]
    roles, counts = np.unique(results.samples.roles[rows], return_counts=True)
    radius = float(np.sqrt(np.mean(np.square(distances[rows], dtype=np.float64)))) if len(rows) else 0.0
    known = None if results.is_novel(cluster) else results.samples.known[int(results.matched[cluster])]
    into = np.asarray(results.names.into)
    return Description(
        cluster=cluster,
        name=results.cluster_name(cluster),
        match=known,
        named=results.names.given[cluster],
        note="; ".join(filter(None, (results.names.notes[part] for part in np.flatnonzero(into == cluster)))),
        parts=tuple(int(part) for part in np.flatnonzero(into == cluster) if part != cluster),
        sizes=dict(zip(roles.tolist(), counts.tolist(), strict=True)),
        confidence=float(results.margins[pool].mean()) if len(pool) else None,
        radius=radius,
        nearest_known=_neighbour(results, cluster, centres, radius, known_only=True),
        nearest=_neighbour(results, cluster, centres, radius, known_only=False),
        purity=_purity(results, rows),
        exemplars=_exemplars(pool if len(pool) else rows, distances, results.margins, rng, each),
    )


def _neighbour(
    results: Results, cluster: int, centres: dict[int, NDArray[np.float64]], radius: float, *, known_only: bool
) -> Neighbour | None:
    others = [other for other in centres if other != cluster and not (known_only and results.is_novel(other))]
    if not others:
        return None
    gaps = [float(np.linalg.norm(centres[other] - centres[cluster])) for other in others]
    best = int(np.argmin(gaps))
    ratio = gaps[best] / radius if radius > 0 else float("inf")
    return Neighbour(others[best], results.cluster_name(others[best]), gaps[best], ratio)


def _purity(results: Results, rows: NDArray[np.int64]) -> Purity | None:
    scored = rows[np.isin(results.samples.roles[rows], ("unlabelled", "test"))]
    classes = results.truth.classes[scored]
    classes = classes[classes >= 0]
    if not len(classes) or not results.has_truth:
        return None
    counts = np.bincount(classes)
    order = np.argsort(-counts, kind="stable")[:TOP_CLASSES]
    top = tuple((results.truth.names[c], int(counts[c])) for c in order if counts[c])
    return Purity(float(counts.max() / len(classes)), len(classes), top)


def _exemplars(
    rows: NDArray[np.int64],
    distances: NDArray[np.float32],
    margins: NDArray[np.float32],
    rng: np.random.Generator,
    each: int,
) -> Exemplars:
    """Central, borderline and random rows, none twice where there are enough."""
    central = rows[np.argsort(distances[rows], kind="stable")[:each]]
    others = rows[~np.isin(rows, central)]
    borderline = others[np.argsort(margins[others], kind="stable")[:each]]
    others = others[~np.isin(others, borderline)]
    random = np.sort(rng.choice(others, min(each, len(others)), replace=False)) if len(others) else others
    return Exemplars(tuple(central.tolist()), tuple(random.tolist()), tuple(borderline.tolist()))


def as_json(description: Description, keys: Sequence[str]) -> dict[str, Any]:
    """The description for `clusters.json`; samples by key."""
    neighbours = {"nearest_known": description.nearest_known, "nearest": description.nearest}
    purity = description.purity
    shown = description.exemplars
    return {
        "cluster": description.cluster,
        "name": description.name,
        "named": description.named,
        "match": description.match,
        "novel": description.novel,
        "parts": list(description.parts),
        "note": description.note,
        "size": description.size,
        "sizes": description.sizes,
        "confidence": _rounded(description.confidence),
        "radius": _rounded(description.radius),
        **{
            what: near
            and {
                "cluster": near.cluster,
                "name": near.name,
                "distance": _rounded(near.distance),
                "ratio": _rounded(near.ratio) if np.isfinite(near.ratio) else None,
            }
            for what, near in neighbours.items()
        },
        "purity": purity
        and {"value": _rounded(purity.value), "counted": purity.counted, "classes": dict(purity.classes)},
        "samples": {
            what: [keys[row] for row in rows]
            for what, rows in (("central", shown.central), ("random", shown.random), ("borderline", shown.borderline))
        },
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
