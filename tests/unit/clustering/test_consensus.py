"""Consensus of partitions, against k-means of their one-hot codes written out."""

from __future__ import annotations

import numpy as np
import pytest

from ncdcli.clustering.consensus import consensus


def obvious(partitions, k, pinned):
    """Lloyd from each partition, on dense one-hot rows, every row and pinned row by itself."""
    codes = np.concatenate([np.eye(k)[labels] for labels in partitions], axis=1)
    held = np.repeat(np.arange(k), pinned)
    held_codes = np.tile(np.eye(k)[held], (1, len(partitions)))
    best = None
    for start in partitions:
        labels = start
        for _ in range(60):
            centres = np.full((k, codes.shape[1]), np.inf)
            for c in range(k):
                rows = np.concatenate([codes[labels == c], held_codes[held == c]])
                if len(rows):
                    centres[c] = rows.mean(axis=0)
            squared = np.square(codes[:, None] - np.where(np.isfinite(centres), centres, 1e6)[None]).sum(axis=2)
            new = np.round(squared, 9).argmin(axis=1)
            if (new == labels).all():
                break
            labels = new
        total = squared[np.arange(len(labels)), labels].sum() + np.square(held_codes - centres[held]).sum()
        if best is None or total < best[1] - 1e-9:
            best = labels, total
    return best[0], best[1] / (len(partitions) * (codes.shape[0] + len(held)))


@pytest.mark.parametrize("seed", range(50))
def test_same_partition_as_one_hot_k_means(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, k, count = int(rng.integers(5, 80)), int(rng.integers(1, 7)), int(rng.integers(1, 6))
    truth = rng.integers(k, size=n)
    partitions = np.stack(
        [np.where(rng.random(n) < 0.3, rng.integers(k, size=n), rng.permutation(k)[truth]) for _ in range(count)]
    )
    pinned = rng.integers(0, 5, size=k) * (rng.random() < 0.5)
    expected, disagreement = obvious(partitions, k, pinned)
    labels, found = consensus(partitions, k, pinned=pinned)
    assert found == pytest.approx(disagreement, abs=1e-9)
    assert found <= disagreement + 1e-9
    np.testing.assert_array_equal(labels[:, None] == labels, expected[:, None] == expected)  # up to numbering


def test_what_all_agree_on_is_the_consensus_whatever_the_numbers() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(6, size=200)
    partitions = np.stack([rng.permutation(6)[truth] for _ in range(5)])
    labels, disagreement = consensus(partitions, 6)
    assert disagreement == 0
    assert len(set(zip(labels.tolist(), truth.tolist(), strict=True))) == 6


def test_errors_of_single_partitions_are_outvoted() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(4, size=400)
    partitions = []
    for part in range(5):  # each partition is wrong about another fifth of the rows
        labels = truth.copy()
        wrong = np.arange(400) % 5 == part
        labels[wrong] = (labels[wrong] + 1) % 4
        partitions.append(rng.permutation(4)[labels])
    labels, _ = consensus(np.stack(partitions), 4)
    assert len(set(zip(labels.tolist(), truth.tolist(), strict=True))) == 4
