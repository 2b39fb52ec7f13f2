"""What no single field can tell: rules that look at several fields of a recipe or of a dataset card.

A rule is a function whose parameters name the top-level sections that it looks at; it is applied when these are valid
in themselves. It yields faults: the steps to the place, what is wrong, and a hint.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from ncdcli.clustering.kinds import ClusterConfig
from ncdcli.counting.kinds import CountingConfig
from ncdcli.data.kinds import Card, DataConfig, Source
from ncdcli.models.kinds import BackboneConfig, kinds_that_read
from ncdcli.objectives.kinds import Augment, PretrainConfig
from ncdcli.recipe.card_rules import (
    CARD_RULES,
    Fault,
    Faults,
    faults_with_classes,
    known_faults,
    source_faults,
    split_faults,
)
from ncdcli.recipe.paths import WEIGHT_WORDS, looks_like_path
from ncdcli.recipe.schema import EvaluateConfig, Expected, Recipe
from ncdcli.recipe.shape import kinds_of
from ncdcli.recipe.training_rules import TRAINING_RULES
from ncdcli.recipe.trainings import Training, trainings
from ncdcli.recipe.tree import Steps
from ncdcli.shipped import shipped_cards
from ncdcli.words import did_you_mean, either


def faults_of(sections: Mapping[str, Any], model: type[BaseModel]) -> list[Fault]:
    """The faults that the rules of `model` find in those of its sections that are there."""
    faults: list[Fault] = []
    for rule in RULES.get(model, ()):
        names = list(inspect.signature(rule).parameters)
        worlds = [{**sections, "training": one} for one in trainings(sections)] if "training" in names else [sections]
        for world in worlds:
            if all(name in world for name in names):
                faults += rule(**{name: world[name] for name in names})
    return faults


def where_samples_come_from(data: DataConfig) -> Faults:
    """Exactly one of a card and a source, and the card is there."""
    if data.card is None and data.source is None:
        hint = "add `card: NAME` (`ncd data list`), or `source: {kind: …}` for your own data"
        yield ("data",), "neither `card` nor `source` is given", hint
    elif data.card is not None and data.source is not None:
        hint = "keep one; where the other comes from a parent recipe, set it to null"
        yield ("data", "source"), "`card` and `source` are both given", hint
    if data.card is not None and not looks_like_path(data.card):
        cards = shipped_cards()
        if data.card not in cards:
            hint = did_you_mean(data.card, cards, "`ncd data list` shows the cards; a card file ends in .yaml")
            yield ("data", "card"), f"no dataset card is named '{data.card}'", hint


def source_fits(data: DataConfig) -> Faults:
    """The source's own fields go together."""
    if data.source is not None:
        yield from source_faults(data.source, ("data", "source"))


def labels_fit_setting(data: DataConfig) -> Faults:
    """In the NCD setting every training sample of a known class is labelled: nothing is drawn."""
    if data.setting != "ncd":
        return
    fields = DataConfig.model_fields
    hint = "leave it out, or use `setting: gcd`"
    message = "means nothing with `setting: ncd`, where every training sample of a known class is labelled"
    if data.labelled_fraction not in (fields["labelled_fraction"].default, 1.0):
        yield ("data", "labelled_fraction"), f"`labelled_fraction` {message}", hint
    if data.labelled_rule != fields["labelled_rule"].default:
        yield ("data", "labelled_rule"), f"`labelled_rule` {message}", hint


def known_classes_make_sense(data: DataConfig) -> Faults:
    """Known classes are given once each, and the card has them."""
    steps: Steps = ("data", "known_classes")
    yield from known_faults(data.known_classes, steps)
    card = card_of(data)
    if card is not None:
        yield from faults_with_classes(data.known_classes, card.classes, card.class_names, steps)
        yield from split_faults(data.known_classes, card.splits, steps)


def k_leaves_room(data: DataConfig, estimate_k: CountingConfig) -> Faults:
    """k counts known and novel classes together, and ranges are ranges."""
    n_known = _n_known(data)
    if n_known is None:
        return
    hint = "k counts known and novel classes together"
    k, high = getattr(estimate_k, "k", None), getattr(estimate_k, "high", None)
    if k is not None and k <= n_known:
        yield ("estimate_k", "k"), f"k = {k} leaves no novel class beside the {n_known} known ones", hint
    if high is not None and high < n_known:
        yield ("estimate_k", "high"), f"high = {high} is below the number of known classes, {n_known}", hint


def range_of_k(estimate_k: CountingConfig) -> Faults:
    """The range of k is one."""
    low, high = getattr(estimate_k, "low", None), getattr(estimate_k, "high", None)
    if low is not None and high is not None and low > high:
        yield ("estimate_k", "low"), f"low = {low} is above high = {high}", "exchange them"


def someone_finds_k(estimate_k: CountingConfig, cluster: ClusterConfig) -> Faults:
    """The number of clusters is estimated for the methods that need it, and for no others."""
    if estimate_k.kind == "none" and cluster.k == "needs":
        hint = "use e.g. `estimate_k: {kind: max_acc}`, or give k: `{kind: fixed, k: …}`"
        yield ("estimate_k", "kind"), f"clustering `{cluster.kind}` needs a number of clusters", hint
    elif estimate_k.kind != "none" and cluster.k == "finds":
        message = f"clustering `{cluster.kind}` finds the number of clusters itself"
        yield ("cluster", "kind"), message, "set `estimate_k: {kind: none}`"


def domains_are_given(data: DataConfig, cluster: ClusterConfig) -> Faults:
    """Clustering by domains needs a source that says where samples come from."""
    card = card_of(data)
    source = card.source if card is not None else data.source
    if source is None or not cluster.needs_domains:
        return
    message = f"clustering `{cluster.kind}` needs a domain for every sample"
    if source.domain_field is None:
        known = either(f"`{kind}`" for kind, section in kinds_of(Source).items() if vars(section).get("domain_field"))
        yield ("cluster", "kind"), message, f"samples of a source {known} can have one, those of `{source.kind}` cannot"
    elif getattr(source, source.domain_field) is None:
        place = "`data.source`" if card is None else "the card's `source`"
        yield ("cluster", "kind"), message, f"say where samples come from: `{source.domain_field}` in {place}"


def protocol_fits_setting(data: DataConfig, evaluate: EvaluateConfig) -> Faults:
    """The NCD protocols are for the NCD setting."""
    if evaluate.protocol is not None and evaluate.protocol.startswith("ncd_") and data.setting != "ncd":
        message = f"`{evaluate.protocol}` needs a pool of novel classes only"
        yield ("evaluate", "protocol"), message, "use `gcd_v2`, or set `data.setting: ncd`"


def backbone_fits_source(data: DataConfig, backbone: BackboneConfig) -> Faults:
    """The modality of the samples is one that the backbone can read."""
    modality = modality_of(data)
    if modality is not None and modality not in backbone.reads:
        message = f"backbone `{backbone.kind}` reads {' and '.join(backbone.reads)}, the data are {modality}"
        yield ("backbone", "kind"), message, f"use one of {', '.join(kinds_that_read(modality))}"


def backbone_makes_sense(backbone: BackboneConfig) -> Faults:
    blocks = getattr(backbone, "train_last_blocks", "all")
    if isinstance(blocks, int) and blocks < 0:
        yield (
            ("backbone", "train_last_blocks"),
            f"expected 0 or more, found {blocks}",
            "0 freezes all, `all` trains all",
        )
    for name in ("widths", "hidden"):
        for index, width in enumerate(getattr(backbone, name, ())):
            if isinstance(width, float) and width <= 0:
                yield ("backbone", name, index), f"expected a fraction above 0, found {width}", ""
            elif isinstance(width, int) and width < 1:
                yield ("backbone", name, index), f"expected a whole number of at least 1, found {width}", ""
    weights = getattr(backbone, "weights", WEIGHT_WORDS[0])
    if weights not in WEIGHT_WORDS and not looks_like_path(weights):
        hint = did_you_mean(weights, WEIGHT_WORDS, "a file ends in .safetensors, .pth or .pt", most=1)
        yield ("backbone", "weights"), f"expected `hub`, `none` or a file, found '{weights}'", hint


def augment_fits(data: DataConfig, training: Training) -> Faults:
    """Pictures are shifted and flipped, columns of a table are not; features are masked, pixels are not."""
    modality, augment = modality_of(data), training.config.augment
    if modality is None or training.learnt.kind == "none":
        return
    for name, info in Augment.model_fields.items():
        for_images = name != "mask"
        if name == "noise" or getattr(augment, name) == info.default or for_images == (modality == "images"):
            continue
        hint = "`noise` does for all inputs" + ("" if modality == "images" else ", `mask` for these")
        yield (training.name, "augment", name), f"`{name}` is not for {modality}", hint


def turned_are_images(data: DataConfig, pretrain: PretrainConfig) -> Faults:
    """Rows of a table have no way up."""
    modality = modality_of(data)
    if pretrain.objective.turns and modality not in (None, "images"):
        message = f"`{pretrain.objective.kind}` turns images, and the data are {modality}"
        yield ("pretrain", "objective", "kind"), message, "use e.g. `simclr`"


def modality_of(data: DataConfig) -> str | None:
    """What the samples are, None where the card is not here to tell."""
    card = card_of(data)
    source = card.source if card is not None else data.source
    return None if source is None else source.modality


def figures_can_be_judged(expected: tuple[Expected, ...]) -> Faults:
    """How far ours may be from a published figure is known, and no figure is given twice."""
    for index, figure in enumerate(expected):
        if figure.sd is None and figure.tolerance is None:
            hint = "add `sd: …` (twice that is allowed), or `tolerance: …`, in points"
            yield ("expected", index), "neither `sd` nor `tolerance` is given: how near is near?", hint
        if figure.metric in [other.metric for other in expected[:index]]:
            yield ("expected", index, "metric"), f"`{figure.metric}` is given twice", "keep one of them"


def card_of(data: DataConfig) -> Card | None:
    """The card that the recipe names, None where there is none. RecipeError where the card itself is not valid."""
    if data.card is None:
        return None
    path = shipped_cards().get(data.card) or Path(data.card)
    return _read_card(path, path.stat().st_mtime_ns) if path.is_file() else None


@lru_cache(maxsize=8)
def _read_card(path: Path, _changed: int) -> Card:
    from ncdcli.recipe.source import load_tree, validate  # not at the top: validating applies these rules

    return validate(load_tree(path), Card)


def _n_known(data: DataConfig) -> int | None:
    """The number of known classes, None where only the samples tell it."""
    known: Any = data.known_classes
    card = card_of(data)
    if known is None and card is not None:
        known = card.known_classes
    if isinstance(known, str) and card is not None:
        known = card.splits.get(known)
    count = known if isinstance(known, int) else len(known) if isinstance(known, tuple) else None
    return count if count is None or data.hide is None else count - len(data.hide.classes)


RULES: dict[type[BaseModel], tuple[Callable[..., Faults], ...]] = {
    Recipe: (
        where_samples_come_from, source_fits, labels_fit_setting, known_classes_make_sense, k_leaves_room, range_of_k,
        someone_finds_k, domains_are_given,
        protocol_fits_setting, backbone_fits_source, backbone_makes_sense, *TRAINING_RULES,
        augment_fits, turned_are_images, figures_can_be_judged,
    ),
    Card: CARD_RULES,
}  # fmt: skip
