"""`joint_training`: trains the representation and a classifier of all classes together, from where `pretrain` ended."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from ncdcli.clustering.inputs import clustered_rows, clustering_problem, read_inputs
from ncdcli.data.samples import Samples
from ncdcli.data.sources import Inputs
from ncdcli.errors import RecipeError
from ncdcli.joint.kinds import JointTrainingConfig
from ncdcli.pipeline.context import StageContext

if TYPE_CHECKING:
    from ncdcli.joint.base import JointMethod, Task
    from ncdcli.models.backbone import Backbone, ModelCard
    from ncdcli.training.job import Job

NAME = "joint_training"


def run(context: StageContext, config: Any) -> None:
    """Write `model.safetensors`, `model.json`, `embeddings.npy`, `logits.npy` (n, k) and `metrics.jsonl`.

    The embeddings take the place of those of `embed` in the stages after this one, and are scaled as these were. Logits
    are absent where the method has no classifier. `timing.jsonl` holds what differs from one repetition to the next.
    """
    from ncdcli.data.resolve import open_source

    assert context.data is not None
    samples = Samples.read(context.inputs["split/samples.csv"], context.inputs["split/classes.json"])
    check_selection(config.joint_training, samples)
    train_jointly(context, config.joint_training, samples, open_source(context.data).inputs(samples.keys))


def check_selection(config: JointTrainingConfig, samples: Samples) -> None:
    """RecipeError where an epoch is to be chosen on held-out samples that do not exist."""
    if config.selection == "known-val" and not len(samples.rows("validation")):
        raise RecipeError(
            "`joint_training.selection: known-val` needs held-out known samples, and there are none",
            hint="set `data.validation_fraction: 0.1`",
        )


def train_jointly(context: StageContext, config: JointTrainingConfig, samples: Samples, inputs: Inputs) -> None:
    """The stage, given what the samples hold."""
    from dataclasses import replace

    from ncdcli.joint.embedder import array_widths, describe_method
    from ncdcli.models.embedding import Job, embed_all
    from ncdcli.training.launch import is_first_process

    job, card, task = _make_job(context, config, samples, inputs)
    method: Any = job.objective
    trained = _train(context, job)
    card = replace(
        card,
        training={"method": config.method.kind, "epochs": config.epochs, **trained},
        joint=describe_method(config.method, task, trained["k"]),
    )
    model_json = context.output / "model.json"
    if is_first_process():
        card.write(model_json)
    how = json.loads(context.inputs["embed/embeddings.json"].read_text("utf-8"))
    share = Job(model_json, inputs, context.output, how["normalize"], how["precision"], context.resources)
    embed_all(context, share, array_widths(method, card), title=f"{NAME}: embed")


def _make_job(
    context: StageContext, config: JointTrainingConfig, samples: Samples, inputs: Inputs
) -> tuple[Job, ModelCard, Task]:
    from ncdcli.joint.base import Task
    from ncdcli.joint.frozen import FrozenBackbone
    from ncdcli.models.embedder import load_backbone, table_encoder
    from ncdcli.training.augment import check_augment, check_sizes
    from ncdcli.training.batches import Source, Vectors, open_inputs
    from ncdcli.training.heldout import HeldOut
    from ncdcli.training.job import Job
    from ncdcli.training.selection import oracle_for

    backbone, card = load_backbone(context.inputs["pretrain/model.json"])
    source: Source
    if config.train_last_blocks is not None:
        freeze_anew(backbone, config.train_last_blocks, name=card.backbone["kind"])
    if config.method.trains_backbone:
        source = open_inputs(inputs, encoder=table_encoder(card), workers=context.resources.workers)
    else:
        backbone = FrozenBackbone(backbone)
        source = Vectors(read_inputs(context.inputs)[1], "embeddings")
    check_augment(config.augment, source.spec.modality)
    check_sizes(config.augment, backbone, section=NAME)
    k = json.loads(context.inputs["estimate_k/k.json"].read_text("utf-8"))["k"]
    encoder = table_encoder(card)
    one_hot = encoder.one_hot if encoder is not None and config.method.trains_backbone else ()
    task = Task(len(samples.known), k, samples.setting, one_hot)
    method = _make_method(context, config, samples, backbone, task)
    rows = clustered_rows(samples)
    held_out = HeldOut.of(source, samples) if len(samples.rows("validation")) else None
    labels = samples.training_labels[rows]
    oracle = oracle_for(context, config, samples, source)
    stream, output = context.stream, context.output
    job = Job(backbone, method, source, rows, labels, held_out, config, stream, output, NAME, oracle)
    return job, card, task


def freeze_anew(backbone: Backbone, count: int | Literal["all"], *, name: str) -> None:
    """Leave gradients to the last `count` blocks, whatever was trained before. RecipeError where there are fewer."""
    from ncdcli.models.freeze import freeze_all_but_last

    backbone.requires_grad_(True)
    field = f"{NAME}.train_last_blocks"
    freeze_all_but_last(backbone, count, name=name, found=backbone.list_blocks(), field=field)


def _make_method(
    context: StageContext, config: JointTrainingConfig, samples: Samples, backbone: Any, task: Task
) -> JointMethod:
    """The method, ready to be trained from what is there: weights of `pretrain`, embeddings of `embed`."""
    from ncdcli.clustering.checks import check_problem
    from ncdcli.joint.kinds import KINDS
    from ncdcli.recipe.base import import_kind
    from ncdcli.training.streams import Key, generator, torch_seeded

    _, embeddings = read_inputs(context.inputs)
    problem = clustering_problem(samples, embeddings, task.k)
    check_problem(problem, needs_k=config.method.k == "needs")
    with torch_seeded(context.stream, Key.WEIGHTS):
        method: JointMethod = import_kind(KINDS, config.method.kind).make(config.method, backbone, task=task)
        method.start(problem, generator(context.stream, Key.START))
    return method


def _train(context: StageContext, job: Job) -> dict[str, Any]:
    """Train, and write the weights; what `model.json` says about it."""
    from ncdcli.training.devices import pick_device, pick_precision
    from ncdcli.training.launch import launch
    from ncdcli.training.loop import train
    from ncdcli.training.monitor import LocalMonitor
    from ncdcli.training.sampler import n_batches

    config = job.config
    precision = pick_precision(config.precision, pick_device(context.resources.device))
    if config.cached_views is not None:
        from ncdcli.training.caching import with_cached_views

        job = with_cached_views(context, job, precision)
    with context.progress.track(NAME, config.epochs * n_batches(len(job.rows), config.batch_size)) as tick:
        monitor = LocalMonitor(tick, context.stop_requested)
        trained = launch(train, job, resources=context.resources, precision=precision, monitor=monitor)
    return {"precision": precision, **trained}
