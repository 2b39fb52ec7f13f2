"""KCL: learning to cluster in order to transfer across domains and tasks (Hsu, Lv & Kira, ICLR 2018).

The predictions of similar samples shall be one distribution, those of others two that differ by a margin (arXiv
1711.10125, eq. 2 and 3). Pairs and what is said of them are as in `ncdcli.joint.pairs`.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from ncdcli.joint.kinds import Kcl as Config
from ncdcli.joint.pairs import PairMethod


class Kcl(PairMethod):
    """KL(p ‖ q) + KL(q ‖ p) for similar pairs, the hinge max(0, margin − KL) of both for the others."""

    config: Config

    def pair_loss(self, one: Tensor, other: Tensor, similar: Tensor) -> Tensor:
        margin = self.config.margin
        total = one.new_zeros(len(one))
        for first, second in ((one, other), (other, one)):
            divergence = (first.exp() * (first - second)).sum(1)
            total = total + divergence.where(similar, F.relu(margin - divergence))
        return total
