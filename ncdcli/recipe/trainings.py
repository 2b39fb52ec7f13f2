"""The sections of a recipe that train."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ncdcli.objectives.kinds import ObjectiveSection, TrainingConfig

SECTIONS = {"pretrain": "objective", "joint_training": "method"}  # section -> its key that names what is learnt


@dataclass(frozen=True)
class Training:
    """One of the sections that train."""

    name: str
    config: TrainingConfig

    @property
    def learnt(self) -> ObjectiveSection:
        """The objective or the method."""
        section: ObjectiveSection = getattr(self.config, SECTIONS[self.name])
        return section

    @property
    def called(self) -> str:
        """ "objective `pbn`" or "method `simgcd`"."""
        return f"{SECTIONS[self.name]} `{self.learnt.kind}`"

    @property
    def trains(self) -> bool:
        """Whether anything is trained."""
        return self.learnt.kind != "none" and self.config.epochs > 0


def trainings(sections: Mapping[str, Any]) -> Iterator[Training]:
    """Those of a recipe's valid sections that train."""
    for name in SECTIONS:
        if sections.get(name) is not None:
            yield Training(name, sections[name])
