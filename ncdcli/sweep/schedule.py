"""Which runs may start: none computes what another one of the sweep is computing at that moment."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ncdcli.pipeline.fingerprint import canonical_json, stage_config
from ncdcli.pipeline.spec import BY_NAME, STAGES, stages_of
from ncdcli.recipe.schema import Recipe
from ncdcli.run.folder import RunFolder

Keys = Mapping[str, str]  # stage -> what it depends on, as far as the recipe tells


@dataclass(frozen=True)
class Scheduled:
    """A run as the schedule sees it."""

    name: str
    folder: RunFolder
    keys: Keys

    def done(self, stage: str) -> bool:
        """Whether another run can link the stage from this one."""
        return self.folder.manifest(stage) is not None


def stage_keys(recipe: Recipe) -> Keys:
    """A digest for each stage, equal for two recipes on the same data exactly where one result serves both."""
    keys: dict[str, str] = {}
    for spec in stages_of(recipe, STAGES):
        before = [keys[stage] for stage in keys if stage in spec.stages_before]
        content = canonical_json([spec.name, recipe.seed, stage_config(recipe, spec), before])
        keys[spec.name] = hashlib.sha256(content).hexdigest()
    return keys


def shared_with(keys: Keys, earlier: Iterable[tuple[str, Keys]]) -> dict[str, list[str]]:
    """Name of an earlier run -> the stages that are linked from it: each stage from the first that has it."""
    first: dict[str, str] = {}
    for name, others in earlier:
        for stage, key in others.items():
            if keys.get(stage) == key:
                first.setdefault(stage, name)
    shared: dict[str, list[str]] = {}
    for stage in BY_NAME:
        if stage in first:
            shared.setdefault(first[stage], []).append(stage)
    return shared


def must_wait(run: Scheduled, running: Iterable[Scheduled]) -> bool:
    """Whether one of the `running` is computing, or about to compute, a stage that `run` could link from it."""
    return any(
        run.keys[stage] == other.keys.get(stage) and not other.done(stage) and not run.done(stage)
        for other in running
        for stage in run.keys
    )
