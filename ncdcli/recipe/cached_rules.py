"""Where the views of a training can be drawn once, and what frozen blocks make of them be kept."""

from __future__ import annotations

from collections.abc import Iterator

from ncdcli.models.kinds import BackboneConfig
from ncdcli.recipe.card_rules import Faults
from ncdcli.recipe.trainings import Training

OUT = "leave `cached_views` out"


def cached_views_serve(backbone: BackboneConfig, training: Training) -> Faults:
    """There are frozen blocks, every view goes through them, and a sample has as many views as are compared."""
    kept = training.config.cached_views
    if kept is None or not training.trains:
        return
    for message, hint in _obstacles(backbone, training):
        yield (training.name, "cached_views"), message, hint
        return
    views = training.learnt.views
    if kept < views:
        message = f"{training.called} compares {views} views of a sample, of {kept}"
        yield (training.name, "cached_views"), message, f"set `cached_views: {views}` or more"


def _obstacles(backbone: BackboneConfig, training: Training) -> Iterator[tuple[str, str]]:
    """What stands in the way, and what to do, the most telling first."""
    if not getattr(training.learnt, "trains_backbone", True):
        yield f"{training.called} trains on embeddings, which are kept anyway", OUT
    if not backbone.has_blocks:
        yield f"what frozen blocks give is kept, and backbone `{backbone.kind}` has no blocks", OUT
    blocks = getattr(training.config, "train_last_blocks", None)
    if (getattr(backbone, "train_last_blocks", "all") if blocks is None else blocks) == "all":
        place = "backbone" if hasattr(backbone, "train_last_blocks") and blocks is None else training.name
        trains_last = f"set `{place}.train_last_blocks: 1`, or {OUT}"
        possible = hasattr(backbone, "train_last_blocks") or hasattr(training.config, "train_last_blocks")
        yield "what frozen blocks give is kept, and the whole backbone is trained", trains_last if possible else OUT
    if training.learnt.turns:
        yield f"{training.called} turns each view in its own way, so that no two can be exchanged", OUT
    if training.config.augment.small_crops:
        yield "small crops are of another size than the views that are kept", f"{OUT}, or `augment.small_crops`"
