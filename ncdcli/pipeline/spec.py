"""The table of stages: what each reads, writes and depends on."""

from __future__ import annotations

from dataclasses import dataclass


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


# Class names of pool samples lie in `split/truth.csv`, and only `evaluate` and what comes after it may read it: what
# comes before cannot look at novel labels because it is never given them.
STAGES = (
    StageSpec(
        "split", 1, "ncdcli.stages.split", ("data",), (),
        ("samples.csv", "classes.json", "source.json", "truth.csv?"), reads_data=True,
    ),
    StageSpec(
        "pretrain", 1, "ncdcli.stages.pretrain", ("backbone", "pretrain"),
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
        "estimate_k", 2, "ncdcli.stages.estimate_k", ("estimate_k",),
        ("split/samples.csv", "split/classes.json", "embed/embeddings.npy"),
        ("k.json", "scores.csv"),
    ),
    StageSpec(
        "cluster", 2, "ncdcli.stages.cluster", ("cluster",),
        ("split/samples.csv", "split/classes.json", "embed/embeddings.npy", "estimate_k/k.json"),
        ("assignments.csv", "centroids.npy", "clustering.json"),
    ),
    StageSpec(
        "evaluate", 3, "ncdcli.stages.evaluate", ("evaluate",),
        (
            "split/samples.csv", "split/classes.json", "split/truth.csv?", "pretrain/model.json",
            "embed/embeddings.npy", "cluster/assignments.csv", "cluster/clustering.json",
        ),
        ("metrics.json", "matching.json?", "per_class.csv?", "confusion.npy?"),
    ),
    StageSpec(
        "report", 1, "ncdcli.stages.report",
        (
            "name", "description", "data", "backbone", "pretrain", "embed", "estimate_k", "cluster", "evaluate",
            "report", "expected",
        ),
        (
            "split/samples.csv", "split/classes.json", "split/source.json", "split/truth.csv?",
            "pretrain/model.json", "pretrain/metrics.jsonl?", "embed/embeddings.npy", "estimate_k/k.json",
            "estimate_k/scores.csv", "cluster/assignments.csv", "cluster/centroids.npy", "cluster/clustering.json",
            "evaluate/metrics.json", "evaluate/matching.json?", "evaluate/per_class.csv?", "evaluate/confusion.npy?",
            "clusters.csv?",
        ),
        ("report.html", "clusters.json", "assignments.csv?"), reads_data=True, reads_manifests=True,
    ),
)  # fmt: skip

BY_NAME = {spec.name: spec for spec in STAGES}
