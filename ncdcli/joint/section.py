"""What the settings of every joint method share."""

from __future__ import annotations

from typing import ClassVar, Literal

from ncdcli.objectives.kinds import ObjectiveSection


class JointSection(ObjectiveSection):
    """What is known of a kind of joint method without importing its code."""

    views: ClassVar[int] = 2
    uses_pool: ClassVar[bool] = True
    trains_backbone: ClassVar[bool] = True  # False: learns from the embeddings that `embed` wrote
    settings: ClassVar[tuple[str, ...]] = ("gcd", "ncd")  # of the data, that the method is made for
    k: ClassVar[Literal["needs", "may find", "finds"]] = "needs"  # may find: where `estimate_k` leaves k to it
    interpolates: ClassVar[bool] = False  # makes views between samples: inputs are vectors
    classifies: ClassVar[bool] = True  # has a classifier over all classes: writes `logits.npy`, as `head` needs
