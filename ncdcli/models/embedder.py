"""Embeds samples with a finished model: for the `embed` stage, and for samples that were not in the run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter
from torch import Tensor
from torch.nn import functional as F

from ncdcli.data.sources import Inputs
from ncdcli.errors import DataError, MissingError, NcdError
from ncdcli.models.backbone import JOINT, WEIGHTS, Backbone, InputSpec, ModelCard
from ncdcli.models.build import build_backbone
from ncdcli.models.fast import fast_forward
from ncdcli.models.inference import forward_batches
from ncdcli.models.kinds import BackboneConfig
from ncdcli.pipeline.context import Progress, Resources
from ncdcli.recipe.base import added_later
from ncdcli.training.batches import Source, open_inputs
from ncdcli.training.devices import pick_device, pick_precision

Batch = tuple[NDArray[np.int64], dict[str, NDArray[np.float32]]]


class Embedder:
    """A backbone on its device, ready to embed; what prepares the samples comes with it."""

    def __init__(
        self, backbone: Backbone, card: ModelCard, *, device: torch.device, precision: str = "fp32", workers: int = 0
    ) -> None:
        self.card, self.device, self.precision, self.workers = card, device, precision, workers
        self.backbone = backbone.to(device).eval()
        self.widths = {"embeddings": card.dim}  # of the arrays that it makes
        self._forward = fast_forward(self.backbone, device=device, precision=precision)

    def open(self, inputs: Inputs) -> Source:
        """The reader of samples, checked to be of the kind that the model was trained on."""
        source = open_inputs(inputs, encoder=table_encoder(self.card), workers=self.workers)
        expected = InputSpec(**{**self.card.input_spec, "shape": tuple(self.card.input_spec["shape"])})
        fixed = self.backbone.preparation is None or self.backbone.preparation.size is None
        if source.spec.modality != expected.modality or (fixed and source.spec.shape != expected.shape != ()):
            raise DataError(f"the samples are {_said(source.spec)}; the model was made for {_said(expected)}")
        return source

    def batches(self, source: Source, rows: NDArray[np.int64], *, normalize: bool) -> Iterator[Batch]:
        """(rows, {name: (b, width) array}) in the order of `rows`; NcdError where an embedding is not finite."""
        parts = forward_batches(
            self.backbone, source, rows, device=self.device, precision=self.precision, forward=self._forward
        )
        for batch, features in parts:
            arrays = {name: values.cpu().numpy() for name, values in self._arrays(features, normalize).items()}
            if not np.isfinite(arrays["embeddings"]).all():
                bad = batch[~np.isfinite(arrays["embeddings"]).all(axis=1)]
                raise NcdError(
                    f"the embedding of row {bad[0]} is not finite ({len(bad)} of {len(batch)} in its batch)",
                    hint="set `embed.precision: fp32`, or train again with a lower `pretrain.optimizer.lr`",
                )
            yield batch, arrays

    def arrays(self, inputs: Inputs, progress: Progress, normalize: bool = True) -> dict[str, NDArray[np.float32]]:
        """{name: (n, width) array} of samples, in their order; each model has `embeddings`."""
        source = self.open(inputs)
        whole = {name: np.empty((len(source), width), np.float32) for name, width in self.widths.items()}
        with progress.track("embed", len(source)) as tick:
            for rows, arrays in self.batches(source, np.arange(len(source)), normalize=normalize):
                for name, values in arrays.items():
                    whole[name][rows] = values
                tick(len(rows))
        return whole

    def embed(self, inputs: Inputs, progress: Progress, normalize: bool = True) -> NDArray[np.float32]:
        """(n, dim) embeddings of samples, in their order."""
        return self.arrays(inputs, progress, normalize)["embeddings"]

    def _arrays(self, features: Tensor, normalize: bool) -> dict[str, Tensor]:
        """The arrays of a batch, given the features of the backbone."""
        return {"embeddings": F.normalize(features, dim=1) if normalize else features}


def load_embedder(model_json: Path, resources: Resources, *, precision: str = "fp32") -> Embedder:
    """The embedder of a `pretrain` or `joint_training` result; weights are read from beside `model_json`.

    `precision` is `auto`, `fp32`, `bf16` or `fp16`. MissingError where a file is not there.
    """
    backbone, card = load_backbone(model_json)
    device = pick_device(resources.device)
    precision = pick_precision(precision, device)
    if card.joint is None:
        return Embedder(backbone, card, device=device, precision=precision, workers=resources.workers)
    from ncdcli.joint.embedder import JointEmbedder, load_method

    method = load_method(backbone, card, model_json.with_name(WEIGHTS))
    return JointEmbedder(method, backbone, card, device=device, precision=precision, workers=resources.workers)


def load_backbone(model_json: Path) -> tuple[Backbone, ModelCard]:
    """The backbone that a training has written, on the CPU, and its description. MissingError where a file is gone."""
    if not model_json.exists():
        raise MissingError(f"`{model_json}` is not there", hint="ncd pretrain RECIPE")
    card = ModelCard.read(model_json)
    spec = InputSpec(**{**card.input_spec, "shape": tuple(card.input_spec["shape"])})
    config = TypeAdapter(BackboneConfig).validate_json(json.dumps(card.backbone))
    backbone = build_backbone(config, spec, pretrained=False)
    if backbone.state_dict():
        from safetensors.torch import load_file

        weights = model_json.with_name(WEIGHTS)
        if not weights.exists():
            raise MissingError(f"`{weights}` is not there", hint="ncd pretrain RECIPE --force")
        state = load_file(weights)
        backbone.load_state_dict({name: value for name, value in state.items() if not name.startswith(JOINT)})
    return backbone, card


def make_card(config: Any, spec: InputSpec, dim: int, *, encoder: Any = None, training: dict[str, Any]) -> ModelCard:
    """The description of a model: no paths, so that the same model is described in the same words everywhere."""
    described = config.model_dump(mode="json", exclude=added_later(config))
    if described.get("weights") not in (None, "hub", "none"):
        described["weights"] = Path(described["weights"]).name
    encoded = encoder.to_json() if encoder is not None else None
    return ModelCard(described, asdict(spec), dim, encoded, training)


def table_encoder(card: ModelCard) -> Any:
    """The fitted encoder that a card carries, or None."""
    if card.table_encoder is None:
        return None
    from ncdcli.data.tables import TableEncoder

    return TableEncoder.from_json(card.table_encoder)


def _said(spec: InputSpec) -> str:
    size = " × ".join(map(str, spec.shape)) or "of any size"
    return f"{spec.modality} {size}"
