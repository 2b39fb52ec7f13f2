import numpy as np
import pytest

from ncdcli.clustering.restarts import best_of, fit
from ncdcli.counting.base import CountProblem
from ncdcli.pipeline.context import SilentProgress


class Recorder(SilentProgress):
    """Progress that keeps what it was told."""

    def __init__(self):
        self.notes = []
        super().__init__(self.notes.append)


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def make_blobs():
    """Problems of blobs along the axes, half of the known ones labelled (NCD: all)."""

    def make(*, k=8, n_known=4, each=30, d=8, spread=9.0, novel_only=False, seed=0):
        rng = np.random.default_rng(seed)
        classes = np.repeat(np.arange(k), each)
        rows = np.eye(k, d)[classes] * spread + rng.normal(size=(k * each, d))
        labels = np.where(classes < n_known, classes, -1)
        if not novel_only:
            labels[::2] = -1
        return CountProblem(rows.astype(np.float32), labels, n_known, novel_only)

    return make


@pytest.fixture
def key():
    """The key of the random streams of an estimate that is given `default_rng(0)`."""
    return int(np.random.default_rng(0).integers(2**63))


@pytest.fixture
def best_partition(key):
    """Labels of the k-means that an estimate looks at for candidate k."""

    def find(rows, clusters, *, k, restarts):
        runs = fit(
            rows, clusters, restarts=restarts, iterations=100, seeding="greedy", rng=np.random.default_rng([key, k])
        )
        return runs[best_of(runs)].labels

    return find
