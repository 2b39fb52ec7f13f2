"""Embeds and classifies samples with a finished joint method."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import Tensor

from ncdcli.errors import MissingError
from ncdcli.joint.base import JointMethod, Task
from ncdcli.joint.kinds import KINDS, JointConfig, JointSection
from ncdcli.models.backbone import Backbone, ModelCard
from ncdcli.models.embedder import Embedder
from ncdcli.recipe.base import import_kind


class JointEmbedder(Embedder):
    """Makes `logits` (n, k) beside `embeddings`, where the method classifies."""

    def __init__(self, method: JointMethod, backbone: Backbone, card: ModelCard, **where: Any) -> None:
        super().__init__(backbone, card, **where)
        self.method = method.to(self.device).eval()
        self.widths = array_widths(method, card)

    def _arrays(self, features: Tensor, normalize: bool) -> dict[str, Tensor]:
        with torch.inference_mode():
            arrays = super()._arrays(self.method.embedding(features), normalize)
            return arrays | ({"logits": self.method.logits(features)} if "logits" in self.widths else {})


def describe_method(config: JointSection, task: Task, k: int | None) -> dict[str, Any]:
    """What `model.json` says of a method: enough to build it again."""
    described = config.model_dump(mode="json")
    return {"method": described, "n_known": task.n_known, "k": k, "setting": task.setting}


def array_widths(method: JointMethod, card: ModelCard) -> dict[str, int]:
    """Name -> width of the arrays that a method makes."""
    assert card.joint is not None
    logits = {"logits": int(card.joint["k"])} if _config(card).classifies else {}
    return {"embeddings": method.embedding_dim, **logits}


def load_method(backbone: Backbone, card: ModelCard, weights: Path) -> JointMethod:
    """The method that a card describes, with what it has learnt. MissingError where the weights are not there."""
    from safetensors.torch import load_file

    assert card.joint is not None
    if not weights.exists():
        raise MissingError(f"`{weights}` is not there", hint="ncd joint-training RECIPE --force")
    config = _config(card)
    task = Task(card.joint["n_known"], card.joint["k"], card.joint["setting"])
    with torch.random.fork_rng(devices=[]):  # initial weights are drawn, and replaced
        method: JointMethod = import_kind(KINDS, config.kind).make(config, backbone, task=task)
    method.load_kept(load_file(weights))
    return method


def _config(card: ModelCard) -> Any:
    assert card.joint is not None
    return TypeAdapter(JointConfig).validate_json(json.dumps(card.joint["method"]))
