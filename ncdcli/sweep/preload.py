"""Which modules the runs of a sweep will import, told without importing them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from ncdcli.clustering import kinds as clustering
from ncdcli.counting import kinds as counting
from ncdcli.joint import kinds as joint
from ncdcli.models import kinds as models
from ncdcli.objectives import kinds as objectives
from ncdcli.pipeline.spec import STAGES, stages_of
from ncdcli.recipe.schema import Recipe

COMMAND = (
    "ncdcli.cli.main", "ncdcli.cli.target", "ncdcli.cli.summary", "ncdcli.recipe.resolve", "ncdcli.data.resolve",
    "ncdcli.sweep.load", "ncdcli.pipeline.preflight", "ncdcli.cli.progress", "ncdcli.pipeline.runner",
)  # fmt: skip
TRAINING = (
    "lightning_fabric", "torch.profiler", "safetensors.torch", "ncdcli.training.launch", "ncdcli.training.loop",
    "ncdcli.training.optim", "ncdcli.training.heldout", "ncdcli.training.job",
)  # fmt: skip
ALWAYS = ("pandas", "ncdcli.data.columns")  # once anything is computed
# What stages import once they have begun, beside the code of the recipe's kinds.
WITHIN = {
    "pretrain": ("ncdcli.models.build", "ncdcli.models.embedder", "ncdcli.training.batches", "ncdcli.training.loop"),
    "embed": ("safetensors.torch", "ncdcli.models.embedding", "ncdcli.models.embedder", "ncdcli.training.launch"),
    "joint_training": (*TRAINING, "ncdcli.joint.embedder", "ncdcli.joint.frozen", "ncdcli.models.embedding"),
    "cluster": ("ncdcli.clustering.checks",),
    "report": ("rich.table", "sklearn.cluster", "sklearn.tree"),
}
MAPS = {"tsne": ("sklearn.manifold",), "umap": ("umap",)}


def modules_for(recipe: Recipe, stages: Iterable[str]) -> list[str]:
    """Names of the modules that `ncd run` imports where the code of these stages is run, each once."""
    wanted, names = set(stages), list(COMMAND)
    for spec in stages_of(recipe, STAGES):
        if spec.name in wanted:
            names += [*ALWAYS, spec.module, *WITHIN.get(spec.name, ()), *_of_recipe(recipe, spec.name)]
    return list(dict.fromkeys(names))


def _of_recipe(recipe: Recipe, stage: str) -> Iterator[str]:
    """What the recipe brings into a stage: the code of its kinds, a training's, and the map's of the report."""
    if stage in ("pretrain", "embed"):
        yield _module(models.KINDS, recipe.backbone.kind)
    if stage == "pretrain" and recipe.pretrain.objective.kind in objectives.KINDS:
        yield from TRAINING
        yield _module(objectives.KINDS, recipe.pretrain.objective.kind)
    if stage == "estimate_k":
        yield _module(counting.KINDS, recipe.estimate_k.kind)
    if stage == "joint_training" and recipe.joint_training is not None:
        yield _module(joint.KINDS, recipe.joint_training.method.kind)
    if stage in ("cluster", "evaluate"):
        yield _module(clustering.KINDS, recipe.cluster.kind)
    if stage == "report":
        yield from MAPS.get(recipe.report.map, ())


def _module(kinds: Mapping[str, str], kind: str) -> str:
    return kinds[kind].split(":")[0]
