"""Which rule of restarts: every kind of clustering that restarts, in the GCD and in the NCD setting, on real data.

    python scripts/rules.py [--tables FOLDER] [--run RUN …] [--seeds 10] [--kinds a,b] [--json FILE]

Data, labelled samples and seeds are those of `scripts/which.py`; in the NCD setting all samples of known classes are
labelled, and those of novel classes are clustered. k is given. All rules of a method see the same data with the same
seed, so that their restarts are the same (the search of `ncd_spectral` is a short one, of 15 graphs).

Printed for each setting: mean accuracy (%) of the unlabelled samples by each rule, and the mean difference of each to
the lowest objective, ± its standard error: over seeds within every data set, then over the sets as they are. Truth is
looked at for scoring only.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from cases import Case, add_data_options, collect
from pydantic import TypeAdapter

from ncdcli.clustering import kinds as clustering
from ncdcli.clustering.base import Clustering, Problem
from ncdcli.metrics.contingency import contingency
from ncdcli.metrics.matching import match_clusters, matched_counts
from ncdcli.metrics.protocols import Predictions, score_split
from ncdcli.pipeline.context import SilentProgress
from ncdcli.recipe.base import import_kind

METHODS: dict[str, dict[str, Any]] = {
    "kmeans": {"kind": "kmeans"},
    "semi_kmeans, mixed": {"kind": "semi_kmeans", "init": "mixed"},
    "semi_kmeans, matched": {"kind": "semi_kmeans", "init": "matched"},
    "semi_kmeans, gcd": {"kind": "semi_kmeans", "init": "gcd"},
    "semi_kmeans, greedy": {"kind": "semi_kmeans", "init": "greedy"},
    "ncd_kmeans": {"kind": "ncd_kmeans"},
    "spectral": {"kind": "spectral"},
    "spectral, gaussian": {"kind": "spectral", "affinity": "gaussian"},
    "ncd_spectral": {"kind": "ncd_spectral", "similarities": 5, "trials": 3},
    "gmm": {"kind": "gmm"},
    "semi_gmm": {"kind": "semi_gmm"},
}
BASE = "lowest_objective"
RULES = (BASE, "consensus", "medoid", "held_out")
SETTINGS = ("gcd", "ncd")


def rules_of(section: dict[str, Any], setting: str) -> tuple[str, ...]:
    """The rules that a method has; known classes are held out only where they are clustered."""
    return RULES if section["kind"] in ("kmeans", "semi_kmeans") and setting == "gcd" else RULES[:3]


def accuracy(case: Case, section: dict[str, Any], setting: str, seed: int) -> float:
    """Accuracy of the unlabelled samples."""
    labels = case.labels if setting == "gcd" else np.where(case.classes < case.n_known, case.classes, -1)
    config: Any = TypeAdapter(clustering.ClusterConfig).validate_python(section)
    problem = Problem(case.embeddings, labels, case.n_known, int(case.classes.max()) + 1, setting == "ncd")
    method = import_kind(clustering.KINDS, config.kind)
    answer: Clustering = method(problem, config, np.random.default_rng([2, seed]), SilentProgress())
    pool = labels < 0
    if setting == "ncd":
        counts = contingency(answer.assignments[pool], case.classes[pool]).counts
        return float(matched_counts(counts, match_clusters(counts)).sum() / pool.sum())
    predictions = Predictions(
        clusters=answer.assignments[pool], classes=case.classes[pool], n_known=case.n_known,
        matched=answer.matched, task_aware=None, task_agnostic=None,
    )  # fmt: skip
    return float(score_split(predictions)["gcd_v2"]["all"])


def measure(
    data: str, seed: int, case: Case, done: list[dict[str, Any]], methods: dict[str, dict[str, Any]]
) -> list[dict[str, Any]]:
    """The accuracy of every method that is not `done`, by every rule in both settings."""
    had = {figure["method"] for figure in done}
    return [
        {"data": data, "seed": seed, "setting": setting, "method": name, "rule": rule, "all": found}
        for setting in SETTINGS
        for name, section in methods.items()
        if name not in had
        for rule in rules_of(section, setting)
        for found in (accuracy(case, section | {"restarts_rule": rule}, setting, seed),)
    ]


def print_table(figures: list[dict[str, Any]], setting: str) -> None:
    """Print means by rule, and differences to the lowest objective."""
    mine = [figure for figure in figures if figure["setting"] == setting]
    sets = list(dict.fromkeys(figure["data"] for figure in mine))
    if not mine:
        return
    print(f"\n| {setting.upper()}, {len(sets)} sets | {' | '.join(RULES)} |\n|{'---|' * (len(RULES) + 1)}")
    for name in dict.fromkeys(figure["method"] for figure in mine):
        found = {(f["rule"], f["data"], f["seed"]): 100 * f["all"] for f in mine if f["method"] == name}
        print(f"| `{name}` | {' | '.join(_cell(found, rule, sets) for rule in RULES)} |")


def _cell(found: dict[tuple[str, str, int], float], rule: str, sets: list[str]) -> str:
    by_set = {data: {s: value for (r, d, s), value in found.items() if (r, d) == (rule, data)} for data in sets}
    values = {data: accuracies for data, accuracies in by_set.items() if accuracies}
    if not values:
        return "–"
    mean = float(np.mean([np.mean(list(accuracies.values())) for accuracies in values.values()]))
    if rule == BASE:
        return f"{mean:.1f}"
    gains = [[value - found[BASE, data, s] for s, value in accuracies.items()] for data, accuracies in values.items()]
    variances = [np.var(gain, ddof=1) / len(gain) if len(gain) > 1 else np.nan for gain in gains]  # one seed: unknown
    error = np.sqrt(np.sum(variances)) / len(gains)
    return f"{mean:.1f} ({np.mean([np.mean(gain) for gain in gains]):+.2f} ± {error:.2f})"


def main() -> None:
    """Run everything and print the two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_options(parser, seeds=10, rows=2_000)
    options = parser.parse_args()
    methods = {n: s for n, s in METHODS.items() if not options.kinds or s["kind"] in options.kinds.split(",")}
    figures = collect(options, lambda *case: measure(*case, methods))
    for setting in SETTINGS:
        print_table(figures, setting)


if __name__ == "__main__":
    main()
