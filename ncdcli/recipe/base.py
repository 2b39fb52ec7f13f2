"""What every part of a recipe is made of: frozen sections, the runtime mark, and lazily imported kinds."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A frozen part of a recipe. Unknown keys are refused; numbers and strings are never turned into each other."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True)


class RuntimeMark:
    """Marks a field that says where or how fast, and so can change no number: it is left out of fingerprints."""


RUNTIME = RuntimeMark()


def fields_that_matter(value: Any) -> Any:
    """The JSON form of a section (or of a list, map or scalar) without its runtime fields.

    Defaults are included, so that a changed default is a changed result.
    """
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        return {
            name: fields_that_matter(getattr(value, name))
            for name, info in fields.items()
            if not any(isinstance(mark, RuntimeMark) for mark in info.metadata)
        }
    if isinstance(value, Mapping):
        return {key: fields_that_matter(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [fields_that_matter(item) for item in value]
    return value


def import_kind(kinds: Mapping[str, str], kind: str) -> Any:
    """The object that a registry names for `kind`, imported now. Registries map `kind` to `"module:attribute"`."""
    module, attribute = kinds[kind].split(":")
    return getattr(import_module(module), attribute)
