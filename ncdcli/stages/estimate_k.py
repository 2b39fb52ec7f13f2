"""The `estimate_k` stage: how many classes there are."""

from __future__ import annotations

from typing import Any

from ncdcli.clustering.inputs import clustered_rows, read_inputs
from ncdcli.clustering.rows import unit_rows
from ncdcli.counting.base import CountEstimate, CountProblem
from ncdcli.counting.kinds import KINDS, CountingSection
from ncdcli.data.columns import write_columns
from ncdcli.jsonfile import write_json
from ncdcli.pipeline.context import StageContext
from ncdcli.recipe.base import import_kind


def run(context: StageContext, config: Any) -> None:
    """Write `k.json` (k, n_known, n_novel, criterion, range, interval, statistics) and `scores.csv` (k, score, …).

    `k` counts known and novel classes together. `range` is what was searched, `interval` the candidates that the
    criterion cannot tell from the best; scores that decided among these, and those that a search followed, have columns
    of their own, empty where a candidate got none. All are null where the clustering method finds k.
    """
    samples, embeddings = read_inputs(context.inputs)
    rows = clustered_rows(samples)
    counted = embeddings[rows]
    if isinstance(config.estimate_k, CountingSection) and config.estimate_k.normalize:
        counted = unit_rows(counted)
    problem = CountProblem(
        embeddings=counted,
        labels=samples.training_labels[rows],
        n_known=len(samples.known),
        novel_only=samples.setting == "ncd",
    )
    estimate = import_kind(KINDS, config.estimate_k.kind)
    answer = estimate(problem, config.estimate_k, context.rng(), context.progress)
    _write(context, answer, problem.n_known)


def _write(context: StageContext, answer: CountEstimate, n_known: int) -> None:
    statistics = dict(answer.statistics)
    content = {
        "k": answer.k,
        "n_known": n_known,
        "n_novel": None if answer.k is None else answer.k - n_known,
        "criterion": answer.criterion,
        "range": statistics.pop("range", None),
        "interval": answer.interval and list(answer.interval),
        "statistics": statistics,
    }
    write_json(context.output / "k.json", content)
    curves = {"score": answer.scores, **answer.other_scores}
    candidates = sorted(set().union(*curves.values()))
    columns: dict[str, list[Any]] = {"k": candidates}
    columns |= {name: [curve.get(k) for k in candidates] for name, curve in curves.items()}
    write_columns(context.output / "scores.csv", columns)
