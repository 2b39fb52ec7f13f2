"""The batches of an epoch: samples of a source, turned into random views."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ncdcli.models.backbone import ImagePreparation
from ncdcli.objectives.kinds import Augment
from ncdcli.training.augment import Column, augment_images, normalise
from ncdcli.training.batches import Draw, Source, Vectors
from ncdcli.training.sampler import EpochPlan
from ncdcli.training.streams import Key, generator


@dataclass(frozen=True)
class Views:
    """Makes the inputs of a backbone. Process `rank` of `processes` gets its part of every batch."""

    source: Source
    preparation: ImagePreparation | None
    augment: Augment
    stream: np.random.SeedSequence
    rows: NDArray[np.int64]  # training rows: `mask` takes other values from them
    rank: int = 0
    processes: int = 1

    def epoch(self, plan: EpochPlan, device: torch.device, *, start: int = 0) -> Iterator[Tensor]:
        """For each batch from `start`: (views · b, …) prepared inputs, all first views, then all second ones."""
        return (shown for shown, _ in self.pairs(plan, device, start=start))

    def pairs(self, plan: EpochPlan, device: torch.device, *, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """The same, each with what it was before noise and masks: (shown, clean)."""
        batches = range(start, plan.n_batches)
        parts = [self.part(plan, batch) for batch in batches]
        crops = plan.uniforms[:, :, [Column.CROP_TOP, Column.CROP_LEFT]]
        draws = [Draw(plan.order[part], crops[part]) for part in parts]
        read = self.source.read(draws, self.preparation, device)
        for batch, part, views in zip(batches, parts, read, strict=True):
            uniforms = torch.from_numpy(plan.uniforms[part]).to(device)
            prepared = [self._view(view, uniforms[:, position]) for position, view in enumerate(views)]
            clean = torch.stack(prepared)
            shown = self._disturb(clean, plan, batch, part)
            joined = clean.flatten(0, 1)
            yield (joined if shown is clean else shown.flatten(0, 1)), joined

    def part(self, plan: EpochPlan, batch: int) -> slice:
        """Positions of a batch that this process takes."""
        return plan.part(batch, rank=self.rank, processes=self.processes)

    def _view(self, view: Tensor, uniforms: Tensor) -> Tensor:
        if self.preparation is None:
            return view
        return normalise(augment_images(view.float() / 255, uniforms, self.augment), self.preparation)

    def _disturb(self, views: Tensor, plan: EpochPlan, batch: int, part: slice) -> Tensor:
        """(views, b, …) inputs with noise and masks, drawn for the whole batch, so that the split does not matter."""
        if not (self.augment.noise or self.augment.mask):
            return views
        rng = generator(self.stream, Key.ELEMENTS, plan.epoch, batch)
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
