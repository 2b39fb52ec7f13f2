"""The `evaluate` stage: scores by protocol, split and subset. The only stage that is given the truth of the pool."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ncdcli.clustering.inputs import clustered_rows, clustering_problem, read_inputs
from ncdcli.data.columns import write_columns
from ncdcli.data.samples import Samples
from ncdcli.jsonfile import write_json
from ncdcli.metrics.contingency import count_table
from ncdcli.metrics.protocols import ClassScores, Predictions, match_and_score_classes, score_split
from ncdcli.metrics.silhouette import silhouettes
from ncdcli.metrics.stability import FEWEST_PER_CLUSTER, affordable_rows, stability
from ncdcli.metrics.truth import Assigned, Truth, read_assignments, read_truth
from ncdcli.pipeline.context import StageContext
from ncdcli.pipeline.spec import ORACLE
from ncdcli.recipe.schema import EvaluateConfig
from ncdcli.words import counted

SPLITS = ("unlabelled", "test", "validation")
SILHOUETTE_ROWS = 5_000


@dataclass
class _Evaluation:
    """What the parts of the evaluation read, and the list of what cannot be given."""

    context: StageContext
    config: EvaluateConfig
    samples: Samples
    embeddings: NDArray[Any]
    assigned: Assigned
    truth: Truth
    clustering: dict[str, Any]
    missing: list[dict[str, str]] = field(default_factory=list)

    @property
    def n_known(self) -> int:
        return len(self.samples.known)

    @property
    def k(self) -> int:
        return int(self.clustering["k"])

    def rows(self, split: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """All rows of a split, and those whose class is known."""
        rows = self.samples.rows(split)
        return rows, rows[self.truth.classes[rows] >= 0]

    def predictions(self, rows: NDArray[np.int64]) -> Predictions:
        aware, agnostic = self.assigned.task_aware, self.assigned.task_agnostic
        return Predictions(
            clusters=self.assigned.clusters[rows],
            classes=self.truth.classes[rows],
            n_known=self.n_known,
            matched=np.array(self.clustering["matched"], np.int64),
            task_aware=None if aware is None else aware[rows],
            task_agnostic=None if agnostic is None else agnostic[rows],
        )


def run(context: StageContext, config: Any) -> None:
    """Write `metrics.json`, and where some truth is there `matching.json`, `per_class.csv` and `confusion.npy`.

    `metrics.json` is {protocol: {split: {subset: fraction or null}}}, with `headline`, `k`, `selection`, `rows` (how
    many are scored), `silhouette`, `stability`, `sizes` and `not_available` beside the protocols. Rows of a split
    without truth are left out of its scores; `rows` says how many.
    """
    samples, embeddings = read_inputs(context.inputs)
    evaluation = _Evaluation(
        context=context,
        config=config.evaluate,
        samples=samples,
        embeddings=embeddings,
        assigned=read_assignments(context.inputs["cluster/assignments.csv"], samples),
        truth=read_truth(samples, context.inputs.get("split/truth.csv")),
        clustering=json.loads(context.inputs["cluster/clustering.json"].read_text("utf-8")),
    )
    protocols, rows = _score(evaluation)
    metrics = {
        "headline": _headline(evaluation, protocols),
        "selection": _selection(context),
        "setting": samples.setting,
        "k": _count(evaluation),
        **protocols,
        "rows": rows,
        "silhouette": _silhouette(evaluation),
        "stability": _stability(evaluation),
        "sizes": _sizes(evaluation),
        "not_available": evaluation.missing,
    }
    write_json(context.output / "metrics.json", metrics)
    _write_tables(evaluation)


def _score(evaluation: _Evaluation) -> tuple[dict[str, Any], dict[str, Any]]:
    """{protocol: {split: scores}} and {split: how many rows are scored, of how many}."""
    protocols: dict[str, Any] = {}
    counts: dict[str, Any] = {}
    for split in SPLITS:
        rows, scored = evaluation.rows(split)
        if not len(rows):
            if split == evaluation.config.split:
                evaluation.missing.append({"what": split, "why": f"there are no {split} samples"})
            continue
        counts[split] = {"scored": len(scored), "total": len(rows)}
        if not len(scored):
            evaluation.missing.append(
                {"what": split, "why": f"the true classes of the {counted(len(rows), f'{split} sample')} are not known"}
            )
            continue
        for protocol, scores in score_split(evaluation.predictions(scored)).items():
            protocols.setdefault(protocol, {})[split] = scores
    return protocols, counts


def _headline(evaluation: _Evaluation, protocols: dict[str, Any]) -> dict[str, Any]:
    default = "ncd_task_aware" if evaluation.samples.setting == "ncd" else "gcd_v2"
    protocol, split = evaluation.config.protocol or default, evaluation.config.split
    scores = protocols.get(protocol, {}).get(split, {})
    if split in protocols.get("gcd_v2", {}) and not scores:
        evaluation.missing.append(
            {"what": protocol, "why": f"it is not defined in the {evaluation.samples.setting} setting"}
        )
    return {"protocol": protocol, "split": split, **{name: scores.get(name) for name in ("all", "known", "novel")}}


def _selection(context: StageContext) -> str:
    """The rule by which the epoch of the last training was chosen: `last` where nothing was trained.

    `oracle` where it was the rule of any: what looked at novel labels once has no other number after it.
    """
    paths = [context.inputs.get(f"{stage}/model.json") for stage in ("joint_training", "pretrain")]
    trainings = [json.loads(path.read_text("utf-8")).get("training") or {} for path in paths if path is not None]
    rules = [str(training.get("selection") or "last") for training in trainings]
    return ORACLE if ORACLE in rules else [*rules, "last"][0]


def _count(evaluation: _Evaluation) -> dict[str, int | None]:
    """Number of classes: estimated, true (of all samples but test ones; null where some are unknown), and the error."""
    classes = evaluation.truth.classes[evaluation.samples.roles != "test"]
    estimated = evaluation.k
    if (classes < 0).any():
        evaluation.missing.append(
            {
                "what": "k.true",
                "why": f"the true classes of {counted(int((classes < 0).sum()), 'sample')} are not known",
            }
        )
        return {"estimated": estimated, "true": None, "error": None}
    true = len(np.unique(classes))
    return {"estimated": estimated, "true": true, "error": estimated - true}


def _silhouette(evaluation: _Evaluation) -> dict[str, Any]:
    """Mean silhouette of (at most 5,000) pool samples in their clusters."""
    rows = evaluation.samples.rows("unlabelled")
    if len(rows) > SILHOUETTE_ROWS:
        rows = np.sort(evaluation.context.rng(2).choice(rows, SILHOUETTE_ROWS, replace=False))
    clusters = evaluation.assigned.clusters[rows]
    if len(np.unique(clusters)) < 2:
        evaluation.missing.append({"what": "silhouette", "why": "the pool is in fewer than two clusters"})
        return {"value": None, "rows": len(rows)}
    return {"value": float(silhouettes(evaluation.embeddings[rows], [clusters]).mean()), "rows": len(rows)}


def _stability(evaluation: _Evaluation) -> dict[str, Any] | None:
    samples, seeds = evaluation.samples, evaluation.config.stability_seeds
    if seeds == 0 or not len(samples.rows("unlabelled")):
        why = "`evaluate.stability_seeds` is 0" if seeds == 0 else "there are no unlabelled samples"
        evaluation.missing.append({"what": "stability", "why": why})
        return None
    if evaluation.clustering["kind"] == "head":
        why = "a trained classifier answers the same every time; other seeds are other runs"
        evaluation.missing.append({"what": "stability", "why": why})
        return None
    rows = clustered_rows(samples)
    affordable = affordable_rows(len(rows), clusters=evaluation.k, dim=evaluation.embeddings.shape[1])
    if not affordable:
        why = (
            f"{counted(evaluation.k, 'cluster')} take long to find again, and a sample of fewer than "
            f"{FEWEST_PER_CLUSTER} rows for each would tell little"
        )
        evaluation.missing.append({"what": "stability", "why": why})
        return None
    return stability(
        clustering_problem(samples, evaluation.embeddings, evaluation.clustering["given_k"]),
        evaluation.assigned.clusters[rows],
        clustering=evaluation.clustering,
        rows=affordable,
        seeds=seeds,
        context=evaluation.context,
    )


def _sizes(evaluation: _Evaluation) -> dict[str, list[int]]:
    """Number of samples in each cluster, by role."""
    k = evaluation.k
    clusters, samples = evaluation.assigned.clusters, evaluation.samples
    roles = ("labelled", *SPLITS)
    return {
        role: np.bincount(clusters[rows], minlength=k).tolist() for role in roles if len(rows := samples.rows(role))
    }


def _write_tables(evaluation: _Evaluation) -> None:
    """`matching.json`, `per_class.csv` and `confusion.npy`; nothing where no row has a known class."""
    names, matching, classes = evaluation.truth.names, {}, []
    for split in SPLITS:
        _, scored = evaluation.rows(split)
        if len(scored):
            pairs, of_split = match_and_score_classes(evaluation.predictions(scored))
            matching[split] = {str(cluster): None if c is None else names[c] for cluster, c in pairs.items()}
            classes += [_class_row(evaluation, split, scores) for scores in of_split]
    if not matching:
        return
    _, scored = evaluation.rows(evaluation.config.split)
    content = {
        "protocol": "gcd_v2",
        "splits": matching,
        "confusion": {"split": evaluation.config.split, "rows": "clusters 0 … k − 1", "columns": list(names)},
    }
    write_json(evaluation.context.output / "matching.json", content)
    header = ("class", "known", "split", "n", "recall", "precision", "cluster")
    columns = dict(zip(header, zip(*classes, strict=True), strict=True))
    write_columns(evaluation.context.output / "per_class.csv", columns)
    table = count_table(
        evaluation.assigned.clusters[scored],
        evaluation.truth.classes[scored],
        shape=(evaluation.k, len(names)),
    )
    np.save(evaluation.context.output / "confusion.npy", table)


def _class_row(evaluation: _Evaluation, split: str, scores: ClassScores) -> list[Any]:
    known = "yes" if scores.class_id < evaluation.n_known else "no"
    name = evaluation.truth.names[scores.class_id]
    return [name, known, split, scores.size, scores.recall, scores.precision, scores.cluster]
