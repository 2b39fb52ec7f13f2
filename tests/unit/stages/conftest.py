"""A run folder that is embedded, for the stages after it."""

import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest

from ncdcli.clustering.kinds import SemiKMeans
from ncdcli.counting.kinds import Fixed
from ncdcli.data.samples import Samples
from ncdcli.pipeline.context import Resources, SilentProgress, StageContext, stage_stream
from ncdcli.recipe.schema import EvaluateConfig
from ncdcli.stages import cluster, estimate_k, evaluate

CLASSES = ("ant", "bee", "cat", "dog")  # the first two are known


class EmbeddedRun:
    """A run folder with `split` and `embed` done: four blobs in five dimensions, 40 train and 10 test rows each."""

    def __init__(self, folder, *, setting="gcd", truth="all", test=True, seed=0):
        rng = np.random.default_rng(seed)
        self.folder = folder
        middles = np.eye(4, 5) * 6
        classes = np.repeat(np.arange(4), 50)
        roles = np.tile(["labelled"] * 15 + ["validation"] * 5 + ["unlabelled"] * 20 + ["test"] * 10, 4)
        novel = classes >= 2
        roles[novel & (roles != "test")] = "unlabelled"
        if setting == "ncd":
            roles[~novel & (roles == "unlabelled")] = "labelled"
        keep = roles != "test" if not test else np.ones(len(roles), bool)
        classes, roles = classes[keep], roles[keep]
        self.classes, self.roles = classes, roles
        self.embeddings = (middles[classes] + rng.normal(size=(len(classes), 5))).astype(np.float32)
        labels = np.where(np.isin(roles, ["labelled", "validation"]), classes, -1)
        keys = tuple(f"sample/{row}" for row in range(len(classes)))
        for name in ("split", "embed", "estimate_k", "cluster", "evaluate"):
            (folder / name).mkdir(parents=True)
        Samples(keys, roles, labels, CLASSES[:2], setting).write(folder / "split")
        np.save(folder / "embed" / "embeddings.npy", self.embeddings)
        self.write_truth(truth if not isinstance(truth, str) else None if truth == "none" else classes >= 0)

    def write_truth(self, known):
        path = self.folder / "split" / "truth.csv"
        path.unlink(missing_ok=True)
        if known is not None:
            lines = [f"{row},{CLASSES[c] if known[row] else ''}" for row, c in enumerate(self.classes)]
            path.write_text("\n".join(["row,class", *lines]) + "\n")

    def context(self, stage):
        inputs = {
            str(path.relative_to(self.folder)): path
            for path in self.folder.rglob("*.*")
            if path.parent.name != "evaluate" and (stage == "evaluate" or path.name != "truth.csv")
        }
        return StageContext(inputs, self.folder / stage, stage_stream(0, stage), Resources(), SilentProgress())

    def stage(self, module, name, **config):
        module.run(self.context(name), SimpleNamespace(**config))

    def go(self, *, k=4, kind=None, **options):
        self.stage(estimate_k, "estimate_k", estimate_k=k if not isinstance(k, int) else Fixed(k=k))
        self.stage(cluster, "cluster", cluster=kind or SemiKMeans(restarts=3))
        self.stage(evaluate, "evaluate", evaluate=EvaluateConfig(**options))
        return self.json("evaluate/metrics.json")

    def json(self, name):
        return json.loads((self.folder / name).read_text())

    def rows(self, name):
        with open(self.folder / name, newline="") as file:
            return list(csv.DictReader(file))


@pytest.fixture
def make_run(tmp_path):
    """make_run(name="run", **options) -> EmbeddedRun"""
    return lambda name="run", **options: EmbeddedRun(tmp_path / name, **options)
