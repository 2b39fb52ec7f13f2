"""The table of stages: what each reads, writes and depends on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

TRUTH = "split/truth.csv?"
ORACLE = "oracle"  # the selection rule that looks at novel labels


@dataclass(frozen=True)
class StageSpec:
    """One row of the table."""

    name: str
    version: int  # raised when the stage's code changes what it writes
    module: str  # has `run(context, config)`
    sections: tuple[str, ...]  # recipe sections it may see; they enter the fingerprint
    inputs: tuple[str, ...]  # files of earlier stages, or without "/" a user's; "?" at the end: only where present
    outputs: tuple[str, ...]  # files it must write; "?" at the end: may be absent
    reads_data: bool = False  # gets `context.data`, the way to the samples
    distributed: bool = False  # runs on several processes when asked to
    reads_manifests: bool = False  # gets `context.manifests`: how the stages before it were made, to be shown
    optional: bool = False  # its one section may be absent from a recipe, and then there is no such stage

    @property
    def inputs_by_stage(self) -> dict[str, list[str]]:
        """Stage -> files of it that this stage reads, as in `inputs`."""
        found: dict[str, list[str]] = {}
        for name in filter(is_of_a_stage, self.inputs):
            found.setdefault(name.split("/", 1)[0], []).append(name)
        return found

    @property
    def stages_before(self) -> set[str]:
        """Names of the stages whose files this one reads."""
        return set(self.inputs_by_stage)


def is_of_a_stage(name: str) -> bool:
    """Whether an input is a file that a stage writes, and not one that a user puts in the run folder."""
    return "/" in name


def name_of(entry: str) -> tuple[str, bool]:
    """An entry of `inputs` or `outputs` without its "?", and whether the file may be absent."""
    return entry.removesuffix("?"), entry.endswith("?")


def stages_of(recipe: Any, table: Sequence[StageSpec]) -> tuple[StageSpec, ...]:
    """The stages that a recipe has, in the table's order; no other one waits for those that it does not have."""
    absent = {spec.name for spec in table if spec.optional and getattr(recipe, spec.sections[0]) is None}
    return tuple(
        _with_truth_for_oracle(
            recipe, replace(spec, inputs=tuple(name for name in spec.inputs if name.split("/", 1)[0] not in absent))
        )
        for spec in table
        if spec.name not in absent
    )


def _with_truth_for_oracle(recipe: Any, spec: StageSpec) -> StageSpec:
    """The stage, given the true classes if it is a training whose recipe says `selection: oracle`: in no other case."""
    if getattr(getattr(recipe, spec.name, None), "selection", None) != ORACLE:
        return spec
    return replace(spec, inputs=(*spec.inputs, TRUTH))


# Class names of pool samples lie in `split/truth.csv`, and only `evaluate` and what comes after it may read it: what
# comes before cannot look at novel labels because it is never given them. The one exception has to be asked for by
# name, `selection: oracle`: see `_with_truth_for_oracle`.
STAGES = (
    StageSpec(
        "split", 1, "ncdcli.stages.split", ("data",), (),
        ("samples.csv", "classes.json", "source.json", "truth.csv?"), reads_data=True,
    ),
    StageSpec(
        "pretrain", 2, "ncdcli.stages.pretrain", ("backbone", "pretrain"),
        ("split/samples.csv", "split/classes.json", "split/source.json"),
        ("model.json", "model.safetensors?", "metrics.jsonl?", "timing.jsonl?"),
        reads_data=True, distributed=True,
    ),
    StageSpec(
        "embed", 1, "ncdcli.stages.embed", ("embed",),
        (
            "split/samples.csv", "split/classes.json", "split/source.json",
            "pretrain/model.json", "pretrain/model.safetensors?",
        ),
        ("embeddings.npy", "embeddings.json"), reads_data=True, distributed=True,
    ),
    StageSpec(
        "estimate_k", 6, "ncdcli.stages.estimate_k", ("estimate_k",),
        ("split/samples.csv", "split/classes.json", "embed/embeddings.npy"),
        ("k.json", "scores.csv"),
    ),
    StageSpec(
        "joint_training", 3, "ncdcli.stages.joint_training", ("joint_training",),
        (
            "split/samples.csv", "split/classes.json", "split/source.json",
            "pretrain/model.json", "pretrain/model.safetensors?",
            "embed/embeddings.npy", "embed/embeddings.json", "estimate_k/k.json",
        ),
        ("model.json", "model.safetensors", "embeddings.npy", "logits.npy?", "metrics.jsonl", "timing.jsonl"),
        reads_data=True, distributed=True, optional=True,
    ),
    StageSpec(
        "cluster", 4, "ncdcli.stages.cluster", ("cluster",),
        (
            "split/samples.csv", "split/classes.json", "embed/embeddings.npy", "estimate_k/k.json",
            "joint_training/embeddings.npy?", "joint_training/logits.npy?",
        ),
        ("assignments.csv", "centroids.npy", "clustering.json"),
    ),
    StageSpec(
        "evaluate", 3, "ncdcli.stages.evaluate", ("evaluate",),
        (
            "split/samples.csv", "split/classes.json", TRUTH, "pretrain/model.json",
            "embed/embeddings.npy", "joint_training/model.json?", "joint_training/embeddings.npy?",
            "cluster/assignments.csv", "cluster/clustering.json",
        ),
        ("metrics.json", "matching.json?", "per_class.csv?", "confusion.npy?"),
    ),
    StageSpec(
        "report", 1, "ncdcli.stages.report",
        (
            "name", "description", "data", "backbone", "pretrain", "embed", "estimate_k", "joint_training", "cluster",
            "evaluate", "report", "expected",
        ),
        (
            "split/samples.csv", "split/classes.json", "split/source.json", TRUTH,
            "pretrain/model.json", "pretrain/metrics.jsonl?", "embed/embeddings.npy", "estimate_k/k.json",
            "estimate_k/scores.csv", "joint_training/metrics.jsonl?", "joint_training/embeddings.npy?",
            "cluster/assignments.csv", "cluster/centroids.npy", "cluster/clustering.json",
            "evaluate/metrics.json", "evaluate/matching.json?", "evaluate/per_class.csv?", "evaluate/confusion.npy?",
            "clusters.csv?",
        ),
        ("report.html", "clusters.json", "assignments.csv?"), reads_data=True, reads_manifests=True,
    ),
)  # fmt: skip

BY_NAME = {spec.name: spec for spec in STAGES}
