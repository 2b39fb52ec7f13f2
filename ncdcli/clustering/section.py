"""What the settings of every kind of clustering share."""

from __future__ import annotations

from typing import ClassVar, Literal

from ncdcli.recipe.base import Package, Section

RestartsRule = Literal["consensus", "lowest_objective", "medoid", "held_out"]
RestartsRuleWithoutLabels = Literal["consensus", "lowest_objective", "medoid"]
RESTARTS_RULE = "how restarts become one answer: what they agree on, or one of them (no rule sees a novel label)"


class ClusterSection(Section):
    """What is known of a kind of clustering without importing its code."""

    k: ClassVar[Literal["needs", "may find", "finds"]] = "needs"  # may find: where `estimate_k` leaves k to it
    package: ClassVar[Package | None] = None
    needs_domains: ClassVar[bool] = False  # the data must say where each sample comes from
    needs_logits: ClassVar[bool] = False  # takes what a classifier says, which `joint_training` has trained
