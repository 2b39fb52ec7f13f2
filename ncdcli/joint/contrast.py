"""GCD's two contrastive losses behind a projector: what many joint methods go on with beside their own."""

from __future__ import annotations

from torch import Tensor

from ncdcli.joint.contrast_kinds import Cms, ProjectorSection, Selex
from ncdcli.joint.heads import Projector
from ncdcli.objectives.contrastive import info_nce, supervised_contrastive
from ncdcli.objectives.heads import DinoHead


def make_projector(config: ProjectorSection, dim: int) -> Projector:
    """The projector of a section, for features of `dim` values."""
    return Projector(dim, hidden=config.projector_hidden, out=config.projector_out, layers=config.projector_layers)


def make_dino_head(config: Cms | Selex, dim: int) -> DinoHead:
    """GCD's head with a bottleneck, as a section says, for features of `dim` values."""
    return DinoHead(
        dim,
        hidden=config.projector_hidden,
        bottleneck=config.projector_bottleneck,
        out=config.projector_out,
        layers=config.projector_layers,
    )


def contrast(projector: Projector, both: Tensor, labels: Tensor, config: ProjectorSection) -> dict[str, Tensor]:
    """InfoNCE on all samples and SupCon on labelled ones, on the projections of (2b, dim) features of two views.

    All first views stand before all second ones; `labels` (b,) are -1 where there is none.
    """
    first, second = projector(both).chunk(2)
    return {
        "infonce": info_nce(first, second, config.unsupervised_temperature),
        "supcon": labelled_contrast(first, second, labels, config.supervised_temperature),
    }


def labelled_contrast(first: Tensor, second: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """SupCon of the rows that have a label, given (b, d) projections of both views."""
    labelled = labels >= 0
    return supervised_contrastive(first[labelled], second[labelled], labels[labelled], temperature)


def both_weighted(parts: dict[str, Tensor], weight: float) -> Tensor:
    """(1 − weight) · InfoNCE + weight · SupCon."""
    return (1 - weight) * parts["infonce"] + weight * parts["supcon"]


def detached(parts: dict[str, Tensor]) -> dict[str, Tensor]:
    """The parts of a loss for the log, without gradients."""
    return {name: part.detach() for name, part in parts.items()}
