"""The trainings that methods.py measures: settings of shipped recipes on samples that need no file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter

from ncdcli.clustering.base import Problem
from ncdcli.joint.base import JointMethod, Task
from ncdcli.joint.frozen import FrozenBackbone
from ncdcli.joint.kinds import KINDS as METHODS
from ncdcli.models.backbone import Backbone
from ncdcli.models.build import build_backbone
from ncdcli.models.freeze import freeze_all_but_last
from ncdcli.models.inference import forward_batches
from ncdcli.models.kinds import BackboneConfig
from ncdcli.objectives.base import Objective
from ncdcli.objectives.kinds import KINDS, Augment, ObjectiveConfig, TrainingConfig
from ncdcli.recipe.base import import_kind
from ncdcli.recipe.resolve import load_recipe
from ncdcli.training.batches import ArrayImages, Source, Vectors
from ncdcli.training.streams import Key, torch_seeded

OBJECTIVES = ("supcon_infonce", "cross_entropy", "rotation")
CPU = torch.device("cpu")
DIGITS_VIEWS = Augment(shift=0.1, rotate=15, zoom=0.15)
NETWORKS = {
    "resnet18": {"kind": "timm", "name": "resnet18", "weights": "none", "image_size": 32},
    "lite0": {"kind": "timm", "name": "tf_efficientnet_lite0", "weights": "none", "image_size": 64},
}


@dataclass(frozen=True)
class Case:
    """A training: all that a job needs, and the random views of its recipe."""

    name: str
    backbone: Backbone
    objective: Objective
    source: Source
    rows: NDArray[np.int64]
    labels: NDArray[np.int64]
    config: TrainingConfig  # without random views
    augment: Augment

    @property
    def stream(self) -> np.random.SeedSequence:
        return np.random.SeedSequence(0)


def make_case(name: str, epochs: int) -> Case:
    """The training of a method; its weights and what it starts from are the same each time."""
    kind, _, network = name.partition("+")
    source, classes = samples_of(kind, network)
    recipe = load_recipe(recipe_of(kind)).recipe
    config: Any = recipe.pretrain if kind in OBJECTIVES else recipe.joint_training
    setting = recipe.data.setting
    known = classes < 5
    labelled = known & ((setting == "ncd") | (np.arange(len(classes)) % 2 == 0))
    labels = np.where(labelled, classes, -1)
    rows = np.flatnonzero(labelled) if kind == "cross_entropy" else np.arange(len(classes))
    section = TypeAdapter(BackboneConfig).validate_python(NETWORKS[network]) if network else recipe.backbone
    with torch_seeded(np.random.SeedSequence(0), Key.WEIGHTS):
        backbone = build_backbone(section, source.spec)
        if kind in OBJECTIVES:
            chosen: Any = recipe.pretrain.objective
            if chosen.kind != kind:
                chosen = TypeAdapter(ObjectiveConfig).validate_python({"kind": kind})
            objective: Objective = import_kind(KINDS, kind).build(chosen, backbone, n_known=5)
        else:
            backbone, source, objective = make_method(config, backbone, source, labels, setting)
    update = {"epochs": epochs, "augment": Augment()} | ({"batch_size": 64} if network else {})
    shown = DIGITS_VIEWS if source.spec.modality == "images" else config.augment
    return Case(name, backbone, objective, source, rows, labels[rows], config.model_copy(update=update), shown)


def recipe_of(kind: str) -> str:
    """The shipped recipe that a method's settings are taken from."""
    return "optdigits-tabular-ncd" if kind == "tabular_ncd" else f"digits-{'gcd' if kind in OBJECTIVES else kind}"


def samples_of(kind: str, network: str) -> tuple[Source, NDArray[np.int64]]:
    """Samples and the classes 0 to 9: digits, random images for a larger network, or random rows of a table."""
    rng = np.random.default_rng(0)
    if kind == "tabular_ncd":
        return Vectors(rng.normal(size=(3823, 62)).astype(np.float32), "tables"), rng.integers(0, 10, 3823)
    if network:
        side = NETWORKS[network]["image_size"]
        return ArrayImages(rng.integers(0, 256, (128, side, side, 3), np.uint8)), np.arange(128) % 10
    from sklearn.datasets import load_digits

    digits = load_digits()
    return ArrayImages((digits.images[..., None] * 15).astype(np.uint8)), digits.target.astype(np.int64)


def make_method(
    config: Any, backbone: Backbone, source: Source, labels: NDArray[np.int64], setting: str
) -> tuple[Backbone, Source, JointMethod]:
    """The joint method, ready to be trained, with the backbone and the samples that it sees."""
    section = config.method
    if section.kind == "pim":  # the search for it comes before the first epoch
        section = section.model_copy(update={"sureness_weight": 0.2})
    if config.train_last_blocks is not None:
        blocks = backbone.list_blocks()
        freeze_all_but_last(backbone, config.train_last_blocks, name="", found=blocks, field="")
    backbone.eval()
    parts = [rows for _, rows in forward_batches(backbone, source, np.arange(len(source)), device=CPU)]
    embeddings = torch.nn.functional.normalize(torch.cat(parts).clone(), dim=1).numpy()
    if not section.trains_backbone:
        backbone, source = FrozenBackbone(backbone), Vectors(embeddings, "embeddings")
    method = import_kind(METHODS, section.kind).make(section, backbone, task=Task(5, 10, setting))
    method.start(Problem(embeddings, labels, 5, 10, setting == "ncd"), np.random.default_rng(0))
    return backbone, source, method
