"""Views of samples that lie between them and their neighbours, in the manner of SMOTE-NC (Chawla et al., JAIR 2002)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Recent(nn.Module):
    """The rows that were added last, up to a number of them; in buffers, so that a checkpoint holds them."""

    kept: Tensor
    added: Tensor

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.register_buffer("kept", torch.zeros(size, width))
        self.register_buffer("added", torch.zeros((), dtype=torch.int64))

    def rows(self) -> Tensor:
        """(m, width) what is kept, in no particular order."""
        return self.kept[: int(self.added)]

    def add(self, rows: Tensor) -> None:
        """Take (b, width) rows in the place of the oldest ones."""
        size = len(self.kept)
        if size:
            places = (self.added + torch.arange(len(rows), device=rows.device)) % size
            self.kept[places[-size:]] = rows[-size:].to(self.kept)
        self.added += len(rows)


def views_between(
    rows: Tensor,
    others: Tensor,
    *,
    neighbours: int,
    rng: np.random.Generator,
    one_hot: Sequence[tuple[int, int]] = (),
) -> Tensor:
    """(b, d) a point between each of the (b, d) `rows` and one of its nearest ones among these and `others` (m, d).

    Near is a large cosine. One of so many `neighbours` is drawn, and how far the view goes towards it, evenly. The
    places (first, end) in `one_hot` stand for one column of categories each: the view has the category that most of
    the neighbours have (the first of equal ones; one may be none). Where there is no other row, a view is its row.
    """
    candidates = torch.cat([rows, others])
    count = min(neighbours, len(candidates) - 1)
    if len(rows) == 0 or count < 1:
        return rows
    cosines = F.normalize(rows, dim=1) @ F.normalize(candidates, dim=1).T
    cosines.fill_diagonal_(-torch.inf)
    nearest = cosines.topk(count, dim=1).indices
    drawn = torch.from_numpy(rng.integers(count, size=(len(rows), 1))).to(rows.device)
    share = torch.from_numpy(rng.random((len(rows), 1), dtype=np.float32)).to(rows.device)
    views = torch.lerp(rows, candidates[nearest.gather(1, drawn)[:, 0]], share)
    for first, end in one_hot:
        votes = candidates[:, first:end][nearest].sum(1)
        none = count - votes.sum(1, keepdim=True)
        chosen = torch.cat([votes, none], dim=1).argmax(1)
        views[:, first:end] = F.one_hot(chosen, end - first + 1)[:, :-1].to(views)
    return views
