"""The batches of an epoch: samples of a source, turned into random views."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ncdcli.errors import NcdError
from ncdcli.models.backbone import Backbone, ImagePreparation
from ncdcli.objectives.kinds import Augment, TrainingConfig
from ncdcli.training.augment import Column, augment_images, normalise, small_crops
from ncdcli.training.batches import Draw, Source, Vectors
from ncdcli.training.parts import InParts
from ncdcli.training.sampler import EpochPlan
from ncdcli.training.streams import Key, generator


class Shown(NamedTuple):
    """What a backbone is shown of a batch."""

    inputs: Tensor  # (views · b, …) prepared inputs, all first views, then all second ones
    clean: Tensor  # the same before noise and masks
    small: Tensor | None = None  # (small crops · b, …), where there are any


class EachSize(nn.Module):
    """A backbone that embeds views of two sizes in one call, as several processes want it."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, inputs: Tensor, small: Tensor) -> tuple[Tensor, Tensor]:
        """(views · b, dim) and (small crops · b, dim); batch norms see one size after the other."""
        return self.backbone(inputs), self.backbone(small)


class InPasses(nn.Module):
    """A backbone that embeds the groups of a batch in turn, so that batch norms see one after the other.

    A group may have several turns: its features are those of the last, and the others move the averages of batch norm.
    """

    def __init__(self, backbone: Backbone, turns: Sequence[int]) -> None:
        super().__init__()
        self.backbone, self.turns = backbone, tuple(turns)

    def forward(self, inputs: Tensor, groups: Tensor) -> Tensor:
        """(n, dim) features of (n, …) inputs, each in its group (n,); a group of one row has no spread, and joins 0."""
        groups = torch.where(groups.bincount()[groups] > 1, groups, 0)
        order = groups.argsort(stable=True)
        parts = inputs[order].split(groups.bincount(minlength=max(self.turns) + 1).tolist())
        features = {}
        for number, group in enumerate(self.turns):
            last = group not in self.turns[number + 1 :]
            if len(parts[group]):
                with torch.set_grad_enabled(last and torch.is_grad_enabled()):
                    features[group] = self.backbone(parts[group])
        return torch.cat([features[group] for group in sorted(features)])[order.argsort()]


def for_views(backbone: Backbone, config: TrainingConfig, *, turns: Sequence[int], processes: int) -> nn.Module:
    """The backbone, as it takes the views of a batch. NcdError where several processes cannot."""
    if turns and processes > 1:
        raise NcdError("samples and views with statistics of their own are for one process", hint="--devices 1")
    if turns:
        return InPasses(backbone, turns)
    if config.accumulate > 1:
        return InParts(backbone)
    return EachSize(backbone) if config.augment.small_crops else backbone


@dataclass(frozen=True)
class Views:
    """Makes the inputs of a backbone. Process `rank` of `processes` gets its part of every batch."""

    source: Source
    preparation: ImagePreparation | None
    augment: Augment
    stream: np.random.SeedSequence
    rows: NDArray[np.int64]  # training rows: `mask` takes other values from them
    turns: bool = False  # each view by a quarter more than the one before
    rank: int = 0
    processes: int = 1

    def epoch(self, plan: EpochPlan, device: torch.device, *, start: int = 0) -> Iterator[Tensor]:
        """For each batch from `start`: (views · b, …) prepared inputs, all first views, then all second ones."""
        return (shown.inputs for shown in self.batches(plan, device, start=start))

    def batches(self, plan: EpochPlan, device: torch.device, *, start: int = 0) -> Iterator[Shown]:
        """The same, each with what it was before noise and masks, and with the small crops.

        The plan holds numbers for `augment.small_crops` more views than those that share the full size.
        """
        batches = range(start, plan.n_batches)
        parts = [self.part(plan, batch) for batch in batches]
        crops = self._crops(plan)
        draws = [Draw(plan.order[part], crops[part]) for part in parts]
        read = self.source.read(draws, self.preparation, device)
        for batch, part, views in zip(batches, parts, read, strict=True):
            full = len(views) - self.augment.small_crops
            clean = self._prepared(plan, part, views, slice(0, full))
            shown = self._disturb(clean, plan, batch, part, views=full)
            small = None
            if full < len(views):
                small = self._prepared(plan, part, views, slice(full, len(views)), small=True)
                small = self._disturb(small, plan, batch, part, 1, views=len(views) - full)
            yield Shown(shown, clean, small)

    def part(self, plan: EpochPlan, batch: int) -> slice:
        """Positions of a batch that this process takes."""
        return plan.part(batch, rank=self.rank, processes=self.processes)

    def _crops(self, plan: EpochPlan) -> NDArray[np.float32]:
        """(m, views, 2) where each view is cropped, or which of the kept ones it is; for vectors (m, views, 0)."""
        if isinstance(self.source, Vectors):
            return np.empty((len(plan.order), plan.views, 0), np.float32)
        return plan.uniforms[:, :, [Column.CROP_TOP, Column.CROP_LEFT]]

    def _prepared(
        self, plan: EpochPlan, part: slice, views: list[Tensor], which: slice, *, small: bool = False
    ) -> Tensor:
        """(views · b, …) some of the views, all made at once: what they cost is less the numbers than the calls."""
        joined = views[which.start] if which.stop - which.start == 1 else torch.cat(views[which])
        if self.preparation is None:
            return joined
        uniforms = torch.from_numpy(plan.uniforms[part, which]).to(joined.device)
        augment = small_crops if small else augment_images
        augmented = augment(joined / 255, uniforms.transpose(0, 1).flatten(0, 1), self.augment)
        if self.turns:
            each = augmented.tensor_split(which.stop - which.start)
            augmented = torch.cat([view.rot90(turn, (2, 3)) for turn, view in enumerate(each)])
        return normalise(augmented, self.preparation)

    def _disturb(self, joined: Tensor, plan: EpochPlan, batch: int, part: slice, *which: int, views: int) -> Tensor:
        """(views · b, …) inputs with noise and masks, drawn for the whole batch, so that the split does not matter."""
        if not (self.augment.noise or self.augment.mask):
            return joined
        rng = generator(self.stream, Key.ELEMENTS, plan.epoch, batch, *which)
        whole = plan.part(batch)
        mine = slice(part.start - whole.start, part.stop - whole.start)
        shape = (views, whole.stop - whole.start, *joined.shape[1:])
        inputs = joined.unflatten(0, (views, part.stop - part.start))
        if self.augment.mask and isinstance(self.source, Vectors):
            masked = (rng.random(shape, dtype=np.float32) < self.augment.mask)[:, mine]
            donors = self.rows[rng.integers(len(self.rows), size=shape)[:, mine]]
            columns = np.broadcast_to(np.arange(shape[-1]), donors.shape)
            other = torch.from_numpy(self.source.at(donors, columns)).to(inputs.device)
            inputs = torch.where(torch.from_numpy(masked).to(inputs.device), other, inputs)
        if self.augment.noise:
            noise = rng.standard_normal(shape, dtype=np.float32)[:, mine]
            inputs = inputs + self.augment.noise * torch.from_numpy(noise).to(inputs.device)
        return inputs.flatten(0, 1)
