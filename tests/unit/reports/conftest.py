"""Results of a run without a run folder: blobs, some known and some novel."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from ncdcli.data.samples import Samples
from ncdcli.metrics.truth import Truth
from ncdcli.naming import Names, default_names, make_clusters
from ncdcli.reports.results import Results

NAMES = ("ant", "bee", "cat", "dog", "eel", "fox", *(f"class {number}" for number in range(6, 300)))


@pytest.fixture
def make_results() -> Callable[..., Results]:
    """make_results(clusters=…, classes=…, n_known=2, roles=…) -> Results of rows around the centres of their class."""

    def make(
        classes: Sequence[int],
        clusters: Sequence[int] | None = None,
        *,
        n_known: int = 2,
        roles: Sequence[str] | None = None,
        truth: bool = True,
        into: Sequence[int] | None = None,
        distance: float = 10.0,
        setting: str = "gcd",
    ) -> Results:
        of, at = np.asarray(classes), np.asarray(classes if clusters is None else clusters)
        k = int(at.max()) + 1
        rng = np.random.default_rng(0)
        middles = distance * np.eye(max(k, of.max() + 1), 12)
        embeddings = (middles[of] + rng.normal(size=(len(of), 12))).astype(np.float32)
        centroids = np.stack([embeddings[at == c].mean(axis=0) if (at == c).any() else middles[c] for c in range(k)])
        role = np.array(roles if roles is not None else ["unlabelled"] * len(of))
        labels = np.where(np.isin(role, ("labelled", "validation")), of, -1)
        known = NAMES[:n_known]
        matched = [c if c < n_known else -1 for c in range(k)]
        clustering = {"k": k, "matched": matched, "sizes": np.bincount(at, minlength=k).tolist()}
        names = default_names(make_clusters(clustering, known))
        if into is not None:
            merged = tuple(names.names[c] for c in into)
            names = Names(merged, tuple(into), (False,) * k, ("",) * k)
        gaps = np.linalg.norm(embeddings[:, None] - centroids[None], axis=2)
        own = gaps[np.arange(len(at)), at]
        gaps[np.arange(len(at)), at] = np.inf
        other = gaps.min(axis=1) if k > 1 else own
        confusion = np.zeros((k, len(NAMES)), np.int64)
        np.add.at(confusion, (at[role == "unlabelled"], of[role == "unlabelled"]), 1)
        matching = {
            "splits": {"unlabelled": {str(c): NAMES[c] if c < len(NAMES) else None for c in range(k)}},
            "confusion": {"split": "unlabelled", "columns": list(NAMES)},
        }
        return Results(
            samples=Samples(tuple(f"s/{row}" for row in range(len(of))), role, labels, known, setting),
            embeddings=embeddings,
            clusters=at,
            margins=((other - own) / np.maximum(other, own)).astype(np.float32),
            centroids=centroids.astype(np.float32),
            matched=np.array(matched),
            truth=Truth(of if truth else labels, NAMES if truth else known),
            clustering=clustering,
            counting={},
            candidates=[],
            metrics={},
            matching=matching if truth else {},
            per_class=[],
            confusion=confusion if truth else None,
            training={},
            names=names,
            named=into is not None,
            names_left_out=False,
        )

    return make
