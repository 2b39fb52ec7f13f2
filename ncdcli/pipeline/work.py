"""What lies in a run folder beside the finished stages: interrupted work, and results that can be used again."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Literal

from ncdcli.run.folder import RunFolder, read_state
from ncdcli.run.manifest import Manifest

Left = Literal["finished", "checkpoint", "nothing"]


def is_temporary(name: str) -> bool:
    """Whether a stage may leave a file of this (relative) name although it does not declare it.

    `checkpoint*` serves to resume; hidden and `.tmp` files are what a killed atomic write leaves. None is published.
    """
    first, last = name.split("/")[0], name.rsplit("/", 1)[-1]
    return first.startswith(("checkpoint", ".")) or last.endswith(".tmp")


def read_work(folder: Path, stage: str, fingerprint: str) -> Left | None:
    """What an interrupted attempt has left in `.work`: everything, a checkpoint, nothing of use; None: no attempt."""
    if not folder.is_dir():
        return None
    manifest, _ = read_state(folder, stage)
    if manifest is not None and manifest.fingerprint == fingerprint and not manifest.changed_outputs(folder):
        return "finished"
    return "checkpoint" if has_checkpoint(folder) else "nothing"


def has_checkpoint(folder: Path) -> bool:
    """Whether there is something to resume from; the rest of a checkpoint that was being written is nothing."""
    return any(path.suffix != ".tmp" for path in folder.glob("checkpoint*"))


def interrupted_at(folder: Path) -> float:
    """Time of the last change in a work folder, in seconds since the epoch."""
    return max(path.stat().st_mtime for path in [folder, *folder.iterdir()])


def find_reusable(
    run: RunFolder, stage: str, fingerprint: str, *, without: Collection[Path] = (), verify: bool = False
) -> Path | None:
    """A whole result with this fingerprint: replaced in this run, or in another run of the same runs folder."""
    for folder in _candidates(run, stage, fingerprint):
        if folder in without:
            continue
        manifest, _ = read_state(folder, stage)
        if manifest is not None and _serves(manifest, folder, fingerprint, verify=verify):
            return folder
    return None


def _candidates(run: RunFolder, stage: str, fingerprint: str) -> Iterator[Path]:
    yield run.old_dir(stage, fingerprint)
    for sibling in run.siblings():
        yield sibling.stage_dir(stage)


def _serves(manifest: Manifest, folder: Path, fingerprint: str, *, verify: bool) -> bool:
    try:
        return manifest.fingerprint == fingerprint and not manifest.changed_outputs(folder, verify=verify)
    except PermissionError:  # another user's
        return False
