"""MCL: multi-class classification without multi-class labels (Hsu, Lv, Schlosser, Odom & Kira, ICLR 2019).

The likelihood of pairs (arXiv 1901.00544, eq. 4): two samples are of one class with probability p · q, the scalar
product of their predictions. Pairs and what is said of them are as in `ncdcli.joint.pairs`.
"""

from __future__ import annotations

from torch import Tensor

from ncdcli.joint.pairs import PairMethod

EPSILON = 1e-7


class Mcl(PairMethod):
    """−log of p · q for similar pairs, of 1 − p · q for the others."""

    def pair_loss(self, one: Tensor, other: Tensor, similar: Tensor) -> Tensor:
        agree = (one.exp() * other.exp()).sum(1)
        return -(agree.where(similar, 1 - agree) + EPSILON).log()
