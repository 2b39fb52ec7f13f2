"""Seconds to score 1,000,000 predictions in 1,000 classes, and the ratio to the published contingency loop.

    python scripts/bench/evaluate.py [--rows N] [--classes K]

The published code of category discovery fills its contingency table in a Python loop over samples; that loop is
timed here on fewer rows and scaled. Both sides run in this process.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from ncdcli.data.samples import Samples
from ncdcli.metrics.contingency import contingency
from ncdcli.metrics.protocols import Predictions, match_and_score_classes, score_split
from ncdcli.metrics.truth import read_truth

LOOP_ROWS = 200_000


def make_predictions(rows: int, classes: int) -> Predictions:
    """Predictions that are right for about 60 % of the rows, half of the classes known."""
    rng = np.random.default_rng(0)
    truth = rng.integers(classes, size=rows)
    clusters = np.where(rng.random(rows) < 0.6, rng.permutation(classes)[truth], rng.integers(classes, size=rows))
    known = classes // 2
    matched = np.where(np.arange(classes) < known, np.arange(classes), -1)
    return Predictions(clusters, truth, known, matched, task_aware=clusters, task_agnostic=clusters)


def loop_contingency(clusters: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """The table filled one sample at a time."""
    side = max(int(clusters.max()), int(classes.max())) + 1
    table = np.zeros((side, side), dtype=np.int64)
    for row in range(clusters.size):
        table[clusters[row], classes[row]] += 1
    return table


def seconds_to_read_truth(predictions: Predictions) -> float:
    """Seconds to read `samples.csv` and `truth.csv` of as many rows."""
    n = len(predictions.classes)
    known = tuple(f"class-{c}" for c in range(predictions.n_known))
    keys = tuple(f"train/{row:07d}" for row in range(n))
    samples = Samples(keys, np.full(n, "unlabelled"), np.full(n, -1), known, "gcd")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        samples.write(folder)
        lines = (f"{row},class-{c}" for row, c in enumerate(predictions.classes))
        (folder / "truth.csv").write_text("\n".join(["row,class", *lines]) + "\n")
        start = time.perf_counter()
        read_truth(Samples.read(folder / "samples.csv", folder / "classes.json"), folder / "truth.csv")
        return time.perf_counter() - start


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--classes", type=int, default=1_000)
    options = parser.parse_args()
    predictions = make_predictions(options.rows, options.classes)

    start = time.perf_counter()
    scores = score_split(predictions)
    _, classes = match_and_score_classes(predictions)
    whole = time.perf_counter() - start

    start = time.perf_counter()
    contingency(predictions.clusters, predictions.classes)
    table = time.perf_counter() - start

    few = min(LOOP_ROWS, options.rows)
    start = time.perf_counter()
    loop_contingency(predictions.clusters[:few], predictions.classes[:few])
    loop = (time.perf_counter() - start) / few * options.rows

    print(f"rows {options.rows:,}, classes {options.classes:,}")
    print(f"all protocols ({len(scores)}) and {len(classes)} class rows: {whole:.2f} s")
    print(f"one contingency table: {table:.4f} s; in a Python loop (scaled from {few:,} rows): {loop:.2f} s")
    print(f"ratio of the loop to ours: {loop / table:.0f}")
    print(f"reading samples.csv and truth.csv: {seconds_to_read_truth(predictions):.2f} s")
    print(f"gcd_v2.all {scores['gcd_v2']['all']:.4f}")


if __name__ == "__main__":
    main()
