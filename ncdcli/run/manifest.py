"""`manifest.json`: what a finished stage was made from and with. A stage folder is done when it is there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from ncdcli.digests import digest_file
from ncdcli.run.files import json_bytes, write_atomic

MANIFEST = "manifest.json"


class FileRecord(BaseModel):
    """A file as it was when its stage finished. The same size and time are trusted to mean the same content."""

    model_config = ConfigDict(frozen=True, strict=True)

    sha256: str
    size: int  # bytes
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> FileRecord:
        """The record of the file at `path`; reads all of it."""
        before = path.stat()
        return cls(sha256=digest_file(path), size=before.st_size, mtime_ns=before.st_mtime_ns)

    def looks_like(self, path: Path) -> bool:
        """Whether the file has the recorded size and time. Reads nothing."""
        try:
            stat = path.stat()
        except FileNotFoundError:
            return False
        return stat.st_size == self.size and stat.st_mtime_ns == self.mtime_ns

    def matches(self, path: Path, *, verify: bool = False) -> bool:
        """Whether the file has the recorded content. Reads it where its time differs, or always with `verify`."""
        if self.looks_like(path) and not verify:
            return True
        return path.is_file() and path.stat().st_size == self.size and digest_file(path) == self.sha256


class Manifest(BaseModel):
    """What a stage was made from (this is fingerprinted) and what it was made with (this is not)."""

    model_config = ConfigDict(frozen=True, strict=True)  # fields of a later version are left alone

    stage: str
    version: int
    fingerprint: str
    config: dict[str, Any]  # recipe sections without runtime fields, and the data's identity where the stage reads data
    seed: int
    inputs: dict[str, str]  # "split/samples.csv" -> SHA-256
    outputs: dict[str, FileRecord]
    started: str  # ISO 8601, UTC
    seconds: float
    resumed: bool = False  # went on from a checkpoint; `seconds` counts from there
    reused_from: str | None = None  # stage folder, relative to the run, that the files are linked from
    device: str = "cpu"
    deterministic: bool = False  # asked for; a CPU is in any case
    threads: int = 1
    processes: int = 1
    peak_memory_bytes: int | None = None
    code: dict[str, Any] = {}
    packages: dict[str, str] = {}
    python: str = ""
    host: str = ""
    command: str = ""

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """The manifest of a stage folder. FileNotFoundError if it has none, ValueError saying why if it is damaged."""
        content = (folder / MANIFEST).read_bytes()
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise ValueError(f"{place}: {first['msg']}" if place else first["msg"]) from error

    def write(self, folder: Path) -> None:
        """Put the manifest in `folder`, by one rename."""
        write_atomic(folder / MANIFEST, json_bytes(self.model_dump()))

    def changed_outputs(self, folder: Path, *, verify: bool = False) -> list[str]:
        """Names of outputs that are gone or hold something else; with `verify` all are read again."""
        return [name for name, record in self.outputs.items() if not record.matches(folder / name, verify=verify)]

    def with_times_of(self, folder: Path) -> Manifest:
        """The same manifest with the times of the files as they are now (after a copy that did not keep them)."""
        outputs = {
            name: record.model_copy(update={"mtime_ns": (folder / name).stat().st_mtime_ns})
            for name, record in self.outputs.items()
        }
        return self.model_copy(update={"outputs": outputs})


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Dotted path -> (before, now) of every leaf that differs; `ABSENT` stands for a leaf that one side lacks."""
    flat_before, flat_now = _flatten(before), _flatten(now)
    paths = dict.fromkeys([*flat_now, *flat_before])
    pairs = {path: (flat_before.get(path, ABSENT), flat_now.get(path, ABSENT)) for path in paths}
    return {path: pair for path, pair in pairs.items() if pair[0] != pair[1]}


class _Absent:
    """What a missing leaf is shown as."""

    def __repr__(self) -> str:
        return "(absent)"


ABSENT = _Absent()


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            leaves |= _flatten(value, f"{prefix}{key}.")
        else:
            leaves[f"{prefix}{key}"] = list(value) if isinstance(value, tuple) else value
    return leaves
