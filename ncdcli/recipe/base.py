"""What every part of a recipe is made of: frozen sections, the runtime mark, and lazily imported kinds."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic.fields import FieldInfo

from ncdcli.digests import digest_file


class Section(BaseModel):
    """A frozen part of a recipe. Unknown keys are refused; numbers and strings are never turned into each other."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True)


def _whole_number(value: Any) -> Any:
    if type(value) is not int:  # true and 1.0 equal 1, and a literal is compared
        raise ValueError("a whole number")
    return value


Version = Annotated[Literal[1], BeforeValidator(_whole_number)]


class Package(NamedTuple):
    """A package that a kind needs beside those that are always installed."""

    module: str
    install: str  # the command that brings it


class RuntimeMark:
    """Marks a field that says where or how fast, and so can change no number: it is left out of fingerprints."""


class ContentMark:
    """Marks a field that may hold the path of a file whose content decides numbers: fingerprints take its digest."""


class AddedMark:
    """Marks a field that came later, and whose default means what was before: fingerprints leave that out."""


RUNTIME = RuntimeMark()
FILE_CONTENT = ContentMark()
ADDED = AddedMark()


def fields_that_matter(value: Any) -> Any:
    """The JSON form of a section (or of a list, map or scalar) without its runtime fields.

    Defaults are included, so that a changed default is a changed result; only those of fields marked as added are not.
    """
    if isinstance(value, BaseModel):
        fields = type(value).model_fields
        return {
            name: _content_of(getattr(value, name))
            if _marked(info, ContentMark)
            else fields_that_matter(getattr(value, name))
            for name, info in fields.items()
            if not _marked(info, RuntimeMark)
            and not (_marked(info, AddedMark) and getattr(value, name) == info.default)
        }
    if isinstance(value, Mapping):
        return {key: fields_that_matter(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [fields_that_matter(item) for item in value]
    return value


def added_later(section: BaseModel) -> set[str]:
    """Names of the fields that are marked as added and stand at their default: as if they were not there."""
    fields = type(section).model_fields
    return {
        name for name, info in fields.items() if _marked(info, AddedMark) and getattr(section, name) == info.default
    }


def _marked(info: FieldInfo, mark: type) -> bool:
    return any(isinstance(item, mark) for item in info.metadata)


def _content_of(value: str) -> str:
    """What a path stands for: the digest of the file, or the word itself where it names none."""
    path = Path(value)
    if not path.is_file():
        return value
    stat = path.stat()
    return f"sha256:{_digest(path, stat.st_size, stat.st_mtime_ns)}"


@lru_cache(maxsize=16)
def _digest(path: Path, size: int, modified: int) -> str:
    """The digest of a file, taken once for a size and time of modification."""
    return digest_file(path)


def import_kind(kinds: Mapping[str, str], kind: str) -> Any:
    """The object that a registry names for `kind`, imported now. Registries map `kind` to `"module:attribute"`."""
    module, attribute = kinds[kind].split(":")
    return getattr(import_module(module), attribute)
