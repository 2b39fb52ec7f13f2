"""The batches of an epoch: samples of a source, turned into random views."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ncdcli.models.backbone import Backbone, ImagePreparation
from ncdcli.objectives.kinds import Augment
from ncdcli.training.augment import Column, augment_images, normalise, small_crops
from ncdcli.training.batches import Draw, Source, Vectors
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
        crops = plan.uniforms[:, :, [Column.CROP_TOP, Column.CROP_LEFT]]
        draws = [Draw(plan.order[part], crops[part]) for part in parts]
        read = self.source.read(draws, self.preparation, device)
        for batch, part, views in zip(batches, parts, read, strict=True):
            uniforms = torch.from_numpy(plan.uniforms[part]).to(device)
            full = len(views) - self.augment.small_crops
            prepared = [self._view(view, uniforms[:, at], at, small=at >= full) for at, view in enumerate(views)]
            clean = torch.stack(prepared[:full])
            shown = self._disturb(clean, plan, batch, part)
            joined = clean.flatten(0, 1)
            small = self._disturb(torch.stack(prepared[full:]), plan, batch, part, 1) if prepared[full:] else None
            inputs = joined if shown is clean else shown.flatten(0, 1)
            yield Shown(inputs, joined, None if small is None else small.flatten(0, 1))

    def part(self, plan: EpochPlan, batch: int) -> slice:
        """Positions of a batch that this process takes."""
        return plan.part(batch, rank=self.rank, processes=self.processes)

    def _view(self, view: Tensor, uniforms: Tensor, at: int, *, small: bool) -> Tensor:
        if self.preparation is None:
            return view
        augmented = (small_crops if small else augment_images)(view.float() / 255, uniforms, self.augment)
        turned = augmented.rot90(at, (2, 3)) if self.turns else augmented
        return normalise(turned, self.preparation)

    def _disturb(self, views: Tensor, plan: EpochPlan, batch: int, part: slice, *which: int) -> Tensor:
        """(views, b, …) inputs with noise and masks, drawn for the whole batch, so that the split does not matter."""
        if not (self.augment.noise or self.augment.mask):
            return views
        rng = generator(self.stream, Key.ELEMENTS, plan.epoch, batch, *which)
        whole = plan.part(batch)
        mine = slice(part.start - whole.start, part.stop - whole.start)
        shape = (views.shape[0], whole.stop - whole.start, *views.shape[2:])
        if self.augment.mask and isinstance(self.source, Vectors):
            masked = (rng.random(shape, dtype=np.float32) < self.augment.mask)[:, mine]
            donors = self.rows[rng.integers(len(self.rows), size=shape)[:, mine]]
            columns = np.broadcast_to(np.arange(shape[-1]), donors.shape)
            other = torch.from_numpy(self.source.at(donors, columns)).to(views.device)
            views = torch.where(torch.from_numpy(masked).to(views.device), other, views)
        if self.augment.noise:
            noise = rng.standard_normal(shape, dtype=np.float32)[:, mine]
            views = views + self.augment.noise * torch.from_numpy(noise).to(views.device)
        return views
