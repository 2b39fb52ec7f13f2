"""Seconds of the whole `evaluate` stage on 1,000,000 samples in 1,000 classes, by part.

    python scripts/bench/evaluate.py [--rows N] [--classes K]

Makes the folders that the stages before it would have written (embeddings of 16 values), and runs the stage as the
runner does with the default settings: reading, all protocols, tables, silhouette, writing; re-clusterings with other
seeds where they are affordable, which they are not with 1,000 classes.
Beside it: the published code of category discovery fills its contingency table in a Python loop over samples; that
loop is timed here on fewer rows and scaled. Both sides run in this process.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from ncdcli.clustering.kinds import SemiKMeans
from ncdcli.data.columns import write_columns
from ncdcli.data.samples import Samples
from ncdcli.metrics.contingency import contingency
from ncdcli.pipeline.context import Resources, SilentProgress, StageContext, stage_stream
from ncdcli.recipe.base import fields_that_matter
from ncdcli.recipe.schema import EvaluateConfig
from ncdcli.stages import evaluate

LOOP_ROWS = 200_000
DIM = 16
# What the stage calls -> how it is shown. Read where the stage looks it up, so that the stage itself is unchanged.
PARTS = {
    "read_inputs": "samples.csv, embeddings.npy",
    "read_assignments": "assignments.csv",
    "read_truth": "truth.csv",
    "_score": "protocols",
    "_silhouette": "silhouette of 5,000 rows",
    "_stability": "stability",
    "_write_tables": "matching.json, per_class.csv, confusion.npy",
}


def make_run(folder: Path, rows: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Writes what the stages before `evaluate` write; (clusters, classes), right for about 60 % of the rows.

    Half of the classes are known, and half of their samples are labelled.
    """
    rng = np.random.default_rng(0)
    truth = rng.integers(classes, size=rows)
    clusters = np.where(rng.random(rows) < 0.6, truth, rng.integers(classes, size=rows))
    n_known = classes // 2
    labelled = (truth < n_known) & (rng.random(rows) < 0.5)
    clusters[labelled] = truth[labelled]
    centroids = rng.normal(size=(classes, DIM)).astype(np.float32)
    for stage in ("split", "pretrain", "embed", "cluster", "evaluate"):
        (folder / stage).mkdir()
    names = [f"class-{c}" for c in range(classes)]
    keys = tuple(f"train/{row:07d}.png" for row in range(rows))
    roles = np.where(labelled, "labelled", "unlabelled")
    samples = Samples(keys, roles, np.where(labelled, truth, -1), tuple(names[:n_known]), "gcd")
    samples.write(folder / "split")
    write_columns(folder / "split" / "truth.csv", {"row": range(rows), "class": [names[c] for c in truth.tolist()]})
    (folder / "pretrain" / "model.json").write_text("{}")
    noise = rng.normal(scale=0.3, size=(rows, DIM)).astype(np.float32)
    np.save(folder / "embed" / "embeddings.npy", centroids[clusters] + noise)
    match = [*names[:n_known], *["novel"] * (classes - n_known)]
    columns = {
        "row": range(rows), "key": keys, "role": roles.tolist(), "cluster": clusters.tolist(),
        "match": [match[c] for c in clusters.tolist()], "margin": rng.random(rows).astype(np.float32),
    }  # fmt: skip
    write_columns(folder / "cluster" / "assignments.csv", columns)
    matched = [c if c < n_known else -1 for c in range(classes)]
    clustering = {
        "kind": "semi_kmeans", "config": fields_that_matter(SemiKMeans()),
        "k": classes, "given_k": classes, "matched": matched,
    }  # fmt: skip
    (folder / "cluster" / "clustering.json").write_text(json.dumps(clustering))
    return clusters, truth


def time_stage(folder: Path, config: EvaluateConfig) -> dict[str, float]:
    """Seconds of the stage, as "total", and of its parts."""
    inputs = {str(path.relative_to(folder)): path for path in folder.rglob("*.*") if path.parent.name != "evaluate"}
    context = StageContext(inputs, folder / "evaluate", stage_stream(0, "evaluate"), Resources(), SilentProgress())
    seconds: dict[str, float] = {}
    originals = {name: getattr(evaluate, name) for name in PARTS}
    for name, function in originals.items():
        setattr(evaluate, name, _timed(function, seconds, PARTS[name]))
    try:
        start = time.perf_counter()
        evaluate.run(context, SimpleNamespace(evaluate=config))
        seconds["total"] = time.perf_counter() - start
    finally:
        for name, function in originals.items():
            setattr(evaluate, name, function)
    return seconds


def _timed(function: Callable[..., Any], seconds: dict[str, float], name: str) -> Callable[..., Any]:
    def call(*args: Any, **values: Any) -> Any:
        start = time.perf_counter()
        answer = function(*args, **values)
        seconds[name] = time.perf_counter() - start
        return answer

    return call


def loop_contingency(clusters: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The table filled one sample at a time."""
    side = max(int(clusters.max()), int(classes.max())) + 1
    table = np.zeros((side, side), dtype=np.int64)
    for row in range(clusters.size):
        table[clusters[row], classes[row]] += 1
    return table


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--classes", type=int, default=1_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        clusters, classes = make_run(Path(name), options.rows, options.classes)
        seconds = time_stage(Path(name), EvaluateConfig())
        metrics = json.loads((Path(name) / "evaluate" / "metrics.json").read_text("utf-8"))

    start = time.perf_counter()
    contingency(clusters, classes)
    table = time.perf_counter() - start
    few = min(LOOP_ROWS, options.rows)
    start = time.perf_counter()
    loop_contingency(clusters[:few], classes[:few])
    loop = (time.perf_counter() - start) / few * options.rows

    print(f"rows {options.rows:,}, classes {options.classes:,}")
    print(f"evaluate stage: {seconds.pop('total'):.2f} s")
    for part, value in seconds.items():
        print(f"  {value:6.2f} s  {part}")
    print(f"one contingency table: {table:.4f} s; in a Python loop (scaled from {few:,} rows): {loop:.2f} s")
    print(f"ratio of the loop to ours: {loop / table:.0f}")
    print(f"gcd_v2.unlabelled.all {metrics['gcd_v2']['unlabelled']['all']:.4f}")


if __name__ == "__main__":
    main()
