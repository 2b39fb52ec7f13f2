"""`embed`: one vector per sample, in the order of `samples.csv`."""

from __future__ import annotations

from typing import Any

from ncdcli.data.samples import Samples
from ncdcli.data.sources import Inputs
from ncdcli.jsonfile import write_json
from ncdcli.pipeline.context import StageContext


def run(context: StageContext, config: Any) -> None:
    """Write `embeddings.npy` (n, dim) float32 and `embeddings.json`. `config.embed` is the recipe's section."""
    from ncdcli.data.resolve import open_source

    assert context.data is not None
    samples = Samples.read(context.inputs["split/samples.csv"], context.inputs["split/classes.json"])
    inputs = open_source(context.data).inputs(samples.keys)
    embed(context, config.embed, inputs)


def embed(context: StageContext, config: Any, inputs: Inputs) -> None:
    """The stage, given what the samples hold."""
    from ncdcli.models.backbone import ModelCard
    from ncdcli.models.embedding import Job, embed_all
    from ncdcli.training.devices import pick_device, pick_precision
    from ncdcli.training.launch import is_first_process

    model_json = context.inputs["pretrain/model.json"]
    card, resources = ModelCard.read(model_json), context.resources
    precision = pick_precision(config.precision, pick_device(resources.device))
    job = Job(model_json, inputs, context.output, config.normalize, precision, resources)
    embed_all(context, job, {"embeddings": card.dim})
    if is_first_process():
        content = {"n": len(inputs), "dim": card.dim, "normalize": config.normalize, "precision": precision}
        write_json(context.output / "embeddings.json", content)
