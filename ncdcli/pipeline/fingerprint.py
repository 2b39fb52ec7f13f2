"""What a stage's result depends on, and the SHA-256 over it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NoReturn
from zlib import crc32

from ncdcli.pipeline.spec import StageSpec
from ncdcli.recipe.base import fields_that_matter
from ncdcli.run.manifest import ABSENT, Manifest, differences
from ncdcli.words import counted

DATA = "data"  # the recipe section that stands for samples outside the run: their identity is added to it
IDENTITY = "data_identity"
SHOWN_CHANGES = 3
SHOWN_LENGTH = 40


@dataclass(frozen=True)
class Ingredients:
    """All that a stage's result depends on."""

    stage: str
    version: int
    config: Mapping[str, Any]  # section -> fields that matter, and `data_identity` where the stage sees `data`
    seed: int
    inputs: Mapping[str, str]  # "split/samples.csv" -> SHA-256; absent optional files are left out

    @property
    def fingerprint(self) -> str:
        """SHA-256, in hex, of the canonical JSON of all ingredients."""
        stream = {"seed": self.seed, "key": crc32(self.stage.encode())}
        content = {
            "stage": self.stage,
            "version": self.version,
            "config": self.config,
            "stream": stream,
            "inputs": self.inputs,
        }
        return hashlib.sha256(canonical_json(content)).hexdigest()


def canonical_json(content: Any) -> bytes:
    """The one JSON text of `content`: keys sorted, no spaces, no NaN."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def stage_config(recipe: Any, spec: StageSpec) -> dict[str, Any]:
    """Section -> its fields that matter, in JSON form, for the sections that the stage may see and the recipe has."""
    seen = {name: getattr(recipe, name) for name in spec.sections}
    sections = {name: fields_that_matter(section) for name, section in seen.items() if section is not None}
    return json.loads(canonical_json(sections))  # as it will be read back from a manifest


class StageConfig(SimpleNamespace):
    """The sections of a recipe that a stage may see, as attributes; asking for another one is an error."""

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"this stage may not see `{name}`: its row in `ncdcli.pipeline.spec` does not list it")


def visible_config(recipe: Any, spec: StageSpec) -> StageConfig:
    """What a stage is given as `config`."""
    return StageConfig(**{name: getattr(recipe, name) for name in spec.sections})


def changes(manifest: Manifest, now: Ingredients, *, inputs_known: bool = True) -> list[str]:
    """In plain words, what differs between a finished stage's ingredients and the present ones; empty: nothing.

    With `inputs_known=False` the input files are left out of the comparison, and so is the data's identity where
    `now.config` does not hold it.
    """
    found = []
    if manifest.version != now.version:
        found.append(f"stage code version {manifest.version} -> {now.version}")
    if manifest.seed != now.seed:
        found.append(f"`seed` changed: {manifest.seed} -> {now.seed}")
    before = dict(manifest.config)
    if not inputs_known and IDENTITY not in now.config:
        before.pop(IDENTITY, None)
    found += _config_changes(before, now.config)
    if inputs_known:
        found += _input_changes(manifest.inputs, now.inputs)
    return found


def _config_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    found, of_data = [], []
    for path, (old, new) in differences(before, now).items():
        if path == IDENTITY or path.startswith(f"{IDENTITY}."):
            of_data.append(path.removeprefix(f"{IDENTITY}."))
        else:
            found.append(f"`{path}` changed: {_show(old)} -> {_show(new)}")
    if len(found) > SHOWN_CHANGES:
        found[SHOWN_CHANGES:] = [f"{counted(len(found) - SHOWN_CHANGES, 'more field')} changed"]
    if of_data:
        found.append(f"the data changed ({', '.join(f'`{path}`' for path in of_data[:SHOWN_CHANGES])})")
    return found


def _input_changes(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    found = []
    for name in dict.fromkeys([*now, *before]):
        if name not in before:
            found.append(f"input `{name}` is new")
        elif name not in now:
            found.append(f"input `{name}` is gone")
        elif before[name] != now[name]:
            found.append(f"input `{name}` changed")
    return found


def _show(value: Any) -> str:
    if value is ABSENT:
        return repr(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN_LENGTH else f"{text[: SHOWN_LENGTH - 1]}…"
