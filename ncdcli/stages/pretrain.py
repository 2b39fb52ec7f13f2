"""`pretrain`: trains a backbone on labelled samples (and, for some objectives, on the pool without its labels)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ncdcli.data.samples import Samples
from ncdcli.data.sources import Inputs, TableInputs
from ncdcli.errors import DataError, RecipeError
from ncdcli.objectives.kinds import PretrainConfig
from ncdcli.pipeline.context import StageContext


@dataclass(frozen=True)
class PretrainSections:
    """The recipe sections of this stage."""

    backbone: Any
    pretrain: PretrainConfig


def run(context: StageContext, config: PretrainSections) -> None:
    """Write `model.json`, `model.safetensors` (backbones with weights), and `metrics.jsonl` (where it trained).

    `metrics.jsonl` has a line per epoch and is the same in every repetition; what is not, lies in `timing.jsonl`.
    """
    from ncdcli.data.resolve import open_source

    assert context.data is not None
    samples = Samples.read(context.inputs["split/samples.csv"], context.inputs["split/classes.json"])
    check_selection(config.pretrain, samples)
    inputs = open_source(context.data).inputs(samples.keys)
    pretrain(context, config, samples, inputs)


def pretrain(context: StageContext, config: PretrainSections, samples: Samples, inputs: Inputs) -> None:
    """The stage, given what the samples hold."""
    from ncdcli.models.build import build_backbone
    from ncdcli.models.embedder import make_card
    from ncdcli.training.batches import open_inputs
    from ncdcli.training.launch import is_first_process
    from ncdcli.training.streams import Key, torch_seeded

    encoder = None
    if isinstance(inputs, TableInputs):
        from ncdcli.data.tables import TableEncoder

        encoder = TableEncoder.fit(inputs, samples.rows("labelled", "validation", "unlabelled"))
    source = open_inputs(inputs, encoder=encoder, workers=context.resources.workers)
    with torch_seeded(context.stream, Key.WEIGHTS):
        backbone = build_backbone(config.backbone, source.spec)
        training = _train(context, config.pretrain, samples, source, backbone)
    if is_first_process():
        card = make_card(config.backbone, source.spec, backbone.dim, encoder=encoder, training=training)
        card.write(context.output / "model.json")


def check_selection(config: PretrainConfig, samples: Samples) -> None:
    """RecipeError where an epoch is to be chosen on held-out samples that do not exist."""
    if config.selection == "known-val" and not len(samples.rows("validation")):
        raise RecipeError(
            "`pretrain.selection: known-val` needs held-out known samples, and there are none",
            hint="set `data.validation_fraction: 0.1`",
        )


def _train(
    context: StageContext, config: PretrainConfig, samples: Samples, source: Any, backbone: Any
) -> dict[str, Any]:
    """Train if the recipe asks for it, and write the weights; what `model.json` says about it."""
    from ncdcli.training.augment import check_augment, check_turns
    from ncdcli.training.devices import pick_device, pick_precision
    from ncdcli.training.launch import launch
    from ncdcli.training.loop import train
    from ncdcli.training.monitor import LocalMonitor

    if config.objective.kind == "none" or config.epochs == 0:
        _write_untrained(context, backbone)
        return {"objective": config.objective.kind, "epochs": 0}
    check_augment(config.augment, source.spec.modality)
    if config.objective.turns:
        check_turns(source.spec, backbone.preparation)
    if not backbone.trainable():
        raise RecipeError(
            "the backbone has nothing that training could change",
            hint="set `pretrain.objective: {kind: none}`, or a greater `backbone.train_last_blocks`",
        )
    job = _make_job(context, config, samples, source, backbone)
    precision = pick_precision(config.precision, pick_device(context.resources.device))
    if config.cached_views is not None:
        from ncdcli.training.caching import with_cached_views

        job = with_cached_views(context, job, precision)
    with context.progress.track("pretrain", config.epochs * batches_per_epoch(job)) as tick:
        monitor = LocalMonitor(tick, context.stop_requested)
        trained = launch(train, job, resources=context.resources, precision=precision, monitor=monitor)
    return {"objective": config.objective.kind, "epochs": config.epochs, "precision": precision, **trained}


def batches_per_epoch(job: Any) -> int:
    """How many steps an epoch of a training job has."""
    from ncdcli.training.sampler import n_batches

    return n_batches(len(job.rows), job.config.batch_size)


def _make_job(context: StageContext, config: PretrainConfig, samples: Samples, source: Any, backbone: Any) -> Any:
    from ncdcli.objectives.kinds import KINDS
    from ncdcli.recipe.base import import_kind
    from ncdcli.training.heldout import HeldOut
    from ncdcli.training.job import Job
    from ncdcli.training.selection import oracle_for

    kind = import_kind(KINDS, config.objective.kind)
    objective = kind.build(config.objective, backbone, n_known=len(samples.known))
    roles = ("labelled", "validation", "unlabelled") if objective.uses_pool else ("labelled",)
    rows = samples.rows(*roles)
    if len(rows) < 2:
        raise DataError(f"training needs at least two samples; there are {len(rows)} {' or '.join(roles)}")
    labels = samples.training_labels[rows]
    chooser = HeldOut.of(source, samples) if len(samples.rows("validation")) else None
    oracle = oracle_for(context, config, samples, source)
    stream, output = context.stream, context.output
    return Job(backbone, objective, source, rows, labels, chooser, config, stream, output, oracle=oracle)


def _write_untrained(context: StageContext, backbone: Any) -> None:
    from safetensors.torch import save_file

    from ncdcli.training.launch import is_first_process

    weights = backbone.state_dict()
    if weights and is_first_process():
        save_file({name: value.contiguous() for name, value in weights.items()}, context.output / "model.safetensors")
