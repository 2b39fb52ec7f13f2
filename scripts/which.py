"""Which clustering and which count to use when: all kinds on real data, as one table in Markdown.

    python scripts/which.py [--tables FOLDER] [--run RUN …] [--seeds 5] [--kinds a,b] [--counts a,b] [--json FILE]

Data: scikit-learn's digits; with `--tables` the files optdigits.dat, penbased.dat and letter.dat of UCI (commas, class
last), z-scored; with `--run` the embeddings of finished runs. Half of the samples of the known classes are
labelled, drawn anew for every seed; a run that trained on labels keeps its own, and is one seed of its recipe. At most
`--rows` of each, drawn anew for every seed.

Scores are `gcd_v2` accuracies (%) on unlabelled rows, all / known / novel, mean ± sd over seeds, with k given, and with
the k that `max_acc` estimates; then how far every way to count is off, |k̂ − k|, mean ± sd, and the k̂ of each seed.
Truth is looked at for scoring only.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
from cases import Case, add_data_options, collect
from pydantic import TypeAdapter

from ncdcli.clustering import kinds as clustering
from ncdcli.clustering.base import Problem
from ncdcli.counting import kinds as counting
from ncdcli.counting.base import CountProblem
from ncdcli.errors import NcdError
from ncdcli.metrics.protocols import Predictions, score_split
from ncdcli.pipeline.context import SilentProgress
from ncdcli.recipe.base import import_kind

# The methods that are compared: every kind with its defaults, and the choices that matter.
VARIANTS: dict[str, dict[str, Any]] = {
    "kmeans": {"kind": "kmeans"},
    "kmeans, lowest objective": {"kind": "kmeans", "restarts_rule": "lowest_objective"},
    "semi_kmeans, matched": {"kind": "semi_kmeans", "init": "matched"},
    "semi_kmeans, matched, lowest objective": {
        "kind": "semi_kmeans", "init": "matched", "restarts_rule": "lowest_objective",
    },
    "semi_kmeans, gcd": {"kind": "semi_kmeans", "init": "gcd"},
    "semi_kmeans, gcd, lowest objective": {
        "kind": "semi_kmeans", "init": "gcd", "restarts_rule": "lowest_objective",
    },
    "semi_kmeans, greedy": {"kind": "semi_kmeans", "init": "greedy"},
    "semi_kmeans, mixed": {"kind": "semi_kmeans", "init": "mixed"},
    "semi_kmeans, mixed, balance 1": {"kind": "semi_kmeans", "init": "mixed", "balance": 1.0},
    "ncd_kmeans": {"kind": "ncd_kmeans"},
    "ncd_kmeans, consensus": {"kind": "ncd_kmeans", "restarts_rule": "consensus"},
    "spectral": {"kind": "spectral"},
    "spectral, lowest objective": {"kind": "spectral", "restarts_rule": "lowest_objective"},
    "spectral, gaussian": {"kind": "spectral", "affinity": "gaussian"},
    "ncd_spectral": {"kind": "ncd_spectral"},
    "ncd_spectral, lowest objective": {"kind": "ncd_spectral", "restarts_rule": "lowest_objective"},
    "gmm": {"kind": "gmm"},
    "gmm, lowest objective": {"kind": "gmm", "restarts_rule": "lowest_objective"},
    "semi_gmm": {"kind": "semi_gmm"},
    "ward": {"kind": "ward"},
    "ward, no smoothing": {"kind": "ward", "mean_shift": 0},
    "snc": {"kind": "snc"},
    "laplacian": {"kind": "laplacian"},
    "leiden": {"kind": "leiden"},
    "hdbscan": {"kind": "hdbscan"},
}  # fmt: skip
WITHOUT = {"fixed", "none"}  # no estimates


def cluster(case: Case, section: dict[str, Any], k: int | None, seed: int) -> tuple[list[float], int, float]:
    """Accuracies all / known / novel of a method, the number of its clusters, and seconds."""
    config: Any = TypeAdapter(clustering.ClusterConfig).validate_python(section)
    method = import_kind(clustering.KINDS, config.kind)
    problem = Problem(case.embeddings, case.labels, case.n_known, None if config.k == "finds" else k)
    start = time.perf_counter()
    answer = method(problem, config, np.random.default_rng([2, seed]), SilentProgress())
    seconds = time.perf_counter() - start
    pool = ~case.labelled
    predictions = Predictions(
        clusters=answer.assignments[pool], classes=case.classes[pool], n_known=case.n_known,
        matched=answer.matched, task_aware=None, task_agnostic=None,
    )  # fmt: skip
    scores = score_split(predictions)["gcd_v2"]
    return [float(scores[subset]) for subset in ("all", "known", "novel")], answer.k, seconds


def count(case: Case, kind: str, seed: int) -> int:
    """The estimate of a way to count, with its defaults."""
    config = TypeAdapter(counting.CountingConfig).validate_python({"kind": kind})
    problem = CountProblem(case.embeddings, case.labels, case.n_known)
    answer = import_kind(counting.KINDS, kind)(problem, config, np.random.default_rng([3, seed]), SilentProgress())
    return int(answer.k)


def usable(section: dict[str, Any]) -> bool:
    """Whether the kind is there, and the package that it needs."""
    kinds = dict.fromkeys(clustering.KINDS)
    if section["kind"] not in kinds:
        return False
    config: Any = TypeAdapter(clustering.ClusterConfig).validate_python(section)
    return config.package is None or find_spec(config.package.module) is not None


def main() -> None:
    """Run everything and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_options(parser, seeds=5, rows=3_000)
    parser.add_argument("--counts", help="only these ways to count, comma-separated")
    options = parser.parse_args()
    chosen = {name: section for name, section in VARIANTS.items() if usable(section)}
    if options.kinds:
        chosen = {n: s for n, s in chosen.items() if s["kind"] in options.kinds.split(",")}
    counts = [kind for kind in counting.KINDS if kind not in WITHOUT]
    if options.counts is not None:
        counts = [kind for kind in counts if kind in options.counts.split(",")]
    print_tables(collect(options, lambda *case: measure(*case, chosen, counts)))


def measure(
    data: str,
    seed: int,
    case: Case,
    done: list[dict[str, Any]],
    variants: dict[str, dict[str, Any]],
    counts: list[str],
) -> list[dict[str, Any]]:
    """Every figure of one case that is not `done`; a method that refuses the case has none."""
    true = int(case.classes.max()) + 1
    figures: list[dict[str, Any]] = []
    estimates: dict[str, int] = {figure["count"]: figure["k"] for figure in done if "count" in figure}
    had = {(figure.get("method"), figure.get("how")) for figure in done}
    for kind in counts:
        if kind in estimates:
            continue
        start = time.perf_counter()
        try:
            estimates[kind] = count(case, kind, seed)
        except NcdError as error:
            print(f"{data}, {kind}: {error}", file=sys.stderr)
            continue
        taken = time.perf_counter() - start
        figures.append({"data": data, "seed": seed, "count": kind, "k": estimates[kind], "true": true, "s": taken})
    for name, section in variants.items():
        given = {"k given": true} | ({"k estimated": estimates["max_acc"]} if "max_acc" in estimates else {})
        for how, k in given.items():
            if (name, how) in had:
                continue
            try:
                scores, found, taken = cluster(case, section, k, seed)
            except NcdError as error:
                print(f"{data}, {name}: {error}", file=sys.stderr)
                continue
            figures.append(
                {"data": data, "seed": seed, "method": name, "how": how, "scores": scores, "k": found, "s": taken}
            )
    return figures


def print_tables(figures: list[dict[str, Any]]) -> None:
    """Print accuracies with k given and estimated, and errors of the counts."""
    sets = list(dict.fromkeys(figure["data"] for figure in figures))
    for how in ("k given", "k estimated"):
        rows = [figure for figure in figures if figure.get("how") == how]
        if not rows:
            continue
        print(f"\n| {how}: all / known / novel | {' | '.join(sets)} | mean all | s |\n|{'---|' * (len(sets) + 3)}")
        for name in dict.fromkeys(row["method"] for row in rows):
            mine = [row for row in rows if row["method"] == name]
            cells = [_scores([row["scores"] for row in mine if row["data"] == data]) for data in sets]
            means = [np.mean([row["scores"][0] for row in mine if row["data"] == data]) for data in sets]
            seconds = np.median([row["s"] for row in mine])
            print(f"| {name} | {' | '.join(cells)} | {100 * np.mean(means):.1f} | {seconds:.1f} |")
    rows = [figure for figure in figures if "count" in figure]
    if rows:
        print(f"\n| |k̂ − k| (k̂ of each seed) | {' | '.join(sets)} | s |\n|{'---|' * (len(sets) + 2)}")
        for kind in dict.fromkeys(row["count"] for row in rows):
            cells = []
            for data in sets:
                found = [row for row in rows if row["count"] == kind and row["data"] == data]
                errors = [abs(row["k"] - row["true"]) for row in found]
                listed = ", ".join(str(row["k"]) for row in found)
                cells.append(f"{_spread(errors)} ({listed})" if found else "–")
            seconds = np.median([row["s"] for row in rows if row["count"] == kind])
            print(f"| {kind} | {' | '.join(cells)} | {seconds:.1f} |")


def _scores(scores: list[list[float]]) -> str:
    """Means ± sd, in %; that of all samples to a tenth."""
    if not scores:
        return "–"
    every, known, novel = (100 * np.array(scores)).T
    return f"{_spread(every)} / {_spread(known, 0)} / {_spread(novel, 0)}"


def _spread(values: Sequence[float] | np.ndarray, digits: int = 1) -> str:
    """Mean ± sd."""
    deviation = np.std(values, ddof=1) if len(values) > 1 else 0.0
    return f"{np.mean(values):.{digits}f} ± {deviation:.{digits}f}"


if __name__ == "__main__":
    main()
